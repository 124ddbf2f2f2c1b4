#include "toolcall/commands/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "gatekeeper/policy/glob.h"
#include "toolcall/commands/forms.h"
#include "toolcall/commands/sql.h"
#include "toolcall/commands/written_files.h"
#include "toolcall/shell/shell_output.h"

#define STEPS_MAX      200000 /* of an expression, at one place of a text */
#define PATH_BYTES_MAX 4096 /* of a path that the kernel takes, with its NUL */

struct expression {
	const struct clause *clause;
	pcre2_code *code;
};

struct commands {
	struct expression *expressions;
	size_t count;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct effort *effort; /* borrowed, or NULL */
};

/* At each place of a text that an expression is tried at: go on? */
static int ask_effort(pcre2_callout_block *block, void *context)
{
	const struct commands *commands = context;

	(void)block;
	return effort_is_spent(commands->effort) ? PCRE2_ERROR_CALLOUT : 0;
}

static int compile(struct commands *commands, const struct clause *clause)
{
	struct expression *grown = realloc(
		commands->expressions, (commands->count + 1) * sizeof(*grown));
	CLEANUP_FREE char *called = NULL;
	PCRE2_SIZE at;
	int error;

	if (grown)
		commands->expressions = grown;
	if (!grown || asprintf(&called, "(?C1)(?:%s)", clause->words[1]) < 0)
		return -ENOMEM;
	grown[commands->count].clause = clause;
	grown[commands->count].code =
		pcre2_compile((PCRE2_SPTR)called, PCRE2_ZERO_TERMINATED,
			      PCRE2_NEVER_UTF, &error, &at, NULL);
	if (!grown[commands->count].code)
		return -EINVAL;
	commands->count++;
	return 0;
}

static bool has_expression(const struct clause *clause)
{
	return clause->kind == CLAUSE_SAYS || clause->kind == CLAUSE_SQL;
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
	pcre2_set_callout(commands->limits, ask_effort, commands);
	for (size_t i = 0; !r && i < command_rule_count; i++)
		for (size_t j = 0; !r && j < command_rules[i].clause_count; j++)
			if (has_expression(&command_rules[i].clauses[j]))
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

void commands_allow(struct commands *commands, struct effort *effort)
{
	commands->effort = effort;
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

/*
 * A path of the rules: from its end, or from / on.  Of a longer word than any
 * path can be the end is looked at; with it no file can be opened as it is.
 */
static bool is_path(const char *pattern, const char *path)
{
	size_t length = strlen(pattern), left;

	while (path[0] == '.' && path[1] == '/')
		path += 2;
	left = strlen(path);
	if (left >= PATH_BYTES_MAX) {
		path += left - PATH_BYTES_MAX;
		left = PATH_BYTES_MAX;
	}
	if (glob_match(pattern, length, path, left))
		return true;
	if (pattern[0] == '/')
		return false;
	for (const char *at = memchr(path, '/', left); at;
	     at = memchr(path, '/', left)) {
		left -= (size_t)(at + 1 - path);
		path = at + 1;
		if (glob_match(pattern, length, path, left))
			return true;
	}
	return false;
}

struct listed {
	const struct clause *clause;
	struct effort *effort;
};

static bool is_listed(void *context, const char *path)
{
	const struct listed *listed = context;

	for (const char *const *words = listed->clause->words; *words; words++)
		if (effort_is_spent(listed->effort) || is_path(*words, path))
			return true;
	return false;
}

static bool matches(const struct commands *commands,
		    const struct clause *clause, const char *text)
{
	CLEANUP_FREE char *without = NULL;

	if (clause->kind == CLAUSE_SQL) {
		without = sql_without_texts(text);
		text = without ? without : text;
	}
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
		read = shell_output_of(shell, command->reads_from, 0);
	return read && matches(commands, clause, read);
}

static bool breaks(const struct commands *commands, const struct clause *clause,
		   const struct shell *shell)
{
	if (clause->kind == CLAUSE_FORM)
		return form_holds(clause->form, shell);
	for (size_t i = 0; i < shell->count; i++) {
		const struct shell_command *command = &shell->commands[i];
		struct listed listed = {clause, shell->effort};
		bool found = false;

		if (effort_is_spent(shell->effort))
			return false;

		switch (clause->kind) {
		case CLAUSE_RUN:
			found = runs(clause, command);
			break;
		case CLAUSE_WRITE:
			found = written_files_any(command, is_listed, &listed);
			break;
		case CLAUSE_SAYS:
		case CLAUSE_SQL:
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
		if (broken && !effort_is_spent(shell->effort))
			found(context, rule);
	}
}

void commands_judge_write(const struct commands *commands, const char *path,
			  uint32_t kinds, commands_fn found, void *context)
{
	for (size_t i = 0; i < command_rule_count; i++) {
		const struct command_rule *rule = &command_rules[i];
		bool broken = false;

		if (!(kinds & (UINT32_C(1) << rule->kind)))
			continue;
		for (size_t j = 0; !broken && j < rule->clause_count; j++) {
			struct listed listed = {&rule->clauses[j],
						commands->effort};

			broken = rule->clauses[j].kind == CLAUSE_WRITE &&
				 is_listed(&listed, path);
		}
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

			broken = has_expression(clause) &&
				 matches_any(clause->words[0], "sql") &&
				 matches(commands, clause, text);
		}
		if (broken)
			found(context, rule);
	}
}
