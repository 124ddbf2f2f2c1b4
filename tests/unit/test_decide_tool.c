/* Which rule decides of a tool call, and which tools are offered. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gatekeeper/policy/build/build_tools.h"
#include "gatekeeper/policy/decide_tool.h"
#include "gatekeeper/policy/image_format.h"
#include "tests/unit/made_policy.h"

#define NOW_S 1000

static struct made_policy made;

static int begin(void **state)
{
	(void)state;
	made_policy_begin(&made);
	return 0;
}

static int end(void **state)
{
	(void)state;
	policy_free(made.policy);
	return 0;
}

/* What a condition is true of stands in its value: yes, no or who knows. */
static struct policy_condition_spec when(const char *const *values,
					 size_t count)
{
	return (struct policy_condition_spec){
		.field = "x",
		.compare = POLICY_OPERATOR_EQUALS,
		.values = values,
		.value_count = count,
	};
}

#define WHEN(...)                                                              \
	when((const char *const[]){__VA_ARGS__},                               \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static int asked;

static enum policy_holds holds(void *context, const struct policy *policy,
			       const struct policy_condition *condition)
{
	const char *value = policy_text(policy, condition->value);

	assert_ptr_equal(context, &made);
	asked++;
	if (!strcmp(value, "yes"))
		return POLICY_HOLDS;
	return !strcmp(value, "no") ? POLICY_HOLDS_NOT : POLICY_HOLDS_UNKNOWN;
}

static void add_spec(struct policy_tool_spec spec)
{
	if (!spec.meta.origin)
		spec.meta.origin = spec.pattern;
	assert_int_equal(build_tools_rule(made.builder, &spec), 0);
}

static void add(enum policy_effect effect, const char *pattern)
{
	add_spec((struct policy_tool_spec){.effect = effect,
					   .pattern = pattern});
}

static void add_if(enum policy_effect effect, const char *pattern,
		   const struct policy_condition_spec *conditions, size_t count)
{
	add_spec((struct policy_tool_spec){.effect = effect,
					   .pattern = pattern,
					   .conditions = conditions,
					   .condition_count = count});
}

static struct policy_answer call_by(policy_condition_fn how, uint32_t account,
				    const char *tool, uint32_t *ret_tool)
{
	const struct policy_call call = {
		.account = account,
		.kind = POLICY_KIND_CALL,
		.tool = tool,
		.now_s = NOW_S,
		.holds = how,
		.context = &made,
	};
	struct policy_answer answer;

	policy_decide_tool(made.policy, &call, &answer, ret_tool);
	return answer;
}

static struct policy_answer call(const char *tool)
{
	uint32_t entry;
	struct policy_answer answer = call_by(holds, 0, tool, &entry);

	/* By which entry: only where one has allowed it. */
	assert_int_equal(entry == POLICY_NONE,
			 answer.verdict != POLICY_ALLOW ||
				 answer.rule == POLICY_NONE);
	if (entry != POLICY_NONE)
		assert_int_equal(policy_tool(made.policy, entry)->rule,
				 answer.rule);
	return answer;
}

static const char *decided_by(const struct policy_answer answer)
{
	return policy_text(made.policy,
			   policy_rule(made.policy, answer.rule)->origin);
}

static bool offers(const char *tool)
{
	return policy_offers_tool(made.policy, 0, tool, NOW_S);
}

static void patterns(void **state)
{
	(void)state;
	add(POLICY_EFFECT_CALL, "a*");
	add(POLICY_EFFECT_CALL, "ab*");
	add(POLICY_EFFECT_CALL, "*b");
	add(POLICY_EFFECT_DENY, "abc*");
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_CALL,
					   .pattern = "same",
					   .meta.origin = "first"});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_CALL,
					   .pattern = "same",
					   .meta.origin = "second"});
	made_policy_end(&made, 1);
	assert_string_equal(decided_by(call("ax")), "a*");
	assert_string_equal(decided_by(call("abx")), "ab*");
	assert_string_equal(decided_by(call("axb")), "a*");
	assert_string_equal(decided_by(call("xb")), "*b");
	assert_int_equal(call("ax").verdict, POLICY_ALLOW);
	assert_int_equal(call("ax").reason, POLICY_REASON_RULE);
	assert_true(call("ax").log);
	assert_int_equal(call("abcd").verdict, POLICY_DENY);
	assert_int_equal(call("abcd").reason, POLICY_REASON_RULE);
	assert_int_equal(call("abcb").verdict, POLICY_DENY);
	assert_int_equal(call("x").verdict, POLICY_DENY);
	assert_int_equal(call("x").reason, POLICY_REASON_DEFAULT);
	assert_int_equal(call("x").rule, POLICY_NONE);
	assert_true(call("x").log);
	assert_string_equal(decided_by(call("same")), "first");
	assert_true(offers("ax"));
	assert_false(offers("abcd"));
	assert_false(offers("x"));
}

