/*
 * The group `tools`: which tools may be called, with what, and what calls and
 * their results are searched for.  A regular expression is compiled here only
 * to know that it can be; leash-toolcall compiles it again.
 */

#include "gatekeeper/config/rules/tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/config/rules/rule_meta.h"
#include "gatekeeper/config/rules/tools_inspect.h"
#include "gatekeeper/policy/build/build_tools.h"
#include "gatekeeper/policy/pattern_options.h"

#define CONDITIONS_MAX 16
#define VALUES_MAX     64
#define NUMBER_SIZE    32
#define TOOLS_MAX      4096 /* of one account: they are tried one by one */
#define CALLS_MAX      10000
#define PER_MAX_S      86400

struct condition_entry {
	struct policy_condition_spec spec;
	const config_setting_t *value;
	bool has_operator;
};

struct tool_entry {
	struct policy_rule_meta meta; /* first: rule_meta_*() expect it */
	struct policy_tool_spec spec;
	struct policy_condition_spec conditions[CONDITIONS_MAX];
	/* What their values point to. */
	const char *values[CONDITIONS_MAX][VALUES_MAX];
	char numbers[CONDITIONS_MAX][VALUES_MAX][NUMBER_SIZE];
};

static const struct operator_word {
	const char *word;
	enum policy_operator compare;
	bool negated;
} operators[] = {
	{"equals", POLICY_OPERATOR_EQUALS, false},
	{"not_equals", POLICY_OPERATOR_EQUALS, true},
	{"in", POLICY_OPERATOR_EQUALS, false},
	{"not_in", POLICY_OPERATOR_EQUALS, true},
	{"contains", POLICY_OPERATOR_CONTAINS, false},
	{"not_contains", POLICY_OPERATOR_CONTAINS, true},
	{"starts_with", POLICY_OPERATOR_STARTS_WITH, false},
	{"ends_with", POLICY_OPERATOR_ENDS_WITH, false},
	{"glob", POLICY_OPERATOR_GLOB, false},
	{"not_glob", POLICY_OPERATOR_GLOB, true},
	{"matches", POLICY_OPERATOR_MATCHES, false},
	{"not_matches", POLICY_OPERATOR_MATCHES, true},
	{"greater_than", POLICY_OPERATOR_GREATER_THAN, false},
	{"less_than", POLICY_OPERATOR_LESS_THAN, false},
};

#define OPERATORS (sizeof(operators) / sizeof(operators[0]))

static int read_field(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	struct condition_entry *entry = context;

	schema_string(compiler, setting, &entry->spec.field);
	return 0;
}

static const struct operator_word *find_operator(const char *word)
{
	for (size_t i = 0; i < OPERATORS; i++)
		if (!strcmp(operators[i].word, word))
			return &operators[i];
	return NULL;
}

static int read_operator(struct compiler *compiler,
			 const config_setting_t *setting, void *context)
{
	struct condition_entry *entry = context;
	const struct operator_word *found;
	char known[256] = "";
	const char *word;

	if (!schema_string(compiler, setting, &word))
		return 0;
	found = find_operator(word);
	if (found) {
		entry->spec.compare = found->compare;
		entry->spec.negated = found->negated;
		entry->has_operator = true;
		return 0;
	}
	for (size_t i = 0; i < OPERATORS; i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known),
			 "%s%s", i ? ", " : "", operators[i].word);
	compiler_error(compiler, setting,
		       "is \"%s\", which compares nothing; there are: %s", word,
		       known);
	return 0;
}

static int read_value(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	struct condition_entry *entry = context;

	(void)compiler;
	entry->value = setting;
	return 0;
}

static int read_case(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct condition_entry *entry = context;

	schema_bool(compiler, setting, &entry->spec.case_sensitive);
	return 0;
}

/* One value as text; NULL: reported. */
static const char *value_text(struct compiler *compiler,
			      const config_setting_t *setting,
			      char number[static NUMBER_SIZE])
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		return config_setting_get_string(setting);
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(number, NUMBER_SIZE, "%lld",
			 config_setting_get_int64(setting));
		return number;
	case CONFIG_TYPE_FLOAT:
		snprintf(number, NUMBER_SIZE, "%.17g",
			 config_setting_get_float(setting));
		return number;
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(setting) ? "true" : "false";
	default:
		compiler_error(compiler, setting,
			       "must be a text, a number, or true or false");
		return NULL;
	}
}

