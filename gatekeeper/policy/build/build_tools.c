#include "gatekeeper/policy/build/build_tools.h"

#include <errno.h>
#include <string.h>

#include "gatekeeper/policy/build/builder.h"
#include "gatekeeper/policy/glob.h"

static int add_conditions(struct policy_builder *builder,
			  const struct policy_tool_spec *spec)
{
	for (size_t i = 0; i < spec->condition_count; i++) {
		const struct policy_condition_spec *from = &spec->conditions[i];

		for (size_t j = 0; j < from->value_count; j++) {
			struct policy_condition condition = {
				.compare = from->compare,
				.negated = from->negated,
				.case_sensitive = from->case_sensitive,
				.or_next = j + 1 < from->value_count,
			};

			if (builder_text(builder, from->field,
					 &condition.field) ||
			    builder_text(builder, from->values[j],
					 &condition.value) ||
			    array_add(&builder->conditions, &condition,
				      sizeof(condition), NULL))
				return -ENOMEM;
		}
	}
	return 0;
}

int build_tools_rule(struct policy_builder *builder,
		     const struct policy_tool_spec *spec)
{
	struct policy_account *account = ARRAY_AT(
		builder->accounts, struct policy_account, spec->account);
	struct policy_tool tool = {
		.next = account->tools,
		.conditions = builder->conditions.count,
		.max = spec->max,
		.per_s = spec->per_s,
		.by_name_only = spec->by_name_only,
	};
	struct policy_rule rule = {
		.next = POLICY_NONE,
		.digest = POLICY_NONE,
		.effect = (uint8_t)spec->effect,
		.is_pattern =
			glob_is_pattern(spec->pattern, strlen(spec->pattern)),
	};

	if (builder_rule(builder, &spec->meta, &rule, &tool.rule) ||
	    builder_text(builder, spec->pattern, &tool.pattern) ||
	    add_conditions(builder, spec))
		return -ENOMEM;
	tool.condition_count = builder->conditions.count - tool.conditions;
	return array_add(&builder->tools, &tool, sizeof(tool), &account->tools);
}

void build_tools_inspect(struct policy_builder *builder, uint32_t account,
			 enum policy_inspect_kind kind,
			 enum policy_inspect calls, enum policy_inspect results)
{
	struct policy_account *entry =
		ARRAY_AT(builder->accounts, struct policy_account, account);

	entry->inspect_calls[kind] = (uint8_t)calls;
	entry->inspect_results[kind] = (uint8_t)results;
}
