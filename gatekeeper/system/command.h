#pragma once

/*
 * command - run a program, give it a text, take what it says
 *
 * Waits for the program's end, so it is for processes that may wait.
 */

#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

struct command_result {
	int status;   /* as of waitpid() */
	char *output; /* owned; standard output and error, NUL-terminated */
};

#define COMMAND_OUTPUT_MAX ((size_t)16 << 20)

/*
 * Run arguments[0], looked for in the system's own folders, with input as its
 * standard input.  Returns 0 and fills *ret when it ran, whatever its status,
 * or a negative errno; -ENOENT where there is no such program.
 */
MUST_CHECK int command_run(char *const *arguments, const char *input,
			   struct command_result *ret);

void command_result_done(struct command_result *result);
