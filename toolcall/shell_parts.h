#pragma once

/*
 * shell_parts - what the files of shell share
 *
 * shell.c reads a text, shell_state.c keeps commands and variables,
 * shell_output.c knows what plain commands print, shell_unwrap.c finds the
 * commands that other commands run.  Private to them.
 */

#include <stdio.h>
#include <stdlib.h>

#include "toolcall/shell.h"

#define SHELL_VARIABLES_MAX 64

struct shell_variable {
	char *name;  /* owned */
	char *value; /* owned; NULL: not known */
};

struct shell_state {
	struct shell *shell;
	struct shell_variable variables[SHELL_VARIABLES_MAX];
	size_t variable_count;
	unsigned int functions; /* looked at so far */
};

struct shell_buffer {
	char *bytes; /* owned */
	size_t length, room;
};

MUST_CHECK int shell_buffer_add(struct shell_buffer *buffer, const char *bytes,
				size_t length);

MUST_CHECK int shell_command_add(struct shell_state *state,
				 struct shell_command **ret);
MUST_CHECK int shell_word_add(struct shell_command *command, const char *text,
			      bool dynamic);
MUST_CHECK int shell_redirect_add(struct shell_state *state, int command,
				  enum shell_redirect_kind kind,
				  const char *target, size_t length);

/* NAME=VALUE. */
MUST_CHECK int shell_variable_set(struct shell_state *state,
				  const char *assignment, bool dynamic);
/* NULL: nobody knows. */
const char *shell_variable_get(const struct shell_state *state,
			       const char *name, size_t length);
void shell_variables_free(struct shell_state *state);

/* The character behind a backslash, as $'..' and printf have it. */
char shell_escape(const char **at, const char *end);

/*
 * What the pipeline that ends with this command prints, if it depends on
 * nothing but its own text and has no command before first; NULL: not known.
 */
char *shell_plain_output(const struct shell *shell, int command, int first);

struct shell_more {
	int depth;
	int part_of;
	bool decoded;
};

/* Read another text into the same shell. */
MUST_CHECK int shell_read_more(struct shell_state *state, const char *text,
			       size_t length, const struct shell_more *more);

/* Add the commands that those there are would run. */
MUST_CHECK int shell_unwrap(struct shell_state *state);