/* Over in the second in which they end; and what is not logged. */
static void words(void **state)
{
	static const char *const names[] = {"over", "last"};

	(void)state;
	for (int i = 0; i < 2; i++)
		add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_CALL,
						   .pattern = names[i],
						   .meta.until_s = NOW_S + i});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_CALL,
					   .pattern = "quiet",
					   .meta.quiet = true});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_DENY,
					   .pattern = "no",
					   .meta.quiet = true});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_DENY,
					   .pattern = "looked",
					   .meta.observe = true});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_CALL,
					   .pattern = "both"});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_DENY,
					   .pattern = "both",
					   .meta.observe = true});
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_CALL,
					   .pattern = "odd",
					   .meta.observe = true});
	made_policy_end(&made, 1);
	assert_int_equal(call("over").verdict, POLICY_DENY);
	assert_int_equal(call("last").verdict, POLICY_ALLOW);
	assert_false(offers("over"));
	assert_true(offers("last"));
	assert_false(call("quiet").log);
	assert_true(call("no").log);
	assert_true(call("last").log);
	assert_int_equal(call("no").verdict, POLICY_DENY);
	/* A denial that is only looked at stands before an allowance. */
	assert_int_equal(call("looked").verdict, POLICY_OBSERVE);
	assert_int_equal(call("both").verdict, POLICY_OBSERVE);
	assert_int_equal(call("odd").verdict, POLICY_ALLOW);
	assert_false(offers("looked"));
	assert_true(offers("both"));
}

static void conditions(void **state)
{
	const struct policy_condition_spec yes[] = {WHEN("yes")},
					   no[] = {WHEN("no")},
					   odd[] = {WHEN("odd")},
					   any[] = {WHEN("no", "yes", "odd")},
					   none[] = {WHEN("no", "no")},
					   perhaps[] = {WHEN("no", "odd")},
					   both[] = {WHEN("yes"), WHEN("no")},
					   all[] = {WHEN("no", "yes"),
						    WHEN("yes")},
					   settled[] = {WHEN("odd"),
							WHEN("no")};
	struct policy_condition_spec not [] = {WHEN("yes")},
					 not_no[] = {WHEN("no", "no")};

	(void)state;
	not [0].negated = not_no[0].negated = true;
	add_if(POLICY_EFFECT_CALL, "yes", yes, 1);
	add_if(POLICY_EFFECT_CALL, "no", no, 1);
	add_if(POLICY_EFFECT_CALL, "odd", odd, 1);
	add_if(POLICY_EFFECT_CALL, "any", any, 1);
	add_if(POLICY_EFFECT_CALL, "none", none, 1);
	add_if(POLICY_EFFECT_CALL, "perhaps", perhaps, 1);
	add_if(POLICY_EFFECT_CALL, "both", both, 2);
	add_if(POLICY_EFFECT_CALL, "all", all, 2);
	add_if(POLICY_EFFECT_CALL, "settled", settled, 2);
	add_if(POLICY_EFFECT_CALL, "not", not, 1);
	add_if(POLICY_EFFECT_CALL, "not_no", not_no, 1);
	made_policy_end(&made, 1);
	assert_int_equal(call("yes").verdict, POLICY_ALLOW);
	assert_int_equal(call("no").reason, POLICY_REASON_DEFAULT);
	assert_int_equal(call("odd").verdict, POLICY_DENY);
	assert_int_equal(call("odd").reason, POLICY_REASON_CONDITION);
	assert_string_equal(decided_by(call("odd")), "odd");
	asked = 0;
	assert_int_equal(call("any").verdict, POLICY_ALLOW);
	assert_int_equal(asked, 2); /* one that holds is enough */
	assert_int_equal(call("none").reason, POLICY_REASON_DEFAULT);
	assert_int_equal(call("perhaps").reason, POLICY_REASON_CONDITION);
	assert_int_equal(call("both").reason, POLICY_REASON_DEFAULT);
	assert_int_equal(call("all").verdict, POLICY_ALLOW);
	assert_int_equal(call("settled").reason, POLICY_REASON_DEFAULT);
	assert_int_equal(call("not").reason, POLICY_REASON_DEFAULT);
	assert_int_equal(call("not_no").verdict, POLICY_ALLOW);
	/* They may hold for some call. */
	assert_true(offers("no"));
}

