/*
 * Commands that run others: the words behind sudo, env, xargs; the text
 * behind sh -c, eval, su -c; what is piped into a shell.  Each is added as a
 * command of its own, `part_of` the one that runs it, and unwrapped in turn.
 */

#include "toolcall/shell/shell_unwrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolcall/shell/shell_buffer.h"
#include "toolcall/shell/shell_output.h"

/* A program that runs the words behind its own options. */
static const struct wrapper {
	const char *name;
	const char *valued; /* options that take a word, spaces around each */
	bool skips_first;   /* one word more: a time, a user, a lock file */
} wrappers[] = {
	{"sudo",
	 " -u -g -h -p -C -T -r -t -U -D -R --user --group --host --prompt"
	 " --chdir --role --type ",
	 false},
	{"doas", " -u -C ", false},
	{"pkexec", " --user ", false},
	{"run0", " -u -g --user --group --unit ", false},
	{"env", " -u --unset -C --chdir ", false},
	{"nohup", " ", false},
	{"nice", " -n --adjustment ", false},
	{"ionice", " -c -n -p ", false},
	{"time", " -f -o ", false},
	{"timeout", " -s -k --signal --kill-after ", true},
	{"stdbuf", " -i -o -e ", false},
	{"setsid", " ", false},
	{"command", " ", false},
	{"builtin", " ", false},
	{"exec", " -a ", false},
	{"chrt", " -T -P -D ", true},
	{"taskset", " ", true},
	{"flock", " -w -E --timeout ", true},
	{"strace", " -e -o -p -s -u ", false},
	{"ltrace", " -e -o -p -s -u ", false},
	{"xargs", " -I -n -P -L -s -d -E -a -i --max-args --replace ", false},
	{"watch", " -n -d --interval ", false},
	{"unshare", " -S -G -R -w ", false},
	{"setpriv", " --reuid --regid --groups ", false},
	{"busybox", " ", false},
	{"toybox", " ", false},
	{"proot", " -r -b -w -q ", false},
	{"fakeroot", " ", false},
	{"script", " -c -O -I -T ", true},
	{"parallel", " -j -a ", false},
	{"caffeinate", " -t -w ", false},
	{"systemd-run", " -u -p -M -H --unit --uid --property ", false},
	{"torsocks", " ", false},
	{"proxychains4", " -f ", false},
};

static const struct wrapper *find_wrapper(const char *program)
{
	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++)
		if (!strcmp(wrappers[i].name, program))
			return &wrappers[i];
	return NULL;
}

static bool takes_word(const struct wrapper *wrapper, const char *option)
{
	char spaced[64];

	if (strlen(option) > 32 || strchr(option, '='))
		return false;
	snprintf(spaced, sizeof(spaced), " %s ", option);
	return strstr(wrapper->valued, spaced);
}

/* Where the wrapped words begin; word_count: there are none. */
static size_t first_wrapped(const struct wrapper *wrapper,
			    const struct shell_command *command)
{
	size_t i = 1;
	bool skip = wrapper->skips_first;

	for (; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (!strcmp(word, "--"))
			return i + 1 + (skip ? 1 : 0);
		if (word[0] == '-' && word[1]) {
			if (takes_word(wrapper, word))
				i++;
			continue;
		}
		/* NAME=VALUE, as env and sudo take it. */
		if (strchr(word, '=') && word[0] != '/' && word[0] != '.' &&
		    strcspn(word, "=") < strcspn(word, "/:"))
			continue;
		if (!skip)
			return i;
		skip = false;
	}
	return i;
}

/* Add words [from, to) of a command as one of its own. */
static int add_words(struct shell_state *state, size_t index, size_t from,
		     size_t to)
{
	struct shell *shell = state->shell;
	struct shell_command *added;
	int r = 0;

	if (from >= to)
		return 0;
	r = shell_state_add_command(state, &added);
	if (r)
		return r;
	added->part_of = (int)index;
	added->decoded = shell->commands[index].decoded;
	added->reads_from = shell->commands[index].reads_from;
	added->feeds = shell->commands[index].feeds;
	for (size_t i = from; !r && i < to; i++) {
		const struct shell_word *word =
			&shell->commands[index].words[i];

		r = shell_state_add_word(state, added, word->text,
					 word->dynamic);
	}
	for (size_t i = 0; !r && i < shell->commands[index].redirect_count;
	     i++) {
		const struct shell_redirect *redirect =
			&shell->commands[index].redirects[i];

		r = shell_state_add_redirect(state, (int)shell->count - 1,
					     redirect->kind, redirect->target,
					     strlen(redirect->target));
	}
	return r;
}

static int depth_of(const struct shell *shell, int index)
{
	int depth = 0;

	for (; index >= 0 && depth <= SHELL_DEPTH_MAX;
	     index = shell->commands[index].part_of)
		depth++;
	return depth;
}

static int add_text(struct shell_state *state, size_t index, const char *text,
		    bool decoded)
{
	const struct shell_command *command = &state->shell->commands[index];
	const struct shell_nest nest = {
		.depth = depth_of(state->shell, (int)index),
		.part_of = (int)index,
		.decoded = decoded || command->decoded,
	};
	/* The command's own words may move while it is read. */
	CLEANUP_FREE char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	if (strlen(copy) > SHELL_BYTES_MAX)
		return SHELL_TOO_COMPLEX;
	return state->read(state, copy, strlen(copy), &nest);
}

