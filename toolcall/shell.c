/*
 * A reader of one pass with one state for each nested text.  It leans to the
 * side of seeing a command where there may be one: a keyword is stepped over,
 * an unclosed quote ends with the text.
 */

#include "toolcall/shell.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "toolcall/shell_parts.h"
#include "toolcall/reader.h"

#define FUNCTIONS_MAX 64 /* that are looked at for a fork bomb */

static int read_text(struct reader *reader);

int shell_buffer_add(struct shell_buffer *buffer, const char *bytes,
		     size_t length)
{
	if (buffer->length + length + 1 > buffer->room) {
		size_t room = (buffer->length + length + 64) * 2;
		char *grown = realloc(buffer->bytes, room);

		if (!grown)
			return -ENOMEM;
		buffer->bytes = grown;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	buffer->bytes[buffer->length] = '\0';
	return 0;
}

/* All commands in `( ... )` read what is piped into it. */
static int group_input(const struct reader *reader)
{
	int count = reader->group_count < GROUPS_MAX ? reader->group_count
						     : GROUPS_MAX;

	return count ? reader->groups[count - 1] : -1;
}

/* The command under way, begun if there is none. */
int reader_command(struct reader *reader, struct shell_command **ret)
{
	struct shell *shell = reader->state->shell;
	struct shell_command *command;
	int r;

	if (reader->command < 0) {
		r = shell_command_add(reader->state, &command);
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
			r = shell_word_add(command, part, false);
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
		return shell_variable_set(reader->state, text, dynamic);
	}
	if (!quoted && length > 2 && text[0] == '{' &&
	    text[length - 1] == '}' && strchr(text, ','))
		return add_braces(reader, text);
	r = reader_command(reader, &command);
	return r ? r : shell_word_add(command, text, dynamic);
}

/* Read a text that is nested in this one. */
int reader_nested(struct reader *outer, const char *text, size_t length,
		  int part_of, bool is_substitution)
{
	struct reader inner = {
		.state = outer->state,
		.at = text,
		.end = text + length,
		.depth = outer->depth + 1,
		.part_of = part_of,
		.is_substitution = is_substitution,
		.decoded = outer->decoded,
		.pipe_from = -1,
		.command = -1,
	};
	int r;

	if (inner.depth > SHELL_DEPTH_MAX)
		return SHELL_TOO_COMPLEX;
	r = read_text(&inner);
	free(inner.word.bytes);
	return r;
}

int shell_read_more(struct shell_state *state, const char *text, size_t length,
		    const struct shell_more *more)
{
	struct reader reader = {
		.state = state,
		.at = text,
		.end = text + length,
		.depth = more->depth,
		.part_of = more->part_of,
		.decoded = more->decoded,
		.pipe_from = -1,
		.command = -1,
	};
	int r;

	if (more->depth > SHELL_DEPTH_MAX)
		return SHELL_TOO_COMPLEX;
	r = read_text(&reader);
	free(reader.word.bytes);
	return r;
}

static int end_command(struct reader *reader)
{
	int r = reader_finish_word(reader);

	reader->command = -1;
	return r;
}

/* One line after another, up to the one that ends it. */
static int read_here(struct reader *reader)
{
	int r = 0;

	for (int i = 0; !r && i < reader->here_count; i++) {
		const char *from = reader->at;

		while (reader->at < reader->end) {
			const char *line = reader->at;
			const char *stop = memchr(line, '\n',
						  (size_t)(reader->end - line));
			size_t length;

			if (!stop)
				stop = reader->end;
			reader->at = stop < reader->end ? stop + 1 : stop;
			while (reader->here[i].strip && line < stop &&
			       *line == '\t')
				line++;
			length = (size_t)(stop - line);
			if (length == strlen(reader->here[i].end) &&
			    !strncmp(line, reader->here[i].end, length)) {
				r = shell_redirect_add(
					reader->state, reader->here[i].command,
					SHELL_REDIRECT_HERE, from,
					(size_t)(line - from));
				from = NULL;
				break;
			}
		}
		if (!r && from)
			r = shell_redirect_add(reader->state,
					       reader->here[i].command,
					       SHELL_REDIRECT_HERE, from,
					       (size_t)(reader->at - from));
	}
	reader->here_count = 0;
	return r;
}

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end &&
	       (*reader->at == ' ' || *reader->at == '\t'))
		reader->at++;
}

