#pragma once

/*
 * shell_unwrap - the commands that other commands run
 */

#include "toolcall/shell/shell_state.h"

/* Add the commands that those there are would run, and what those would. */
MUST_CHECK int shell_unwrap(struct shell_state *state);
