#include "toolcall/conditions.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "gatekeeper/policy/glob.h"

#define STEPS_MAX  1000000
#define NUMBER_MAX 40

struct conditions {
	pcre2_code **codes; /* by the condition's index; NULL: no expression */
	uint32_t count;
	pcre2_match_data *match;
	pcre2_match_context *limits;
};

struct value {
	const char *text;
	size_t length;
};

int conditions_new(const struct policy *policy, struct conditions **ret)
{
	CLEANUP(conditions_free)
	struct conditions *conditions = calloc(1, sizeof(*conditions));
	uint32_t count = policy->header->conditions.count;

	if (!conditions)
		return -ENOMEM;
	conditions->codes = calloc(count + 1, sizeof(*conditions->codes));
	conditions->match = pcre2_match_data_create(4, NULL);
	conditions->limits = pcre2_match_context_create(NULL);
	if (!conditions->codes || !conditions->match || !conditions->limits)
		return -ENOMEM;
	conditions->count = count;
	pcre2_set_match_limit(conditions->limits, STEPS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const struct policy_condition *one = &policy->conditions[i];
		PCRE2_SIZE at;
		int error;

		/* It compiled when the configuration was read. */
		if (one->compare == POLICY_OPERATOR_MATCHES)
			conditions->codes[i] = pcre2_compile(
				(PCRE2_SPTR)policy_text(policy, one->value),
				one->value.length,
				one->case_sensitive ? 0 : PCRE2_CASELESS,
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

static bool fits_glob(struct value value, struct value pattern, bool exact)
{
	CLEANUP_FREE char *lower = NULL;
	CLEANUP_FREE char *lower_pattern = NULL;

	if (exact)
		return glob_match(pattern.text, pattern.length, value.text,
				  value.length);
	lower = strndup(value.text, value.length);
	lower_pattern = strndup(pattern.text, pattern.length);
	if (!lower || !lower_pattern)
		return false;
	for (size_t i = 0; i < value.length; i++)
		lower[i] = (char)tolower((unsigned char)lower[i]);
	for (size_t i = 0; i < pattern.length; i++)
		lower_pattern[i] =
			(char)tolower((unsigned char)lower_pattern[i]);
	return glob_match(lower_pattern, pattern.length, lower, value.length);
}

static bool compare_numbers(enum policy_operator compare, struct value value,
			    const char *limit)
{
	char copy[64], *end;
	double number;

	if (!value.length || value.length >= sizeof(copy))
		return false;
	memcpy(copy, value.text, value.length);
	copy[value.length] = '\0';
	number = strtod(copy, &end);
	if (*end)
		return false;
	return compare == POLICY_OPERATOR_GREATER_THAN
		       ? number > strtod(limit, NULL)
		       : number < strtod(limit, NULL);
}

/* An expression too costly for the text counts as one that holds. */
static bool matches(const struct conditions *conditions, pcre2_code *code,
		    struct value value)
{
	return code && pcre2_match(code, (PCRE2_SPTR)value.text, value.length,
				   0, 0, conditions->match,
				   conditions->limits) != PCRE2_ERROR_NOMATCH;
}

static bool holds_of(const struct conditions *conditions,
		     const struct policy *policy,
		     const struct policy_condition *condition,
		     struct value value)
{
	const struct value wanted = {
		policy_text(policy, condition->value),
		condition->value.length,
	};
	bool exact = condition->case_sensitive;
	size_t index = (size_t)(condition - policy->conditions);

	switch ((enum policy_operator)condition->compare) {
	case POLICY_OPERATOR_EQUALS:
		return value.length == wanted.length &&
		       same(value.text, wanted.text, wanted.length, exact);
	case POLICY_OPERATOR_CONTAINS:
		return contains(value, wanted, exact);
	case POLICY_OPERATOR_STARTS_WITH:
		return value.length >= wanted.length &&
		       same(value.text, wanted.text, wanted.length, exact);
	case POLICY_OPERATOR_ENDS_WITH:
		return value.length >= wanted.length &&
		       same(value.text + value.length - wanted.length,
			    wanted.text, wanted.length, exact);
	case POLICY_OPERATOR_MATCHES:
		return matches(conditions, conditions->codes[index], value);
	case POLICY_OPERATOR_GREATER_THAN:
	case POLICY_OPERATOR_LESS_THAN:
		return compare_numbers((enum policy_operator)condition->compare,
				       value, wanted.text);
	case POLICY_OPERATOR_GLOB:
		return fits_glob(value, wanted, exact);
	}
	return false;
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

static bool holds_at(const struct search_for *search, const json_t *json,
		     const char *field)
{
	size_t length = strcspn(field, ".");
	const char *rest = field + length + (field[length] == '.');
	char key[256], number[NUMBER_MAX];
	bool each = length == 1 && field[0] == '*';
	const char *name;
	json_t *value;
	size_t index;

	if (!*field) {
		struct value text = as_text(json, number);

		return text.text && holds_of(search->conditions, search->policy,
					     search->condition, text);
	}
	if (length >= sizeof(key))
		return false;
	memcpy(key, field, length);
	key[length] = '\0';
	if (json_is_object(json) && !each) {
		value = json_object_get(json, key);
		return value && holds_at(search, value, rest);
	}
	if (json_is_object(json)) {
		json_object_foreach(
			(json_t *)(uintptr_t)json, name,
			value) if (holds_at(search, value, rest)) return true;
		return false;
	}
	if (!json_is_array(json))
		return false;
	if (!each && key[strspn(key, "0123456789")] == '\0') {
		value = json_array_get(json, strtoul(key, NULL, 10));
		return value && holds_at(search, value, rest);
	}
	json_array_foreach(
		json, index,
		value) if (each && holds_at(search, value, rest)) return true;
	return false;
}

bool conditions_hold(const struct conditions *conditions,
		     const struct policy *policy,
		     const struct policy_condition *condition,
		     const json_t *arguments)
{
	const struct search_for search = {conditions, policy, condition};

	return arguments && holds_at(&search, arguments,
				     policy_text(policy, condition->field));
}
