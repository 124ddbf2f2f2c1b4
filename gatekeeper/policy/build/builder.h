#pragma once

/*
 * builder - a policy image while it grows
 */

#include "gatekeeper/base/array.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/build/edge_table.h"
#include "gatekeeper/policy/build/net_table.h"
#include "gatekeeper/policy/build/rule_meta.h"
#include "gatekeeper/policy/build/texts.h"
#include "gatekeeper/policy/image.h"

struct policy_builder {
	struct policy_header header;
	struct array uids, accounts, nodes, globs, rules, inodes, digests;
	struct array watch, resolvers, tools, conditions;
	struct texts texts;
	struct net_table nets;
	struct edge_table edges;
};

/* Keep a text, NULL as the empty one. */
MUST_CHECK int builder_text(struct policy_builder *builder, const char *text,
			    struct policy_text *ret);

/* Complete rule, whose own fields are set, with meta, and add it. */
MUST_CHECK int builder_rule(struct policy_builder *builder,
			    const struct policy_rule_meta *meta,
			    struct policy_rule *rule, uint32_t *ret);
