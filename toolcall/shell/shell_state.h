#pragma once

/*
 * shell_state - what is known while a command line is read
 *
 * The commands found so far, the variables that were set, and how much was
 * read, expanded and kept.
 */

#include "gatekeeper/base/cleanup.h"
#include "toolcall/shell/shell.h"

#define SHELL_STATE_VARIABLES_MAX 64

struct shell_state;

/* Where a text stands that is part of another. */
struct shell_nest {
	int depth;
	int part_of; /* index of the command that holds or runs it, or -1 */
	bool is_substitution;
	bool decoded;
};

/* Read one more text into the state. */
typedef int (*shell_read_fn)(struct shell_state *state, const char *text,
			     size_t length, const struct shell_nest *nest);

struct shell_variable {
	char *name;  /* owned */
	char *value; /* owned; NULL: not known */
};

struct shell_state {
	struct shell *shell;
	/*
	 * The grammar (shell_parse.c), handed down to what lies below it: a
	 * word may hold a text of commands, as `$(...)` does, and a command
	 * may run one, as `sh -c` does.
	 */
	shell_read_fn read;
	struct shell_variable variables[SHELL_STATE_VARIABLES_MAX];
	size_t variable_count;
	unsigned int functions; /* looked at so far */
	size_t sum;		/* bytes read, expanded and kept so far */
};

/* What was kept of variables; the shell is the caller's. */
void shell_state_done(struct shell_state *state);

/* So many bytes more; SHELL_TOO_COMPLEX where that is too much. */
MUST_CHECK int shell_state_count(struct shell_state *state, size_t length);

/* Each may be SHELL_TOO_COMPLEX. */
MUST_CHECK int shell_state_add_command(struct shell_state *state,
				       struct shell_command **ret);
MUST_CHECK int shell_state_add_word(struct shell_state *state,
				    struct shell_command *command,
				    const char *text, bool dynamic);
MUST_CHECK int shell_state_add_redirect(struct shell_state *state, int command,
					enum shell_redirect_kind kind,
					const char *target, size_t length);

/* NAME=VALUE. */
MUST_CHECK int shell_state_set_variable(struct shell_state *state,
					const char *assignment, bool dynamic);
/* NULL: nobody knows. */
const char *shell_state_variable(const struct shell_state *state,
				 const char *name, size_t length);
