/*
 * echo and printf at the head of a pipeline, and the filters that texts are
 * hidden with behind them.
 */

#include "toolcall/shell/shell_output.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "toolcall/shell/shell_buffer.h"
#include "toolcall/shell/shell_escape.h"

#define OUTPUT_MAX ((size_t)64 << 10)
#define PIPE_MAX   8

static bool has_dynamic(const struct shell_command *command)
{
	for (size_t i = 0; i < command->word_count; i++)
		if (command->words[i].dynamic)
			return true;
	return false;
}

/* Add text, its escapes read. */
static int add_escaped(struct shell_buffer *out, const char *text)
{
	const char *end = text + strlen(text);
	int r = 0;

	while (!r && text < end) {
		char c = *text++;

		if (c == '\\' && text < end)
			c = shell_escape(&text, end);
		r = shell_buffer_add(out, &c, 1);
	}
	return r;
}

static int print_echo(const struct shell_command *command,
		      struct shell_buffer *out)
{
	bool escapes = false;
	size_t i = 1;
	int r = 0;

	for (; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (word[0] != '-' || !word[1] ||
		    strspn(word + 1, "neE") != strlen(word + 1))
			break;
		escapes = escapes || strchr(word, 'e');
	}
	for (size_t first = i; !r && i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (i > first)
			r = shell_buffer_add(out, " ", 1);
		if (!r)
			r = escapes ? add_escaped(out, word)
				    : shell_buffer_add(out, word, strlen(word));
	}
	return r ? r : shell_buffer_add(out, "\n", 1);
}

/* The format, with each %-sequence the next word. */
static int print_printf(const struct shell_command *command,
			struct shell_buffer *out)
{
	const char *at, *end;
	size_t next = 2;
	int r = 0;

	if (command->word_count < 2)
		return 0;
	at = command->words[1].text;
	end = at + strlen(at);
	while (!r && at < end) {
		char c = *at++;

		if (c == '%' && at < end) {
			bool escapes;

			at += strspn(at, "-+ #0123456789.");
			c = at < end ? *at++ : '%';
			escapes = c == 'b';
			if (c == '%') {
				r = shell_buffer_add(out, "%", 1);
			} else if (next < command->word_count) {
				const char *word = command->words[next++].text;

				r = escapes ? add_escaped(out, word)
					    : shell_buffer_add(out, word,
							       strlen(word));
			}
			continue;
		}
		if (c == '\\' && at < end)
			c = shell_escape(&at, end);
		r = shell_buffer_add(out, &c, 1);
	}
	/* More words than the format takes: it begins anew. */
	for (; !r && next < command->word_count && next > 2; next++)
		r = shell_buffer_add(out, command->words[next].text,
				     strlen(command->words[next].text));
	return r;
}

static bool has_word(const struct shell_command *command, const char *a,
		     const char *b)
{
	for (size_t i = 1; i < command->word_count; i++)
		if (!strcmp(command->words[i].text, a) ||
		    !strcmp(command->words[i].text, b))
			return true;
	return false;
}

static bool filter_base64(struct shell_buffer *out)
{
	size_t made = 0;

	if (!out->length)
		return true;
	if (sodium_base642bin((unsigned char *)out->bytes, out->length,
			      out->bytes, out->length, " \n\r\t", &made, NULL,
			      sodium_base64_VARIANT_ORIGINAL) &&
	    sodium_base642bin((unsigned char *)out->bytes, out->length,
			      out->bytes, out->length, " \n\r\t=", &made, NULL,
			      sodium_base64_VARIANT_ORIGINAL_NO_PADDING))
		return false;
	out->length = made;
	out->bytes[made] = '\0';
	return true;
}

static bool filter_hex(struct shell_buffer *out)
{
	size_t made = 0;

	if (!out->length)
		return true;
	if (sodium_hex2bin((unsigned char *)out->bytes, out->length, out->bytes,
			   out->length, " \n\r\t:", &made, NULL))
		return false;
	out->length = made;
	out->bytes[made] = '\0';
	return true;
}

