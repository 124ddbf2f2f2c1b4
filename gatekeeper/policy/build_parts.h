#pragma once

/*
 * build_parts - the builder, for build.c and build_tools.c
 *
 * Private to both.
 */

#include "gatekeeper/policy/build.h"
#include "gatekeeper/policy/edge_table.h"
#include "gatekeeper/policy/net_table.h"
#include "gatekeeper/policy/texts.h"

struct policy_builder {
	struct policy_header header;
	struct table uids, accounts, nodes, globs, rules, inodes, digests;
	struct table watch, resolvers, tools, conditions;
	struct texts texts;
	struct net_table nets;
	struct edge_table edges;
};

/* Keep a text, NULL as the empty one. */
MUST_CHECK int build_text(struct policy_builder *builder, const char *text,
			  struct policy_text *ret);

/* Complete rule, whose own fields are set, with what any rule may carry. */
MUST_CHECK int build_rule(struct policy_builder *builder,
			  const struct policy_words *words,
			  struct policy_rule *rule, uint32_t *ret);
