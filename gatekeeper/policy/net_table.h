#pragma once

/*
 * net_table - the table of networks while an image grows
 *
 * Private to policy/build.c, as texts is.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/policy/texts.h"

struct net_table {
	struct table slots; /* struct policy_net, open addressing */
	struct table reaches;
	uint32_t used;
	uint64_t seed;
};

MUST_CHECK int net_table_init(struct net_table *nets, uint64_t seed);
void net_table_done(struct net_table *nets);

/* Put reach into the list of net, whose address is a prefix already. */
MUST_CHECK int net_table_add(struct net_table *nets,
			     const struct policy_net *net,
			     const struct policy_reach *reach);

/* Put reach before the list that begins at *first. */
MUST_CHECK int net_table_push(struct net_table *nets,
			      const struct policy_reach *reach,
			      uint32_t *first);
