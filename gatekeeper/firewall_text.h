#pragma once

/*
 * firewall_text - the rules that send an account's packets to the net gate
 *
 * Pure: policy in, text for nft or for iptables-restore out.  The rules of
 * both say the same:
 *
 *   output      a packet of a leashed uid is judged, unless its flow carries
 *               the mark of the generation in force; so is a packet without
 *               an owner in a flow that an account began; a flow that nobody
 *               leashed has begun is marked as such, and passed over from
 *               then on
 *   in_*        what an account answers to those who connect to it, by its
 *               `inbound`
 *   keep        keeps the mark of what was allowed with the flow, and drops
 *               what was denied, should the next not have refused it
 *   refuse      refuses what was denied: TCP reset, ICMP prohibited
 *
 * No rule lets anything pass that no gate has answered: a queue without a
 * reader drops.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

/* One transaction that puts the table in place of whatever it was before. */
MUST_CHECK int firewall_text_nft(const struct policy *policy, char **ret);

/*
 * Input for iptables-restore --noflush, or ip6tables-restore.  undo takes away
 * the jumps to our chains that are there now: lines of `-D`, for each table.
 */
struct firewall_undo {
	char *mangle; /* owned, may be empty */
	char *filter;
};

void firewall_text_done_undo(struct firewall_undo *undo);

/* Find those jumps in what iptables-save says of the two tables. */
MUST_CHECK int firewall_text_find_undo(const char *mangle, const char *filter,
				       struct firewall_undo *ret);

MUST_CHECK int firewall_text_xtables(const struct policy *policy, bool is_ipv6,
				     const struct firewall_undo *undo,
				     char **ret);

/* The same input that takes all of it away. */
MUST_CHECK int firewall_text_xtables_removal(const struct firewall_undo *undo,
					     char **ret);

#define FIREWALL_TABLE	      "leash" /* nft's */
#define FIREWALL_CHAIN_OUTPUT "LEASH-OUTPUT"
#define FIREWALL_CHAIN_KEEP   "LEASH-KEEP"
#define FIREWALL_CHAIN_REFUSE "LEASH-REFUSE"
