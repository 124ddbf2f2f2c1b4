#pragma once

/*
 * channel - a bounded ring in shared memory, from one writer to one reader
 *
 * A gate puts its records here and goes on; it never waits and makes no
 * system call but the rare one that wakes a sleeping reader.  The memory
 * belongs to gatekeeper, so what was put survives the death of writer and
 * reader alike: the next of either goes on where the last one was.
 *
 * Room is kept for what must not be lost: an ordinary record may fill the
 * ring to three quarters, an important one to the brim.  What finds no room
 * is counted, by importance, in the channel itself.
 *
 * Positions are byte counts since the channel was made and never wrap.  The
 * reader peeks with a cursor of its own and releases the room only once what
 * it read is safe on disk.
 *
 * Neither side trusts the other's numbers: a length or position that cannot
 * be is CHANNEL_DAMAGED, never a read outside the ring.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct channel;

/* Expected outcomes. */
enum {
	CHANNEL_FULL = 1, /* no room; the loss is counted */
	CHANNEL_EMPTY,	  /* nothing beyond the cursor */
	CHANNEL_DAMAGED,  /* the ring's bookkeeping makes no sense */
};

struct channel_losses {
	uint64_t ordinary;
	uint64_t important;
};

/*
 * Make the memory for a ring of size_bytes (a power of two, 4 KiB to 1 GiB),
 * sealed against resizing, and store its descriptor, owned by the caller.
 */
MUST_CHECK int channel_create(size_t size_bytes, int *ret_fd);

/* Map a channel made by channel_create(); fd stays the caller's. */
MUST_CHECK int channel_map(int fd, struct channel **ret);
struct channel *channel_free(struct channel *channel);
DEFINE_CLEANUP(struct channel *, channel_free)

/* A random number that tells this channel from every other. */
uint64_t channel_id(const struct channel *channel);

/* Writer: append a copy of length bytes.  0 or CHANNEL_FULL. */
MUST_CHECK int channel_put(struct channel *channel, const void *bytes,
			   size_t length, bool important);

/* Writer: true once for each time the reader went to sleep meanwhile. */
bool channel_wants_wake(struct channel *channel);

/*
 * Reader: yield the record at *cursor, valid until released, and move the
 * cursor behind it.  0, CHANNEL_EMPTY, or CHANNEL_DAMAGED (the cursor then
 * stands at the writer's position: what lay between is lost).
 */
MUST_CHECK int channel_peek(const struct channel *channel, uint64_t *cursor,
			    const void **ret_bytes, size_t *ret_length);

/* Reader: where the unreleased part begins; where to start a cursor. */
uint64_t channel_released(const struct channel *channel);

/* Reader: give back the room before position, a cursor's value. */
void channel_release(struct channel *channel, uint64_t position);

/* Reader: ask for a wake-up at the next put.  False: there is more to read. */
bool channel_sleep(struct channel *channel, uint64_t cursor);

/* Reader: a sign of life, for whoever watches it; beats so far. */
void channel_beat(struct channel *channel);
uint64_t channel_beats(const struct channel *channel);

/* Either side: bytes put and not yet released; records lost so far. */
size_t channel_used(const struct channel *channel);
struct channel_losses channel_lost(const struct channel *channel);
