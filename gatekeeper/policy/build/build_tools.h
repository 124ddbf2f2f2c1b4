#pragma once

/*
 * build_tools - the rules for tools, for a policy image
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/build/rule_meta.h"
#include "gatekeeper/policy/image.h"

struct policy_builder;

struct policy_condition_spec {
	const char *field;
	enum policy_operator compare;
	const char *const *values;
	size_t value_count; /* one, or alternatives to equal */
	bool negated;
	bool case_sensitive;
};

struct policy_tool_spec {
	uint32_t account;
	enum policy_effect effect; /* DENY or CALL */
	const char *pattern;
	const struct policy_condition_spec *conditions;
	size_t condition_count;
	uint32_t max; /* 0: no limit */
	uint32_t per_s;
	bool by_name_only;
	struct policy_rule_meta meta;
};

/* Add a rule. */
MUST_CHECK int build_tools_rule(struct policy_builder *builder,
				const struct policy_tool_spec *spec);
/* What is done about a kind of finding, in calls and in results. */
void build_tools_inspect(struct policy_builder *builder, uint32_t account,
			 enum policy_inspect_kind kind,
			 enum policy_inspect calls,
			 enum policy_inspect results);
