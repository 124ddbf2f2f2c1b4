#include "toolcall/conditions.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gatekeeper/policy/glob.h"
#include "gatekeeper/policy/pattern_options.h"

#define STEPS_MAX  1000000
#define NUMBER_MAX 40

struct conditions {
	pcre2_code **codes; /* by the condition's index; NULL: no expression */
	uint32_t count;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct effort *effort; /* borrowed, or NULL */
};

struct value {
	const char *text;
	size_t length;
};

/* PCRE2_AUTO_CALLOUT: at each step of an expression. */
static int ask_effort(pcre2_callout_block *block, void *context)
{
	const struct conditions *conditions = context;

	(void)block;
	return effort_is_spent(conditions->effort) ? PCRE2_ERROR_CALLOUT : 0;
}

int conditions_new(const struct policy *policy, struct conditions **ret)
{
	CLEANUP(conditions_free)
	struct conditions *conditions = calloc(1, sizeof(*conditions));
	uint32_t count = policy_condition_count(policy);

	if (!conditions)
		return -ENOMEM;
	conditions->codes = calloc(count + 1, sizeof(*conditions->codes));
	conditions->match = pcre2_match_data_create(4, NULL);
	conditions->limits = pcre2_match_context_create(NULL);
	if (!conditions->codes || !conditions->match || !conditions->limits)
		return -ENOMEM;
	conditions->count = count;
	pcre2_set_match_limit(conditions->limits, STEPS_MAX);
	pcre2_set_callout(conditions->limits, ask_effort, conditions);
	for (uint32_t i = 0; i < count; i++) {
		const struct policy_condition *one =
			policy_condition(policy, i);
		PCRE2_SIZE at;
		int error;

		/*
		 * It compiled when the configuration was read; without memory
		 * it stays NULL, and then nobody can tell.
		 */
		if (one->compare == POLICY_OPERATOR_MATCHES)
			conditions->codes[i] = pcre2_compile(
				(PCRE2_SPTR)policy_text(policy, one->value),
				one->value.length,
				POLICY_PATTERN_OPTIONS(one->case_sensitive),
				&error, &at, NULL);
	}
	*ret = STEAL(conditions);
	return 0;
}

struct conditions *conditions_free(struct conditions *conditions)
{
	if (!conditions)
		return NULL;
	for (uint32_t i = 0; conditions->codes && i < conditions->count; i++)
		pcre2_code_free(conditions->codes[i]);
	free(conditions->codes);
	pcre2_match_data_free(conditions->match);
	pcre2_match_context_free(conditions->limits);
	free(conditions);
	return NULL;
}

void conditions_allow(struct conditions *conditions, struct effort *effort)
{
	conditions->effort = effort;
}

static enum policy_holds holds_if(bool yes)
{
	return yes ? POLICY_HOLDS : POLICY_HOLDS_NOT;
}

static bool same(const char *a, const char *b, size_t length, bool exact)
{
	return exact ? !memcmp(a, b, length) : !strncasecmp(a, b, length);
}

static bool contains(struct value value, struct value part, bool exact)
{
	for (size_t i = 0; i + part.length <= value.length; i++)
		if (same(value.text + i, part.text, part.length, exact))
			return true;
	return false;
}

/* A text may hold a NUL, so its length is what counts.  NULL: no memory. */
static char *lower_case(struct value value)
{
	char *lower = malloc(value.length + 1);

	for (size_t i = 0; lower && i < value.length; i++)
		lower[i] = (char)tolower((unsigned char)value.text[i]);
	return lower;
}

static enum policy_holds fits_glob(struct value value, struct value pattern,
				   bool exact)
{
	CLEANUP_FREE char *lower = NULL;
	CLEANUP_FREE char *lower_pattern = NULL;

	if (exact)
		return holds_if(glob_match(pattern.text, pattern.length,
					   value.text, value.length));
	lower = lower_case(value);
	lower_pattern = lower_case(pattern);
	if (!lower || !lower_pattern)
		return POLICY_HOLDS_UNKNOWN;
	return holds_if(
		glob_match(lower_pattern, pattern.length, lower, value.length));
}

/* However long it is written: a number that is cut is another. */
static bool compare_numbers(enum policy_operator compare, struct value value,
			    const char *limit)
{
	char *end;
	double number = strtod(value.text, &end);

	if (!value.length || end != value.text + value.length)
		return false;
	return compare == POLICY_OPERATOR_GREATER_THAN
		       ? number > strtod(limit, NULL)
		       : number < strtod(limit, NULL);
}

static enum policy_holds matches(const struct conditions *conditions,
				 pcre2_code *code, struct value value)
{
	int r = code ? pcre2_match(code, (PCRE2_SPTR)value.text, value.length,
				   0, 0, conditions->match, conditions->limits)
		     : PCRE2_ERROR_NOMEMORY;

	return r >= 0			  ? POLICY_HOLDS
	       : r == PCRE2_ERROR_NOMATCH ? POLICY_HOLDS_NOT
					  : POLICY_HOLDS_UNKNOWN;
}

