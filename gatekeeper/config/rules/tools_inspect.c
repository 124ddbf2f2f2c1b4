/*
 * `inspect` of the group `tools`: what calls and their results are searched
 * for, and what is done with what is found.
 */

#include "gatekeeper/config/rules/tools_inspect.h"

#include <string.h>

#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/policy/build/build_tools.h"

struct inspect_entry {
	const char *what;
	enum policy_inspect action;
	bool calls;
	bool results;
};

static int read_what(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct inspect_entry *entry = context;

	schema_string(compiler, setting, &entry->what);
	return 0;
}

static int read_action(struct compiler *compiler,
		       const config_setting_t *setting, void *context)
{
	static const char *const words[] = {
		[POLICY_INSPECT_NOT] = "ignore",
		[POLICY_INSPECT_OBSERVE] = "observe",
		[POLICY_INSPECT_REDACT] = "redact",
		[POLICY_INSPECT_DENY] = "deny",
	};
	struct inspect_entry *entry = context;
	const char *word;

	if (!schema_string(compiler, setting, &word))
		return 0;
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i])) {
			entry->action = (enum policy_inspect)i;
			return 0;
		}
	compiler_error(compiler, setting,
		       "is \"%s\"; it must be \"deny\", \"redact\", "
		       "\"observe\" or \"ignore\"",
		       word);
	return 0;
}

static int read_in(struct compiler *compiler, const config_setting_t *setting,
		   void *context)
{
	struct inspect_entry *entry = context;
	const char *word;

	if (!schema_string(compiler, setting, &word))
		return 0;
	entry->calls = !strcmp(word, "calls") || !strcmp(word, "both");
	entry->results = !strcmp(word, "results") || !strcmp(word, "both");
	if (!entry->calls && !entry->results)
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be \"calls\", \"results\" "
			       "or \"both\"",
			       word);
	return 0;
}

/* An account's own word counts more than that of its profiles. */
static void set_inspect(struct compiler *compiler,
			struct account_entry *account,
			enum policy_inspect_kind kind,
			const struct inspect_entry *entry)
{
	uint32_t bit = UINT32_C(1) << kind;

	if (compiler->in_profile && (account->inspects & bit))
		return;
	if (!compiler->in_profile)
		account->inspects |= bit;
	build_tools_inspect(compiler->builder, account->index, kind,
			    entry->calls ? entry->action : POLICY_INSPECT_NOT,
			    entry->results ? entry->action
					   : POLICY_INSPECT_NOT);
}

static bool is_command(unsigned int kind)
{
	return kind >= POLICY_INSPECT_PRIVILEGE && kind <= POLICY_INSPECT_RISKY;
}

static void apply_inspect(struct compiler *compiler,
			  const config_setting_t *setting,
			  struct account_entry *account,
			  struct inspect_entry *entry)
{
	static const struct {
		const char *word;
		enum policy_inspect_kind first, last;
	} groups[] = {
		{"commands", POLICY_INSPECT_PRIVILEGE,
		 POLICY_INSPECT_DESTRUCTIVE},
		{"personal", POLICY_INSPECT_CARD, POLICY_INSPECT_ADDRESS},
	};
	unsigned int first = POLICY_INSPECT_KINDS, last = 0;

	for (unsigned int i = 0; i < POLICY_INSPECT_KINDS; i++)
		if (!strcmp(entry->what, policy_inspect_word(i)))
			first = last = i;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (!strcmp(entry->what, groups[i].word)) {
			first = groups[i].first;
			last = groups[i].last;
		}
	if (first == POLICY_INSPECT_KINDS) {
		compiler_error(compiler, setting,
			       "\"%s\" is nothing that is searched for; there "
			       "are: secrets, commands (all of privilege, "
			       "remote, destructive), risky, personal (all of "
			       "card, iban, national-id, phone, email, "
			       "address)",
			       entry->what);
		return;
	}
	if (is_command(first)) {
		/* A command is one in what is called, not in an answer. */
		entry->results = false;
		if (entry->action == POLICY_INSPECT_REDACT) {
			compiler_error(compiler, setting,
				       "cannot redact %s: a command with a "
				       "hole is another command; use deny or "
				       "observe",
				       entry->what);
			return;
		}
	}
	for (unsigned int i = first; i <= last; i++)
		set_inspect(compiler, account, (enum policy_inspect_kind)i,
			    entry);
}

static int read_inspect_one(struct compiler *compiler,
			    const config_setting_t *setting,
			    struct account_entry *account)
{
	static const struct schema_key keys[] = {
		{"what", read_what},
		{"action", read_action},
		{"in", read_in},
		{NULL, NULL},
	};
	struct inspect_entry entry = {
		.action = POLICY_INSPECT_DENY,
		.calls = true,
		.results = true,
	};
	int errors = compiler->report->errors;
	int r = 0;

	if (config_setting_type(setting) == CONFIG_TYPE_STRING)
		schema_string(compiler, setting, &entry.what);
	else if (config_setting_is_group(setting))
		r = schema_read(compiler, setting, keys, &entry);
	else
		compiler_error(compiler, setting,
			       "each entry must be a word in quotes or { what "
			       "= ...; action = ...; }");
	if (r || compiler->report->errors != errors)
		return r;
	if (!entry.what)
		compiler_error(compiler, setting, "what is missing");
	else
		apply_inspect(compiler, setting, account, &entry);
	return 0;
}

int tools_inspect(struct compiler *compiler, const config_setting_t *setting,
		  void *account)
{
	int r = 0;

	if (!schema_list(compiler, setting))
		return 0;
	for (int i = 0; !r && i < config_setting_length(setting); i++)
		r = read_inspect_one(
			compiler,
			config_setting_get_elem(setting, (unsigned int)i),
			account);
	return r;
}
