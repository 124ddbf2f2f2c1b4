#pragma once

/*
 * net_helpers - the net gate and leash-dns, which reads for it
 *
 * Started together, joined by a socket of their own, and ended together: what
 * one was told, the other has forgotten.  What a gate leaves to the next one
 * is in memory that stays (wire/net_memory.h).
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helper.h"
#include "gatekeeper/policy/image.h"

struct net_helpers_setup {
	const char *helpers_dir; /* borrowed, like all of it */
	int wake;
	int channel_fd; /* the gate's records */
};

struct net_helpers {
	struct net_helpers_setup setup;
	struct helper gate;
	struct helper dns;
	int memory; /* owned */
};

MUST_CHECK int net_helpers_init(struct net_helpers *helpers,
				const struct net_helpers_setup *setup);

/* Kills what runs. */
void net_helpers_done(struct net_helpers *helpers);

/* Start both, as the user that the policy names. */
MUST_CHECK int net_helpers_start(struct net_helpers *helpers,
				 const struct policy_header *header);

/* Kill and collect both. */
void net_helpers_end(struct net_helpers *helpers);