/* A word that stands alone, such as a file behind `>`; into reader->word. */
static int read_one_word(struct reader *reader);

static int read_here_mark(struct reader *reader, bool strip)
{
	struct shell_command *command;
	int r = read_one_word(reader);

	if (!r)
		r = reader_command(reader, &command);
	if (!r && reader->here_count < 8 && reader->word.length < 64) {
		snprintf(reader->here[reader->here_count].end, 64, "%s",
			 reader->word.bytes ? reader->word.bytes : "");
		reader->here[reader->here_count].command = reader->command;
		reader->here[reader->here_count++].strip = strip;
	}
	reader->word.length = 0;
	reader->has_word = reader->quoted = reader->dynamic = false;
	return r;
}

static int read_redirect(struct reader *reader)
{
	bool writes = *reader->at == '>';
	struct shell_command *command;
	const char *at = reader->at;
	bool text = false, copies = false;
	int r;

	/* `2>`: the number is no word. */
	if (reader->has_word && reader->word.bytes && !reader->quoted &&
	    reader->word.length <= 3 &&
	    strspn(reader->word.bytes, "0123456789&") == reader->word.length) {
		reader->word.length = 0;
		reader->has_word = false;
	}
	r = reader_finish_word(reader);
	if (!r)
		r = reader_command(reader, &command);
	if (r)
		return r;
	if (!writes && at + 1 < reader->end && at[1] == '<') {
		text = at + 2 < reader->end && at[2] == '<';
		reader->at += text ? 3 : 2;
		if (!text) {
			bool strip =
				reader->at < reader->end && *reader->at == '-';

			reader->at += strip;
			return read_here_mark(reader, strip);
		}
	} else {
		reader->at++;
		while (reader->at < reader->end && strchr(">|&", *reader->at)) {
			copies = copies || *reader->at == '&';
			reader->at++;
		}
		if (reader->at < reader->end && *reader->at == '>' && !writes) {
			writes = true;
			reader->at++;
		}
	}
	r = read_one_word(reader);
	/* `>&2` is no file. */
	if (!r && reader->has_word &&
	    !(copies && reader->word.bytes &&
	      strspn(reader->word.bytes, "0123456789-") == reader->word.length))
		r = shell_redirect_add(reader->state, reader->command,
				       text	? SHELL_REDIRECT_HERE
				       : writes ? SHELL_REDIRECT_WRITE
						: SHELL_REDIRECT_READ,
				       reader->word.bytes ? reader->word.bytes
							  : "",
				       reader->word.length);
	reader->word.length = 0;
	reader->has_word = reader->quoted = reader->dynamic = false;
	return r;
}

/* <(...) and >(...): a file name; what it reads or writes is the command's. */
static int read_process(struct reader *reader)
{
	const char *from = reader->at + 2;
	const char *to = reader_closing(from, reader->end);
	int r;

	reader->at = to < reader->end ? to + 1 : to;
	r = reader_add(reader, 0);
	reader->dynamic = true;
	if (!r)
		r = shell_buffer_add(&reader->word, "/dev/fd/63", 10);
	if (!r) {
		struct shell_command *command;

		r = reader_command(reader, &command);
	}
	return r ? r
		 : reader_nested(reader, from, (size_t)(to - from),
				 reader->command, true);
}

static int read_operator(struct reader *reader)
{
	char c = *reader->at;
	int r;

	if (c == '|' &&
	    !(reader->at + 1 < reader->end && reader->at[1] == '|')) {
		int before;

		r = reader_finish_word(reader);
		before = reader->command;
		reader->command = -1;
		if (before >= 0)
			reader->pipe_from = before;
		reader->at++;
		if (reader->at < reader->end && *reader->at == '&')
			reader->at++;
		return r;
	}
	r = end_command(reader);
	reader->pipe_from = -1;
	while (reader->at < reader->end && *reader->at == c)
		reader->at++;
	return r;
}

