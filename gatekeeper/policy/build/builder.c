#include "gatekeeper/policy/build/builder.h"

#include <errno.h>
#include <string.h>

int builder_text(struct policy_builder *builder, const char *text,
		 struct policy_text *ret)
{
	return texts_add(&builder->texts, text ? text : "",
			 text ? strlen(text) : 0, ret);
}

int builder_rule(struct policy_builder *builder,
		 const struct policy_rule_meta *meta, struct policy_rule *rule,
		 uint32_t *ret)
{
	rule->until_s = meta->until_s;
	rule->observe = meta->observe;
	rule->quiet = meta->quiet;
	if (builder_text(builder, meta->name ? meta->name : meta->origin,
			 &rule->name) ||
	    builder_text(builder, meta->origin, &rule->origin) ||
	    builder_text(builder, meta->reason, &rule->reason))
		return -ENOMEM;
	return array_add(&builder->rules, rule, sizeof(*rule), ret);
}
