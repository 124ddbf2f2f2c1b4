#pragma once

/*
 * own_fds - what gatekeeper opens for itself before anything is watched
 *
 * Each yields a descriptor that is the caller's, or a negative errno.
 */

#include "gatekeeper/base/cleanup.h"

#define OWN_FDS_TICK_MS 100

/* The signals gatekeeper heeds, blocked and read from here. */
MUST_CHECK int own_fds_signals(int *ret);

/* Readable every OWN_FDS_TICK_MS. */
MUST_CHECK int own_fds_tick(int *ret);

/* The fanotify group. */
MUST_CHECK int own_fds_group(int *ret);