static int read_one_word(struct reader *reader)
{
	int r = 0;

	skip_blanks(reader);
	if (reader->at + 1 < reader->end && *reader->at == '<' &&
	    reader->at[1] == '(')
		return read_process(reader);
	while (!r && reader->at < reader->end &&
	       !strchr(" \t\n;|&<>()", *reader->at))
		r = reader_sign(reader);
	return r;
}

/* :(){ :|:& };: under whatever name. */
static void notice_fork_bomb(struct reader *reader)
{
	const char *at = reader->at;
	const struct shell *shell = reader->state->shell;
	const char *name = reader->word.bytes;
	size_t length = reader->word.length;
	const char *body;

	if (!length && reader->command >= 0 &&
	    shell->commands[reader->command].word_count == 1) {
		name = shell->commands[reader->command].words[0].text;
		length = strlen(name);
	}

	if (!length || at + 1 >= reader->end || at[1] != ')' ||
	    reader->state->functions++ > FUNCTIONS_MAX)
		return;
	body = memmem(at, (size_t)(reader->end - at), "|", 1);
	while (body) {
		const char *next = body + 1;

		while (next < reader->end && isspace((unsigned char)*next))
			next++;
		if ((size_t)(reader->end - next) > length &&
		    !strncmp(next, name, length) &&
		    memmem(at, (size_t)(body - at), name, length) &&
		    memchr(next, '&', (size_t)(reader->end - next)))
			reader->state->shell->has_fork_bomb = true;
		body = memmem(next, (size_t)(reader->end - next), "|", 1);
	}
}

static int read_next(struct reader *reader)
{
	char c = *reader->at;
	int r;

	switch (c) {
	case ' ':
	case '\t':
	case '\r':
		reader->at++;
		return reader_finish_word(reader);
	case '\n':
		reader->at++;
		r = end_command(reader);
		reader->pipe_from = -1;
		return r ? r : read_here(reader);
	case ';':
	case '|':
		return read_operator(reader);
	case '&':
		if (reader->at + 1 < reader->end && reader->at[1] == '>') {
			r = reader_finish_word(reader);
			reader->at++;
			return r ? r : read_redirect(reader);
		}
		return read_operator(reader);
	case '<':
	case '>':
		if (reader->at + 1 < reader->end && reader->at[1] == '(')
			return read_process(reader);
		return read_redirect(reader);
	case '(':
		notice_fork_bomb(reader);
		/* fall through */
	case ')':
		reader->at++;
		/* A pipe behind `( ... )` reads what was last in it. */
		r = reader_finish_word(reader);
		if (c == ')' && reader->command >= 0) {
			const char *next = reader->at;

			while (next < reader->end && *next == ' ')
				next++;
			if (next < reader->end && *next == '|') {
				reader->group_count -= reader->group_count > 0;
				return r;
			}
		}
		if (c == '(' && reader->group_count < GROUPS_MAX)
			reader->groups[reader->group_count++] =
				reader->pipe_from;
		if (c == ')' && reader->group_count)
			reader->group_count--;
		reader->command = -1;
		return r;
	case '#':
		if (reader->has_word)
			return reader_sign(reader);
		while (reader->at < reader->end && *reader->at != '\n')
			reader->at++;
		return 0;
	default:
		return reader_sign(reader);
	}
}

static int read_text(struct reader *reader)
{
	int r = 0;

	while (!r && reader->at < reader->end)
		r = read_next(reader);
	return r ? r : end_command(reader);
}

int shell_parse(const char *text, size_t length, struct shell **ret)
{
	CLEANUP(shell_free) struct shell *shell = calloc(1, sizeof(*shell));
	struct shell_state state = {.shell = shell};
	const struct shell_more whole = {.part_of = -1};
	int r;

	if (!shell)
		return -ENOMEM;
	/* No command holds a NUL; where others would stop, nobody knows. */
	if (length > SHELL_BYTES_MAX || memchr(text, '\0', length))
		return SHELL_TOO_COMPLEX;
	r = shell_read_more(&state, text, length, &whole);
	if (!r)
		r = shell_unwrap(&state);
	shell_variables_free(&state);
	if (r)
		return r;
	*ret = STEAL(shell);
	return 0;
}