static bool filter_reverse(struct shell_buffer *out)
{
	size_t n = out->length;

	while (n && out->bytes[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n / 2; i++) {
		char c = out->bytes[i];

		out->bytes[i] = out->bytes[n - 1 - i];
		out->bytes[n - 1 - i] = c;
	}
	return true;
}

/* The set of tr, its ranges spelt out. */
static size_t spell_set(const char *set, char ret[static 256])
{
	size_t n = 0;

	for (; *set && n < 255; set++) {
		if (set[1] == '-' && set[2] && set[2] >= set[0]) {
			for (int c = set[0]; c <= set[2] && n < 255; c++)
				ret[n++] = (char)c;
			set += 2;
		} else {
			ret[n++] = *set;
		}
	}
	return n;
}

static bool filter_tr(const struct shell_command *command,
		      struct shell_buffer *out)
{
	char from[256], to[256];
	size_t from_count, to_count;

	if (command->word_count != 3 || command->words[1].text[0] == '-')
		return false;
	from_count = spell_set(command->words[1].text, from);
	to_count = spell_set(command->words[2].text, to);
	if (!to_count)
		return false;
	for (size_t i = 0; i < out->length; i++)
		for (size_t j = 0; j < from_count; j++)
			if (out->bytes[i] == from[j]) {
				out->bytes[i] =
					to[j < to_count ? j : to_count - 1];
				break;
			}
	return true;
}

static bool filter(const struct shell_command *command,
		   struct shell_buffer *out)
{
	const char *program = shell_program(command);

	if (!strcmp(program, "base64"))
		return has_word(command, "-d", "--decode") ||
				       has_word(command, "-D", "-di")
			       ? filter_base64(out)
			       : false;
	if (!strcmp(program, "openssl"))
		return has_word(command, "base64", "-base64") &&
				       has_word(command, "-d", "-d")
			       ? filter_base64(out)
			       : false;
	if (!strcmp(program, "xxd"))
		return has_word(command, "-r", "-r") ||
				       has_word(command, "-rp", "-pr")
			       ? filter_hex(out)
			       : false;
	if (!strcmp(program, "rev"))
		return filter_reverse(out);
	if (!strcmp(program, "tr"))
		return filter_tr(command, out);
	return !strcmp(program, "cat") && command->word_count == 1;
}

char *shell_output_of(const struct shell *shell, int command, int first)
{
	const struct shell_command *pipe[PIPE_MAX];
	struct shell_buffer out = {NULL, 0, 0};
	int count = 0, r = 0;
	bool known = true;

	for (; command >= first && count < PIPE_MAX;
	     command = shell->commands[command].reads_from)
		pipe[count++] = &shell->commands[command];
	if (!count || pipe[count - 1]->reads_from >= 0)
		return NULL;
	for (int i = count - 1; i >= 0 && known && !r; i--) {
		const char *program = shell_program(pipe[i]);

		known = !has_dynamic(pipe[i]) && out.length < OUTPUT_MAX;
		if (!known)
			break;
		if (i < count - 1)
			known = filter(pipe[i], &out);
		else if (!strcmp(program, "echo"))
			r = print_echo(pipe[i], &out);
		else if (!strcmp(program, "printf"))
			r = print_printf(pipe[i], &out);
		else if (pipe[i]->redirect_count == 1 &&
			 pipe[i]->redirects[0].kind == SHELL_REDIRECT_HERE) {
			r = shell_buffer_add(
				&out, pipe[i]->redirects[0].target,
				strlen(pipe[i]->redirects[0].target));
			known = !r && filter(pipe[i], &out);
		} else {
			known = false;
		}
	}
	if (r || !known || !out.bytes) {
		free(out.bytes);
		return NULL;
	}
	return out.bytes;
}
