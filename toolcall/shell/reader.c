#include "toolcall/shell/reader.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int reader_add(struct reader *reader, char c)
{
	reader->has_word = true;
	return shell_buffer_add(&reader->word, &c, c ? 1 : 0);
}

/* All commands in `( ... )` read what is piped into it. */
static int group_input(const struct reader *reader)
{
	int count = reader->group_count < READER_GROUPS_MAX
			    ? reader->group_count
			    : READER_GROUPS_MAX;

	return count ? reader->groups[count - 1] : -1;
}

int reader_command(struct reader *reader, struct shell_command **ret)
{
	struct shell *shell = reader->state->shell;
	struct shell_command *command;
	int r;

	if (reader->command < 0) {
		r = shell_state_add_command(reader->state, &command);
		if (r)
			return r;
		reader->command = (int)shell->count - 1;
		command->reads_from = reader->pipe_from >= 0
					      ? reader->pipe_from
					      : group_input(reader);
		command->part_of = reader->part_of;
		command->is_substitution = reader->is_substitution;
		command->decoded = reader->decoded;
		if (reader->pipe_from >= 0)
			shell->commands[reader->pipe_from].feeds =
				reader->command;
		reader->pipe_from = -1;
	}
	*ret = &shell->commands[reader->command];
	return 0;
}

static bool is_keyword(const char *text)
{
	static const char *const words[] = {
		"if", "then", "elif",	  "else",   "fi",
		"do", "done", "while",	  "until",  "!",
		"{",  "}",    "function", "coproc", "time",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

/* NAME=VALUE before a command, or alone. */
static bool is_assignment(const char *text)
{
	const char *at = text;

	if (!isalpha((unsigned char)*at) && *at != '_')
		return false;
	while (isalnum((unsigned char)*at) || *at == '_')
		at++;
	return *at == '=' || (*at == '+' && at[1] == '=');
}

/* What the dynamic linker, or an interpreter, would load unasked. */
static void notice_preload(struct shell *shell, const char *text)
{
	static const char *const names[] = {
		"LD_PRELOAD=",	      "LD_AUDIT=",	 "LD_LIBRARY_PATH=",
		"BASH_ENV=",	      "PROMPT_COMMAND=", "PYTHONSTARTUP=",
		"PERL5OPT=",	      "RUBYOPT=",	 "GIT_SSH_COMMAND=",
		"GIT_EXTERNAL_DIFF=",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(text, names[i], strlen(names[i])))
			shell->has_preload = true;
}

/* `{a,b,c}` as a whole word is several. */
static int add_braces(struct reader *reader, const char *text)
{
	CLEANUP_FREE char *copy = strndup(text + 1, strlen(text) - 2);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *part = strtok_r(copy, ",", &save); part && !r;
	     part = strtok_r(NULL, ",", &save)) {
		struct shell_command *command;

		r = reader_command(reader, &command);
		if (!r)
			r = shell_state_add_word(reader->state, command, part,
						 false);
	}
	return r;
}

int reader_finish_word(struct reader *reader)
{
	const char *text = reader->word.bytes ? reader->word.bytes : "";
	size_t length = reader->word.length;
	bool has = reader->has_word, quoted = reader->quoted;
	bool dynamic = reader->dynamic;
	struct shell_command *command;
	bool first = reader->command < 0;
	int r;

	reader->has_word = reader->quoted = reader->dynamic = false;
	reader->word.length = 0;
	if (!has || (!length && !quoted))
		return 0;
	if (!first)
		first = !reader->state->shell->commands[reader->command]
				 .word_count;
	if (first && !quoted && is_keyword(text))
		return 0;
	if (first && is_assignment(text)) {
		notice_preload(reader->state->shell, text);
		return shell_state_set_variable(reader->state, text, dynamic);
	}
	if (!quoted && length > 2 && text[0] == '{' &&
	    text[length - 1] == '}' && strchr(text, ','))
		return add_braces(reader, text);
	r = reader_command(reader, &command);
	return r ? r
		 : shell_state_add_word(reader->state, command, text, dynamic);
}

int reader_nested(struct reader *outer, const char *text, size_t length,
		  int part_of, bool is_substitution)
{
	const struct shell_nest nest = {
		.depth = outer->depth + 1,
		.part_of = part_of,
		.is_substitution = is_substitution,
		.decoded = outer->decoded,
	};

	return outer->state->read(outer->state, text, length, &nest);
}
