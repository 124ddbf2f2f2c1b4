#pragma once

/*
 * drain - takes records out of the channels and into the database
 *
 * A batch is written, with the position it reaches, in one transaction, and
 * only then is its room in the channel given back.  When the database cannot
 * be written - full disk, locked, gone - records wait in their channels,
 * which count what they lose; drain says so once, goes on trying, and when it
 * can write again notes how many are missing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/channel.h"

/* gatekeeper's, the file gate's, the net gate's */
#define DRAIN_CHANNELS 4

struct drain;

struct drain_limits {
	int64_t keep_ns;
	uint64_t max_bytes;
};

/* path is borrowed for the drain's life; the channels as well. */
MUST_CHECK int drain_new(const char *path,
			 struct channel *const channels[DRAIN_CHANNELS],
			 const struct drain_limits *limits, struct drain **ret);
struct drain *drain_free(struct drain *drain);
DEFINE_CLEANUP(struct drain *, drain_free)

/*
 * Write what there is, at most a batch of each channel.  Yields how long the
 * caller may wait before the next call, in milliseconds: 0 at once, negative
 * until woken.
 */
MUST_CHECK int drain_turn(struct drain *drain, int *ret_wait_ms);

/* Write all there is, as long as it can be written: before the end. */
MUST_CHECK int drain_finish(struct drain *drain);