static void check_pattern(struct compiler *compiler,
			  const config_setting_t *setting, const char *pattern,
			  bool case_sensitive)
{
	PCRE2_UCHAR text[256];
	PCRE2_SIZE at;
	int error;
	pcre2_code *code = pcre2_compile(
		(PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
		POLICY_PATTERN_OPTIONS(case_sensitive), &error, &at, NULL);

	if (code) {
		pcre2_code_free(code);
		return;
	}
	pcre2_get_error_message(error, text, sizeof(text));
	compiler_error(compiler, setting,
		       "is no regular expression: %s, at character %zu",
		       (const char *)text, at + 1);
}

static bool is_number(const char *text)
{
	char *end;

	strtod(text, &end);
	return end != text && !*end;
}

static void check_value(struct compiler *compiler,
			const config_setting_t *setting,
			const struct policy_condition_spec *spec,
			const char *text)
{
	enum policy_operator compare = spec->compare;

	if (compare == POLICY_OPERATOR_MATCHES)
		check_pattern(compiler, setting, text, spec->case_sensitive);
	if ((compare == POLICY_OPERATOR_GREATER_THAN ||
	     compare == POLICY_OPERATOR_LESS_THAN) &&
	    !is_number(text))
		compiler_error(compiler, setting, "must be a number");
	if (!*text && compare != POLICY_OPERATOR_EQUALS)
		compiler_error(compiler, setting, "is empty");
}

static void read_values(struct compiler *compiler, struct tool_entry *tool,
			struct condition_entry *entry)
{
	size_t at = tool->spec.condition_count;
	const config_setting_t *value = entry->value;
	int type = config_setting_type(value);
	bool list = type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
	int count = list ? config_setting_length(value) : 1;

	if (list && entry->spec.compare != POLICY_OPERATOR_EQUALS) {
		compiler_error(compiler, value,
			       "is a list; only \"in\" and \"not_in\" take "
			       "one");
		return;
	}
	if (!count || count > VALUES_MAX) {
		compiler_error(compiler, value,
			       "has %d values; it must have 1 to %d", count,
			       VALUES_MAX);
		return;
	}
	for (int i = 0; i < count; i++) {
		const config_setting_t *one =
			list ? config_setting_get_elem(value, (unsigned int)i)
			     : value;
		const char *text =
			value_text(compiler, one, tool->numbers[at][i]);

		if (!text)
			return;
		check_value(compiler, one, &entry->spec, text);
		tool->values[at][i] = text;
	}
	entry->spec.values = tool->values[at];
	entry->spec.value_count = (size_t)count;
	tool->conditions[tool->spec.condition_count++] = entry->spec;
}

static int read_condition(struct compiler *compiler,
			  const config_setting_t *setting,
			  struct tool_entry *tool)
{
	static const struct schema_key keys[] = {
		{"field", read_field}, {"operator", read_operator},
		{"value", read_value}, {"case_sensitive", read_case},
		{NULL, NULL},
	};
	struct condition_entry entry = {.value = NULL};
	int errors = compiler->report->errors;
	int r = schema_read(compiler, setting, keys, &entry);

	if (r || compiler->report->errors != errors)
		return r;
	if (!entry.spec.field || !entry.has_operator || !entry.value) {
		compiler_error(compiler, setting,
			       "%s is missing; a condition is { field = "
			       "\"command\"; operator = \"starts_with\"; value "
			       "= \"git \"; }",
			       !entry.spec.field     ? "field"
			       : !entry.has_operator ? "operator"
						     : "value");
		return 0;
	}
	read_values(compiler, tool, &entry);
	return 0;
}

static int read_when(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct tool_entry *tool = context;
	int count, r = 0;

	if (!schema_list(compiler, setting))
		return 0;
	count = config_setting_length(setting);
	if (count > CONDITIONS_MAX) {
		compiler_error(compiler, setting,
			       "has %d conditions; it may have %d", count,
			       CONDITIONS_MAX);
		return 0;
	}
	for (int i = 0; !r && i < count; i++)
		r = read_condition(
			compiler,
			config_setting_get_elem(setting, (unsigned int)i),
			tool);
	return r;
}

static int read_tool(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct tool_entry *tool = context;

	schema_string(compiler, setting, &tool->spec.pattern);
	return 0;
}

static int read_max(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct tool_entry *tool = context;
	long long value;

	if (schema_integer(compiler, setting, 1, CALLS_MAX, &value))
		tool->spec.max = (uint32_t)value;
	return 0;
}

static int read_per(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct tool_entry *tool = context;
	long long value;

	if (schema_integer(compiler, setting, 1, PER_MAX_S, &value))
		tool->spec.per_s = (uint32_t)value;
	return 0;
}

static int read_by_name_only(struct compiler *compiler,
			     const config_setting_t *setting, void *context)
{
	struct tool_entry *tool = context;

	schema_bool(compiler, setting, &tool->spec.by_name_only);
	return 0;
}

static const struct schema_key tool_keys[] = {
	{"tool", read_tool},
	{"when", read_when},
	{"max", read_max},
	{"per", read_per},
	{"by_name_only", read_by_name_only},
	RULE_META_KEYS,
	{NULL, NULL},
};

static void check_tool(struct compiler *compiler,
		       const config_setting_t *setting,
		       const struct tool_entry *tool)
{
	bool denies = tool->spec.effect == POLICY_EFFECT_DENY;

	if (!tool->spec.pattern)
		compiler_error(compiler, setting,
			       "tool is missing: the name of the tool, or a "
			       "pattern such as \"mcp__files__read_*\"");
	if (!tool->spec.max != !tool->spec.per_s)
		compiler_error(compiler, setting,
			       "%s is missing; a limit is max calls per so "
			       "many seconds",
			       tool->spec.max ? "per" : "max");
	if (denies && (tool->spec.max || tool->spec.by_name_only))
		compiler_error(compiler, setting,
			       "is denied, and max, per and by_name_only say "
			       "how it would be allowed; remove them");
}

static int add_tool(struct compiler *compiler, const config_setting_t *setting,
		    struct tool_entry *tool)
{
	struct report_place place = compiler_place(compiler, setting);
	char origin[4200];

	snprintf(origin, sizeof(origin), "%s:%u", place.file, place.line);
	tool->spec.conditions = tool->conditions;
	tool->spec.meta = tool->meta;
	tool->spec.meta.origin = origin;
	return build_tools_rule(compiler->builder, &tool->spec);
}

static int read_one(struct compiler *compiler, const config_setting_t *setting,
		    struct tool_entry *tool)
{
	int errors = compiler->report->errors;
	int r = 0;

	if (config_setting_type(setting) == CONFIG_TYPE_STRING)
		schema_string(compiler, setting, &tool->spec.pattern);
	else if (config_setting_is_group(setting))
		r = schema_read(compiler, setting, tool_keys, tool);
	else
		compiler_error(compiler, setting,
			       "each entry must be a tool's name in quotes or "
			       "{ tool = ...; ... }");
	if (r || compiler->report->errors != errors)
		return r;
	check_tool(compiler, setting, tool);
	return compiler->report->errors != errors
		       ? 0
		       : add_tool(compiler, setting, tool);
}

static int read_tools(struct compiler *compiler,
		      const config_setting_t *setting,
		      struct account_entry *account, enum policy_effect effect)
{
	CLEANUP_FREE struct tool_entry *tool = malloc(sizeof(*tool));
	int count, r = 0;

	if (!tool)
		return -ENOMEM;
	if (!schema_list(compiler, setting))
		return 0;
	count = config_setting_length(setting);
	account->tool_count += (size_t)count;
	if (account->tool_count > TOOLS_MAX) {
		compiler_error(compiler, setting,
			       "makes %zu rules for the tools of \"%s\"; there "
			       "may be %d; use patterns",
			       account->tool_count, account->name, TOOLS_MAX);
		return 0;
	}
	for (int i = 0; !r && i < count; i++) {
		memset(tool, 0, sizeof(*tool));
		tool->spec.account = account->index;
		tool->spec.effect = effect;
		r = read_one(compiler,
			     config_setting_get_elem(setting, (unsigned int)i),
			     tool);
	}
	return r;
}

static int read_allow(struct compiler *compiler,
		      const config_setting_t *setting, void *account)
{
	return read_tools(compiler, setting, account, POLICY_EFFECT_CALL);
}

static int read_deny(struct compiler *compiler, const config_setting_t *setting,
		     void *account)
{
	return read_tools(compiler, setting, account, POLICY_EFFECT_DENY);
}

static int read_tools_default(struct compiler *compiler,
			      const config_setting_t *setting, void *account)
{
	return schema_default(compiler, setting, account, POLICY_CLASS_TOOLS);
}

int tools_rules(struct compiler *compiler, const config_setting_t *setting,
		void *account)
{
	static const struct schema_key keys[] = {
		{"allow", read_allow},
		{"deny", read_deny},
		{"default", read_tools_default},
		{"inspect", tools_inspect},
		{NULL, NULL},
	};

	return schema_read(compiler, setting, keys, account);
}
