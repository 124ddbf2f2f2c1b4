#pragma once

/*
 * net_table - the table of networks while an image grows
 */

#include "gatekeeper/base/array.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image_format.h"

struct net_table {
	struct array slots; /* struct policy_net, open addressing */
	struct array reaches;
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