static enum policy_holds holds_of(const struct conditions *conditions,
				  const struct policy *policy,
				  const struct policy_condition *condition,
				  struct value value)
{
	const struct value wanted = {
		policy_text(policy, condition->value),
		condition->value.length,
	};
	enum policy_operator compare = (enum policy_operator)condition->compare;
	bool exact = condition->case_sensitive;
	size_t index = (size_t)(condition - policy_condition(policy, 0));
	const char *end = value.text + value.length;

	if (effort_is_spent_now(conditions->effort))
		return POLICY_HOLDS_UNKNOWN;
	switch (compare) {
	case POLICY_OPERATOR_EQUALS:
		return holds_if(
			value.length == wanted.length &&
			same(value.text, wanted.text, wanted.length, exact));
	case POLICY_OPERATOR_CONTAINS:
		return holds_if(contains(value, wanted, exact));
	case POLICY_OPERATOR_STARTS_WITH:
		return holds_if(
			value.length >= wanted.length &&
			same(value.text, wanted.text, wanted.length, exact));
	case POLICY_OPERATOR_ENDS_WITH:
		return holds_if(value.length >= wanted.length &&
				same(end - wanted.length, wanted.text,
				     wanted.length, exact));
	case POLICY_OPERATOR_MATCHES:
		return matches(conditions, conditions->codes[index], value);
	case POLICY_OPERATOR_GREATER_THAN:
	case POLICY_OPERATOR_LESS_THAN:
		return holds_if(compare_numbers(compare, value, wanted.text));
	case POLICY_OPERATOR_GLOB:
		return fits_glob(value, wanted, exact);
	}
	return POLICY_HOLDS_UNKNOWN;
}

static struct value as_text(const json_t *json, char number[static NUMBER_MAX])
{
	struct value value = {number, 0};

	switch (json_typeof(json)) {
	case JSON_STRING:
		return (struct value){json_string_value(json),
				      json_string_length(json)};
	case JSON_INTEGER:
		snprintf(number, NUMBER_MAX, "%" JSON_INTEGER_FORMAT,
			 json_integer_value(json));
		break;
	case JSON_REAL:
		snprintf(number, NUMBER_MAX, "%.17g", json_real_value(json));
		break;
	case JSON_TRUE:
		return (struct value){"true", 4};
	case JSON_FALSE:
		return (struct value){"false", 5};
	case JSON_NULL:
		return (struct value){"null", 4};
	case JSON_OBJECT:
	case JSON_ARRAY:
		return (struct value){NULL, 0};
	}
	value.length = strlen(number);
	return value;
}

struct search_for {
	const struct conditions *conditions;
	const struct policy *policy;
	const struct policy_condition *condition;
};

static enum policy_holds holds_at(const struct search_for *search,
				  const json_t *json, const char *field);

/* Of any of them: an object's, or an array's. */
static enum policy_holds any_holds(const struct search_for *search,
				   const json_t *json, const char *rest)
{
	enum policy_holds any = POLICY_HOLDS_NOT, one;
	const char *name;
	json_t *value;
	size_t index;

	json_object_foreach((json_t *)(uintptr_t)json, name, value)
	{
		one = holds_at(search, value, rest);
		if (one == POLICY_HOLDS)
			return one;
		any = one == POLICY_HOLDS_UNKNOWN ? one : any;
	}
	json_array_foreach(json, index, value)
	{
		one = holds_at(search, value, rest);
		if (one == POLICY_HOLDS)
			return one;
		any = one == POLICY_HOLDS_UNKNOWN ? one : any;
	}
	return any;
}

static enum policy_holds holds_at(const struct search_for *search,
				  const json_t *json, const char *field)
{
	size_t length = strcspn(field, ".");
	const char *rest = field + length + (field[length] == '.');
	char key[256], number[NUMBER_MAX];
	json_t *value = NULL;

	if (!*field) {
		struct value text = as_text(json, number);

		return text.text ? holds_of(search->conditions, search->policy,
					    search->condition, text)
				 : POLICY_HOLDS_NOT;
	}
	if (length == 1 && field[0] == '*')
		return any_holds(search, json, rest);
	if (length >= sizeof(key))
		return POLICY_HOLDS_UNKNOWN;
	memcpy(key, field, length);
	key[length] = '\0';
	if (json_is_object(json))
		value = json_object_get(json, key);
	else if (json_is_array(json) && !key[strspn(key, "0123456789")])
		value = json_array_get(json, strtoul(key, NULL, 10));
	return value ? holds_at(search, value, rest) : POLICY_HOLDS_NOT;
}

enum policy_holds conditions_hold(const struct conditions *conditions,
				  const struct policy *policy,
				  const struct policy_condition *condition,
				  const json_t *arguments)
{
	const struct search_for search = {conditions, policy, condition};

	return arguments ? holds_at(&search, arguments,
				    policy_text(policy, condition->field))
			 : POLICY_HOLDS_NOT;
}
