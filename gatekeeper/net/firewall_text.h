#pragma once

/*
 * firewall_text - the rules that send an account's packets to the net gate
 *
 * Pure: policy in, text for nft or for iptables-restore out.  The rules of
 * both say the same:
 *
 *   output      a packet of a leashed uid goes to its account's chain; one
 *               without an owner is judged if its flow was an account's under
 *               an older policy
 *   account N   the first packet of a TCP connection is always judged, others
 *               unless their flow carries the account's mark; what answers
 *               those who connect to the account follows its `inbound`, but
 *               nothing of an account answers questions about names
 *   input       what resolvers answer in such a flow is judged, too
 *   keep        keeps the mark of what was allowed with the flow, and drops
 *               what was denied, should the next not have refused it
 *   refuse      refuses what was denied: TCP reset, ICMP prohibited
 *
 * No rule lets anything of an account pass that no gate has answered: a queue
 * without a reader drops.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

#define FIREWALL_TABLE "leash" /* nft's */

/* One transaction that puts the table in place of whatever it was before. */
MUST_CHECK int firewall_text_nft(const struct policy *policy, char **ret);

/* What of ours stands in a table of iptables. */
struct firewall_found {
	char *jumps;  /* owned; `-D` lines that take away the jumps to it */
	char *chains; /* owned; the names of its chains, one a line */
};

/* Find that in what iptables-save says of the table. */
MUST_CHECK int firewall_text_find(const char *saved,
				  struct firewall_found *ret);
void firewall_text_found_done(struct firewall_found *found);

struct firewall_tables {
	struct firewall_found mangle;
	struct firewall_found filter;
};

/* Input for iptables-restore --noflush, or ip6tables-restore. */
MUST_CHECK int firewall_text_xtables(const struct policy *policy, bool is_ipv6,
				     const struct firewall_tables *found,
				     char **ret);

/* The same input that takes all of it away. */
MUST_CHECK int
firewall_text_xtables_removal(const struct firewall_tables *found, char **ret);
