/*
 * A reader of one pass with one state for each nested text.  It leans to the
 * side of seeing a command where there may be one: a keyword is stepped over,
 * an unclosed quote ends with the text.
 */

#include "toolcall/shell/shell_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolcall/shell/shell_unwrap.h"
#include "toolcall/shell/shell_words.h"

#define FUNCTIONS_MAX 64 /* that are looked at for a fork bomb */

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
				r = shell_state_add_redirect(
					reader->state, reader->here[i].command,
					SHELL_REDIRECT_HERE, from,
					(size_t)(line - from));
				from = NULL;
				break;
			}
		}
		if (!r && from)
			r = shell_state_add_redirect(
				reader->state, reader->here[i].command,
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
		r = shell_state_add_redirect(
			reader->state, reader->command,
			text	 ? SHELL_REDIRECT_HERE
			: writes ? SHELL_REDIRECT_WRITE
				 : SHELL_REDIRECT_READ,
			reader->word.bytes ? reader->word.bytes : "",
			reader->word.length);
	reader->word.length = 0;
	reader->has_word = reader->quoted = reader->dynamic = false;
	return r;
}

/* <(...) and >(...): a file name; what it reads or writes is the command's. */
static int read_process(struct reader *reader)
{
	const char *from = reader->at + 2;
	const char *to = shell_words_closing(from, reader->end);
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
		r = shell_words_read(reader);
	return r;
}

/* :(){ :|:& };: under whatever name. */
static void notice_fork_bomb(struct reader *reader)
{
	const char *at = reader->at;
	const struct shell *shell = reader->state->shell;
	const char *name = reader->word.bytes;
	size_t length = reader->word.length;
	const char *body, *first, *last;

	if (!length && reader->command >= 0 &&
	    shell->commands[reader->command].word_count == 1) {
		name = shell->commands[reader->command].words[0].text;
		length = strlen(name);
	}

	if (!length || at + 1 >= reader->end || at[1] != ')' ||
	    reader->state->functions++ > FUNCTIONS_MAX)
		return;
	/* Its name, `|`, its name, `&`: each is looked for once. */
	first = memmem(at, (size_t)(reader->end - at), name, length);
	last = memrchr(at, '&', (size_t)(reader->end - at));
	body = first ? memchr(first, '|', (size_t)(reader->end - first)) : NULL;
	while (body && last && body < last) {
		const char *next = body + 1;

		while (next < reader->end && isspace((unsigned char)*next))
			next++;
		if ((size_t)(reader->end - next) > length &&
		    !strncmp(next, name, length) && next <= last &&
		    first + length <= body)
			reader->state->shell->has_fork_bomb = true;
		body = memchr(next, '|', (size_t)(reader->end - next));
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
		if (c == '(' && reader->group_count < READER_GROUPS_MAX)
			reader->groups[reader->group_count++] =
				reader->pipe_from;
		if (c == ')' && reader->group_count)
			reader->group_count--;
		reader->command = -1;
		return r;
	case '#':
		if (reader->has_word)
			return shell_words_read(reader);
		while (reader->at < reader->end && *reader->at != '\n')
			reader->at++;
		return 0;
	default:
		return shell_words_read(reader);
	}
}

static int read_all(struct reader *reader)
{
	int r = 0;

	while (!r && reader->at < reader->end)
		r = effort_is_spent(reader->state->shell->effort)
			    ? SHELL_TOO_COMPLEX
			    : read_next(reader);
	return r ? r : end_command(reader);
}

/* The state's read: what is below calls it for each text within a text. */
static int read_text(struct shell_state *state, const char *text, size_t length,
		     const struct shell_nest *nest)
{
	struct reader reader = {
		.state = state,
		.at = text,
		.end = text + length,
		.depth = nest->depth,
		.part_of = nest->part_of,
		.is_substitution = nest->is_substitution,
		.decoded = nest->decoded,
		.pipe_from = -1,
		.command = -1,
	};
	int r;

	if (nest->depth > SHELL_DEPTH_MAX)
		return SHELL_TOO_COMPLEX;
	r = shell_state_count(state, length);
	if (!r)
		r = read_all(&reader);
	free(reader.word.bytes);
	return r;
}

int shell_parse(const char *text, size_t length, struct effort *effort,
		struct shell **ret)
{
	CLEANUP(shell_free) struct shell *shell = calloc(1, sizeof(*shell));
	struct shell_state state = {.shell = shell, .read = read_text};
	const struct shell_nest whole = {.part_of = -1};
	int r;

	if (!shell)
		return -ENOMEM;
	shell->effort = effort;
	/* No command holds a NUL; where others would stop, nobody knows. */
	if (length > SHELL_BYTES_MAX || memchr(text, '\0', length))
		return SHELL_TOO_COMPLEX;
	r = read_text(&state, text, length, &whole);
	if (!r)
		r = shell_unwrap(&state);
	shell_state_done(&state);
	if (r)
		return r;
	*ret = STEAL(shell);
	return 0;
}
