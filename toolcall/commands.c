#include "toolcall/commands.h"

#include <errno.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "gatekeeper/policy/glob.h"
#include "toolcall/forms.h"
#include "toolcall/shell_parts.h"

#define STEPS_MAX 200000

struct expression {
	const struct clause *clause;
	pcre2_code *code;
};

struct commands {
	struct expression *expressions;
	size_t count;
	pcre2_match_data *match;
	pcre2_match_context *limits;
};

static int compile(struct commands *commands, const struct clause *clause)
{
	struct expression *grown = realloc(
		commands->expressions, (commands->count + 1) * sizeof(*grown));
	PCRE2_SIZE at;
	int error;

	if (!grown)
		return -ENOMEM;
	commands->expressions = grown;
	grown[commands->count].clause = clause;
	grown[commands->count].code = pcre2_compile(
		(PCRE2_SPTR)clause->words[1], PCRE2_ZERO_TERMINATED,
		PCRE2_NEVER_UTF, &error, &at, NULL);
	if (!grown[commands->count].code)
		return -EINVAL;
	commands->count++;
	return 0;
}

int commands_new(struct commands **ret)
{
	CLEANUP(commands_free)
	struct commands *commands = calloc(1, sizeof(*commands));
	int r = 0;

	if (!commands)
		return -ENOMEM;
	commands->match = pcre2_match_data_create(4, NULL);
	commands->limits = pcre2_match_context_create(NULL);
	if (!commands->match || !commands->limits)
		return -ENOMEM;
	pcre2_set_match_limit(commands->limits, STEPS_MAX);
	for (size_t i = 0; !r && i < command_rule_count; i++)
		for (size_t j = 0; !r && j < command_rules[i].clause_count; j++)
			if (command_rules[i].clauses[j].kind == CLAUSE_SAYS)
				r = compile(commands,
					    &command_rules[i].clauses[j]);
	if (!r)
		*ret = STEAL(commands);
	return r;
}

struct commands *commands_free(struct commands *commands)
{
	if (!commands)
		return NULL;
	for (size_t i = 0; i < commands->count; i++)
		pcre2_code_free(commands->expressions[i].code);
	free(commands->expressions);
	pcre2_match_data_free(commands->match);
	pcre2_match_context_free(commands->limits);
	free(commands);
	return NULL;
}

/* Does word match one of the alternatives `a|b|c*`? */
static bool matches_any(const char *alternatives, const char *word)
{
	size_t length = strlen(word);

	while (*alternatives) {
		size_t part = strcspn(alternatives, "|");

		if (glob_match(alternatives, part, word, length))
			return true;
		alternatives += part;
		alternatives += *alternatives == '|';
	}
	return false;
}

/* The first word that is no option, or may be the value of one before it. */
static bool has_first(const struct shell_command *command, const char *pattern)
{
	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;
		const char *before = command->words[i - 1].text;

		if (word[0] == '-')
			continue;
		if (matches_any(pattern, word))
			return true;
		if (i == 1 || before[0] != '-' || strchr(before, '='))
			return false;
	}
	return false;
}

static bool has_word(const struct shell_command *command, const char *pattern)
{
	for (size_t i = 1; i < command->word_count; i++)
		if (matches_any(pattern, command->words[i].text))
			return true;
	return false;
}

static bool runs(const struct clause *clause,
		 const struct shell_command *command)
{
	const char *const *words = clause->words;

	if (!command->word_count ||
	    !matches_any(words[0], shell_program(command)))
		return false;
	for (words++; *words; words++) {
		const char *pattern = *words;

		if (pattern[0] == '@'	? !has_first(command, pattern + 1)
		    : pattern[0] == '!' ? has_word(command, pattern + 1)
					: !has_word(command, pattern))
			return false;
	}
	return true;
}

/* A path of the rules: from its end, or from / on. */
static bool is_path(const char *pattern, const char *path)
{
	size_t length = strlen(pattern);

	while (path[0] == '.' && path[1] == '/')
		path += 2;
	if (glob_match(pattern, length, path, strlen(path)))
		return true;
	if (pattern[0] == '/')
		return false;
	for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/'))
		if (glob_match(pattern, length, at + 1, strlen(at + 1)))
			return true;
	return false;
}

