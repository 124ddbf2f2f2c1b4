#pragma once

/*
 * firewall - puts the net gate's rules into the kernel, and keeps them there
 *
 * Two backends say the same: nft, with a table of our own, replaced in one
 * transaction; and iptables-restore with chains of our own, where the kernel
 * has no `queue` statement for nft.  Rules of others are not touched; our
 * jumps stand first in their chains, because an ACCEPT before them would let
 * packets pass unseen.
 *
 * These functions run programs and wait for them: they are for a process that
 * may wait, never for the one that must replace a dead gate.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

enum firewall_backend {
	FIREWALL_NONE,
	FIREWALL_NFT,
	FIREWALL_XTABLES_LEGACY, /* costs a packet less than the next */
	FIREWALL_XTABLES,	 /* the system's iptables, whichever it is */
};

struct firewall_state {
	uint32_t backend;  /* enum firewall_backend */
	uint64_t digest;   /* of the rules as the kernel tells them */
	char problem[512]; /* what the last failure said */
};

/* Expected outcomes. */
enum {
	FIREWALL_REFUSED = 1, /* no backend could; state->problem */
	FIREWALL_CHANGED,     /* somebody has changed our rules */
};

/*
 * Put the rules for policy in force, replacing those of another generation
 * without a moment of neither.  state says which backend it was, or
 * FIREWALL_NONE to try each; it is brought up to date.
 */
MUST_CHECK int firewall_put(const struct policy *policy,
			    struct firewall_state *state);

/* Are they still what was put?  0 or FIREWALL_CHANGED. */
MUST_CHECK int firewall_verify(struct firewall_state *state);

/* Take all of it away, whatever backend it was. */
MUST_CHECK int firewall_remove(struct firewall_state *state);

const char *firewall_backend_word(uint32_t backend);
