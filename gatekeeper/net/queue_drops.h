#pragma once

/*
 * queue_drops - what the kernel could not hand to the net gate
 *
 * Counted by the kernel for as long as a queue has the same reader, and here
 * from one reader to the next.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct queue_drops {
	uint64_t last; /* as the kernel last told it */
};

/* Read text, that of /proc/net/netfilter/nfnetlink_queue: all so far. */
uint64_t queue_drops_parse(const char *text);

/* How many there are since the last call; proc is /proc itself. */
uint64_t queue_drops_new(struct queue_drops *drops, int proc);