static bool is_listed(void *context, const char *path)
{
	const struct clause *clause = context;

	for (const char *const *words = clause->words; *words; words++)
		if (is_path(*words, path))
			return true;
	return false;
}

static bool matches(const struct commands *commands,
		    const struct clause *clause, const char *text)
{
	for (size_t i = 0; i < commands->count; i++) {
		int r;

		if (commands->expressions[i].clause != clause)
			continue;
		r = pcre2_match(commands->expressions[i].code, (PCRE2_SPTR)text,
				strlen(text), 0, 0, commands->match,
				commands->limits);
		/* Too costly a text was made to be: take it as one. */
		return r != PCRE2_ERROR_NOMATCH;
	}
	return false;
}

static bool says(const struct commands *commands, const struct clause *clause,
		 const struct shell *shell, const struct shell_command *command)
{
	CLEANUP_FREE char *read = NULL;

	if (!command->word_count ||
	    !matches_any(clause->words[0], shell_program(command)))
		return false;
	for (size_t i = 1; i < command->word_count; i++)
		if (matches(commands, clause, command->words[i].text))
			return true;
	for (size_t i = 0; i < command->redirect_count; i++)
		if (command->redirects[i].kind == SHELL_REDIRECT_HERE &&
		    matches(commands, clause, command->redirects[i].target))
			return true;
	if (command->reads_from >= 0)
		read = shell_plain_output(shell, command->reads_from, 0);
	return read && matches(commands, clause, read);
}

static bool breaks(const struct commands *commands, const struct clause *clause,
		   const struct shell *shell)
{
	if (clause->kind == CLAUSE_FORM)
		return form_holds(clause->form, shell);
	for (size_t i = 0; i < shell->count; i++) {
		const struct shell_command *command = &shell->commands[i];
		bool found = false;

		switch (clause->kind) {
		case CLAUSE_RUN:
			found = runs(clause, command);
			break;
		case CLAUSE_WRITE:
			found = form_any_written(command, is_listed,
						 (void *)(uintptr_t)clause);
			break;
		case CLAUSE_SAYS:
			found = says(commands, clause, shell, command);
			break;
		case CLAUSE_FORM:
			break;
		}
		if (found)
			return true;
	}
	return false;
}

void commands_judge(const struct commands *commands, const struct shell *shell,
		    uint32_t kinds, commands_fn found, void *context)
{
	for (size_t i = 0; i < command_rule_count; i++) {
		const struct command_rule *rule = &command_rules[i];
		bool broken = false;

		if (!(kinds & (UINT32_C(1) << rule->kind)))
			continue;
		for (size_t j = 0; !broken && j < rule->clause_count; j++)
			broken = breaks(commands, &rule->clauses[j], shell);
		if (broken)
			found(context, rule);
	}
}

void commands_judge_write(const struct commands *commands, const char *path,
			  uint32_t kinds, commands_fn found, void *context)
{
	(void)commands;
	for (size_t i = 0; i < command_rule_count; i++) {
		const struct command_rule *rule = &command_rules[i];
		bool broken = false;

		if (!(kinds & (UINT32_C(1) << rule->kind)))
			continue;
		for (size_t j = 0; !broken && j < rule->clause_count; j++)
			broken = rule->clauses[j].kind == CLAUSE_WRITE &&
				 is_listed((void *)(uintptr_t)&rule->clauses[j],
					   path);
		if (broken)
			found(context, rule);
	}
}

void commands_judge_sql(const struct commands *commands, const char *text,
			uint32_t kinds, commands_fn found, void *context)
{
	for (size_t i = 0; i < command_rule_count; i++) {
		const struct command_rule *rule = &command_rules[i];
		bool broken = false;

		if (!(kinds & (UINT32_C(1) << rule->kind)))
			continue;
		for (size_t j = 0; !broken && j < rule->clause_count; j++) {
			const struct clause *clause = &rule->clauses[j];

			broken = clause->kind == CLAUSE_SAYS &&
				 matches_any(clause->words[0], "sql") &&
				 matches(commands, clause, text);
		}
		if (broken)
			found(context, rule);
	}
}