/* `sh -c TEXT`, in any of its spellings. */
static int unwrap_shell(struct shell_state *state, size_t index)
{
	struct shell_command *command = &state->shell->commands[index];

	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (word[0] != '-' && word[0] != '+')
			break; /* a script */
		if (word[0] == '-' && word[1] != '-' && strchr(word, 'c')) {
			if (i + 1 >= command->word_count)
				return 0;
			return add_text(state, index,
					command->words[i + 1].text, false);
		}
		if (!strcmp(word, "-o") || !strcmp(word, "-O") ||
		    !strcmp(word, "--rcfile") || !strcmp(word, "--init-file"))
			i++;
	}
	return 0;
}

/* What a shell reads: a here-document, or what is piped into it. */
static int unwrap_input(struct shell_state *state, size_t index)
{
	struct shell_command *command = &state->shell->commands[index];
	CLEANUP_FREE char *output = NULL;
	bool hidden = false;

	for (size_t i = 0; i < command->redirect_count; i++)
		if (command->redirects[i].kind == SHELL_REDIRECT_HERE)
			return add_text(state, index,
					command->redirects[i].target, false);
	if (command->reads_from < 0)
		return 0;
	output = shell_output_of(state->shell, command->reads_from, 0);
	if (!output)
		return 0;
	command = &state->shell->commands[command->reads_from];
	for (size_t i = 1; i < command->word_count; i++)
		hidden = hidden || strstr(command->words[i].text, "\\x") ||
			 strstr(command->words[i].text, "\\0");
	return add_text(state, index, output,
			hidden || command->reads_from >= 0);
}

static int unwrap_eval(struct shell_state *state, size_t index)
{
	struct shell_command *command = &state->shell->commands[index];
	struct shell_buffer text = {NULL, 0, 0};
	int r = 0;

	for (size_t i = 1; !r && i < command->word_count; i++) {
		if (i > 1)
			r = shell_buffer_add(&text, " ", 1);
		if (!r)
			r = shell_buffer_add(&text, command->words[i].text,
					     strlen(command->words[i].text));
	}
	if (!r && text.bytes)
		r = add_text(state, index, text.bytes, false);
	free(text.bytes);
	return r;
}

/* find ... -exec COMMAND ; */
static int unwrap_find(struct shell_state *state, size_t index)
{
	int r = 0;

	for (size_t i = 1; !r && i < state->shell->commands[index].word_count;
	     i++) {
		struct shell_command *command = &state->shell->commands[index];
		const char *word = command->words[i].text;
		size_t end = i + 1;

		if (strcmp(word, "-exec") && strcmp(word, "-execdir") &&
		    strcmp(word, "-ok") && strcmp(word, "-okdir"))
			continue;
		while (end < command->word_count &&
		       strcmp(command->words[end].text, ";") &&
		       strcmp(command->words[end].text, "+"))
			end++;
		r = add_words(state, index, i + 1, end);
		i = end;
	}
	return r;
}

/* su [USER] -c TEXT, and others that take a command as one word. */
static int unwrap_option_text(struct shell_state *state, size_t index,
			      const char *option)
{
	struct shell_command *command = &state->shell->commands[index];
	size_t length = strlen(option);

	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (!strcmp(word, option) && i + 1 < command->word_count)
			return add_text(state, index,
					command->words[i + 1].text, false);
		if (!strncmp(word, option, length) && word[length] == '=')
			return add_text(state, index, word + length + 1, false);
	}
	return 0;
}

static int unwrap_one(struct shell_state *state, size_t index)
{
	struct shell_command *command = &state->shell->commands[index];
	const char *program = shell_program(command);
	const struct wrapper *wrapper = find_wrapper(program);
	int r = 0;

	if (shell_is_shell(program)) {
		r = unwrap_shell(state, index);
		return r ? r : unwrap_input(state, index);
	}
	if (!strcmp(program, "eval"))
		return unwrap_eval(state, index);
	if (!strcmp(program, "find") || !strcmp(program, "fd"))
		return unwrap_find(state, index);
	if (!strcmp(program, "su") || !strcmp(program, "runuser"))
		return unwrap_option_text(state, index, "-c");
	if (!strcmp(program, "script"))
		return unwrap_option_text(state, index, "-c");
	if (!strcmp(program, "trap") && command->word_count > 2)
		return add_text(state, index, command->words[1].text, false);
	if (wrapper) {
		size_t first = first_wrapped(wrapper, command);

		if (!strcmp(program, "env"))
			r = unwrap_option_text(state, index, "-S");
		if (!r && !strcmp(program, "watch") &&
		    first + 1 == command->word_count)
			return add_text(state, index,
					command->words[first].text, false);
		return r ? r
			 : add_words(state, index, first,
				     state->shell->commands[index].word_count);
	}
	return 0;
}

int shell_unwrap(struct shell_state *state)
{
	int r = 0;

	/* What is added on the way is met in its turn. */
	for (size_t i = 0; !r && i < state->shell->count; i++) {
		if (depth_of(state->shell, (int)i) > SHELL_DEPTH_MAX)
			return SHELL_TOO_COMPLEX;
		r = unwrap_one(state, i);
	}
	return r;
}
