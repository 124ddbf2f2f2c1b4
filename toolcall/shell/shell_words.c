#include "toolcall/shell/shell_words.h"

#include <ctype.h>
#include <string.h>

#include "toolcall/shell/shell_escape.h"
#include "toolcall/shell/shell_output.h"

const char *shell_words_closing(const char *text, const char *end)
{
	int open = 1;
	char quote = 0;

	for (; text < end; text++) {
		if (*text == '\\' && quote != '\'') {
			text++;
		} else if (quote) {
			if (*text == quote)
				quote = 0;
		} else if (*text == '\'' || *text == '"') {
			quote = *text;
		} else if (*text == '(') {
			open++;
		} else if (*text == ')' && !--open) {
			return text;
		}
	}
	return end;
}

/* What something in the text stands for. */
static int add_expanded(struct reader *reader, const char *text)
{
	size_t length = strlen(text);
	int r = shell_state_count(reader->state, length);

	return r ? r : shell_buffer_add(&reader->word, text, length);
}

/* What the substitution prints, if that is plain, becomes the word. */
static int add_substitution(struct reader *reader, const char *text,
			    size_t length)
{
	size_t before = reader->state->shell->count;
	struct shell_command *command;
	CLEANUP_FREE char *output = NULL;
	int r = reader_command(reader, &command);

	if (r)
		return r;
	before = reader->state->shell->count;
	r = reader_nested(reader, text, length, reader->command, true);
	if (r)
		return r;
	reader->has_word = true;
	if (reader->state->shell->count > before)
		output = shell_output_of(reader->state->shell,
					 (int)reader->state->shell->count - 1,
					 (int)before);
	if (!output) {
		reader->dynamic = true;
		return 0;
	}
	for (size_t n = strlen(output); n && output[n - 1] == '\n'; n--)
		output[n - 1] = '\0';
	return add_expanded(reader, output);
}

static int read_backticks(struct reader *reader)
{
	const char *from = reader->at + 1, *to = from;

	while (to < reader->end && *to != '`')
		to += *to == '\\' && to + 1 < reader->end ? 2 : 1;
	if (to > reader->end)
		to = reader->end;
	reader->at = to < reader->end ? to + 1 : to;
	return add_substitution(reader, from, (size_t)(to - from));
}

/* $'...' with the escapes of C. */
static int read_ansi(struct reader *reader)
{
	const char *at = reader->at + 2;
	int r = 0;

	reader->has_word = reader->quoted = true;
	while (!r && at < reader->end && *at != '\'') {
		char c = *at++;

		if (c == '\\' && at < reader->end)
			c = shell_escape(&at, reader->end);
		r = reader_add(reader, c);
	}
	reader->at = at < reader->end ? at + 1 : at;
	return r;
}

static int add_variable(struct reader *reader, const char *name, size_t length,
			bool in_quotes)
{
	const char *value = shell_state_variable(reader->state, name, length);
	int r = 0;

	if (length == 3 && !strncmp(name, "IFS", 3) && !in_quotes)
		return reader_finish_word(reader);
	if (value) {
		reader->has_word = true;
		return add_expanded(reader, value);
	}
	reader->dynamic = true;
	r = reader_add(reader, '$');
	return r ? r : shell_buffer_add(&reader->word, name, length);
}

static int read_dollar(struct reader *reader, bool in_quotes)
{
	const char *at = reader->at + 1, *from = at;

	if (at >= reader->end || isspace((unsigned char)*at)) {
		reader->at++;
		return reader_add(reader, '$');
	}
	if (*at == '\'' && !in_quotes)
		return read_ansi(reader);
	if (*at == '"' && !in_quotes) {
		reader->at++;
		return 0;
	}
	if (*at == '(') {
		const char *to = shell_words_closing(at + 1, reader->end);

		reader->at = to < reader->end ? to + 1 : to;
		return add_substitution(reader, at + 1, (size_t)(to - at - 1));
	}
	if (*at == '{') {
		const char *to = memchr(at, '}', (size_t)(reader->end - at));
		size_t name = 0;

		if (!to)
			to = reader->end;
		while (at + 1 + name < to &&
		       (isalnum((unsigned char)at[1 + name]) ||
			at[1 + name] == '_'))
			name++;
		reader->at = to < reader->end ? to + 1 : to;
		if (at + 1 + name < to)
			reader->dynamic = true;
		return add_variable(reader, at + 1, name, in_quotes);
	}
	while (at < reader->end && (isalnum((unsigned char)*at) || *at == '_'))
		at++;
	if (at == from && strchr("@*#?-$!", *at))
		at++;
	reader->at = at;
	return add_variable(reader, from, (size_t)(at - from), in_quotes);
}

static int read_double_quotes(struct reader *reader)
{
	int r = 0;

	reader->at++;
	reader->quoted = true;
	r = reader_add(reader, 0);
	while (!r && reader->at < reader->end && *reader->at != '"') {
		char c = *reader->at;

		if (c == '$') {
			r = read_dollar(reader, true);
		} else if (c == '`') {
			r = read_backticks(reader);
		} else if (c == '\\' && reader->at + 1 < reader->end) {
			reader->at++;
			if (!strchr("\"\\$`\n", *reader->at))
				r = reader_add(reader, '\\');
			if (!r && *reader->at != '\n')
				r = reader_add(reader, *reader->at);
			reader->at++;
		} else {
			r = reader_add(reader, c);
			reader->at++;
		}
	}
	if (reader->at < reader->end)
		reader->at++;
	return r;
}

static int read_single_quotes(struct reader *reader)
{
	const char *from = reader->at + 1;
	const char *to = memchr(from, '\'', (size_t)(reader->end - from));

	if (!to)
		to = reader->end;
	reader->at = to < reader->end ? to + 1 : to;
	reader->has_word = reader->quoted = true;
	return shell_buffer_add(&reader->word, from, (size_t)(to - from));
}

int shell_words_read(struct reader *reader)
{
	char c = *reader->at;

	switch (c) {
	case '\'':
		return read_single_quotes(reader);
	case '"':
		return read_double_quotes(reader);
	case '`':
		return read_backticks(reader);
	case '$':
		return read_dollar(reader, false);
	case '\\':
		reader->at++;
		if (reader->at >= reader->end)
			return 0;
		c = *reader->at++;
		reader->quoted = reader->quoted || c == ' ';
		return c == '\n' ? 0 : reader_add(reader, c);
	default:
		reader->at++;
		return reader_add(reader, c);
	}
}