/* What denies if, and what cannot be told. */
static void denials(void **state)
{
	const struct policy_condition_spec yes[] = {WHEN("yes")},
					   no[] = {WHEN("no")},
					   odd[] = {WHEN("odd")};

	(void)state;
	add(POLICY_EFFECT_CALL, "*");
	add_if(POLICY_EFFECT_DENY, "yes", yes, 1);
	add_if(POLICY_EFFECT_DENY, "no", no, 1);
	add_if(POLICY_EFFECT_DENY, "odd", odd, 1);
	add(POLICY_EFFECT_DENY, "certain");
	add_if(POLICY_EFFECT_CALL, "certain", odd, 1);
	add_spec((struct policy_tool_spec){.effect = POLICY_EFFECT_DENY,
					   .pattern = "looked",
					   .conditions = odd,
					   .condition_count = 1,
					   .meta.observe = true});
	made_policy_end(&made, 1);
	assert_int_equal(call("yes").verdict, POLICY_DENY);
	assert_int_equal(call("no").verdict, POLICY_ALLOW);
	assert_int_equal(call("odd").reason, POLICY_REASON_CONDITION);
	assert_true(call("odd").log);
	assert_int_equal(call("certain").reason, POLICY_REASON_RULE);
	assert_int_equal(call("certain").verdict, POLICY_DENY);
	assert_int_equal(call("looked").verdict, POLICY_OBSERVE);
	assert_true(offers("yes")); /* for another call */
	assert_true(offers("looked"));
	assert_false(offers("certain"));
}

/* Nobody to ask: rules with conditions are as if not there. */
static void without_arguments(void **state)
{
	const struct policy_condition_spec no[] = {WHEN("no")};
	uint32_t entry;

	(void)state;
	add(POLICY_EFFECT_CALL, "a");
	add_if(POLICY_EFFECT_DENY, "a", no, 1);
	add_if(POLICY_EFFECT_CALL, "b", no, 1);
	made_policy_end(&made, 1);
	assert_int_equal(call_by(NULL, 0, "a", &entry).verdict, POLICY_ALLOW);
	assert_int_not_equal(entry, POLICY_NONE);
	assert_int_equal(call_by(NULL, 0, "b", &entry).verdict, POLICY_DENY);
	assert_int_equal(entry, POLICY_NONE);
}

/* Whatever an image says, a rule's alternatives end where its conditions do. */
static void end_of_alternatives(void **state)
{
	const struct policy_condition_spec no[] = {WHEN("no")},
					   yes[] = {WHEN("yes")};
	CLEANUP_FREE unsigned char *image = NULL;
	struct policy_condition *conditions;
	const struct policy_header *header;
	struct policy *view = NULL;

	(void)state;
	add_if(POLICY_EFFECT_CALL, "a", no, 1);
	add_if(POLICY_EFFECT_CALL, "b", yes, 1);
	made_policy_end(&made, 1);
	header = made.policy->header;
	image = malloc(made.policy->size);
	assert_non_null(image);
	memcpy(image, made.policy->base, made.policy->size);
	conditions = (void *)(image + header->conditions.offset);
	conditions[0].or_next = 1;
	assert_int_equal(policy_view(image, made.policy->size, &view), 0);
	policy_free(made.policy);
	made.policy = view;
	assert_int_equal(call("b").verdict, POLICY_ALLOW);
	assert_int_equal(call("a").verdict, POLICY_DENY);
	made.policy = policy_free(made.policy);
}

/* All may be called but what is denied. */
static void allowed_by_default(void **state)
{
	(void)state;
	policy_builder_account_default(made.builder, made.puppy,
				       POLICY_CLASS_TOOLS, POLICY_ALLOW);
	add(POLICY_EFFECT_DENY, "a");
	made_policy_end(&made, 1);
	assert_int_equal(call("a").verdict, POLICY_DENY);
	assert_int_equal(call("b").verdict, POLICY_ALLOW);
	assert_int_equal(call("b").reason, POLICY_REASON_DEFAULT);
	assert_true(call("b").log);
	assert_false(offers("a"));
	assert_true(offers("b"));
}

static void observed_account(void **state)
{
	const struct policy_condition_spec odd[] = {WHEN("odd")};
	uint32_t kitten, entry;

	(void)state;
	policy_builder_account_mode(made.builder, made.puppy,
				    POLICY_MODE_OBSERVE);
	kitten = made_policy_account(&made, "kitten", 1001);
	add(POLICY_EFFECT_DENY, "a");
	add_if(POLICY_EFFECT_CALL, "odd", odd, 1);
	add(POLICY_EFFECT_CALL, "b");
	made_policy_end(&made, 1);
	assert_int_equal(call("a").verdict, POLICY_OBSERVE);
	assert_int_equal(call("odd").verdict, POLICY_OBSERVE);
	assert_int_equal(call("odd").reason, POLICY_REASON_CONDITION);
	assert_int_equal(call("b").verdict, POLICY_ALLOW);
	assert_int_equal(call("none").verdict, POLICY_OBSERVE);
	assert_true(offers("a"));
	assert_true(offers("none"));
	assert_int_equal(call_by(holds, kitten, "b", &entry).verdict,
			 POLICY_DENY);
	assert_false(policy_offers_tool(made.policy, kitten, "b", NOW_S));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(patterns),
		CASE(words),
		CASE(conditions),
		CASE(denials),
		CASE(without_arguments),
		CASE(allowed_by_default),
		CASE(end_of_alternatives),
		CASE(observed_account),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
