#pragma once

/*
 * ends - what gatekeeper opens for itself before anything is watched
 *
 * Each yields a descriptor that is the caller's, or a negative errno.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

#define ENDS_TICK_MS 100

/* The signals gatekeeper heeds, blocked and read from here. */
MUST_CHECK int ends_signals(int *ret);

/* Readable every ENDS_TICK_MS. */
MUST_CHECK int ends_tick(int *ret);

/* The fanotify group. */
MUST_CHECK int ends_group(int *ret);

/* Make the store's folder: its own, and nobody else's business. */
MUST_CHECK int ends_database_dir(const struct policy *policy);
