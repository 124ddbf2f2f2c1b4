#pragma once

/*
 * shell_output - what a pipeline prints, where that can be known
 */

#include "toolcall/shell/shell.h"

/*
 * What the pipeline that ends with this command prints, if it depends on
 * nothing but its own text and has no command before first; NULL: not known.
 * The caller's to free.
 */
char *shell_output_of(const struct shell *shell, int command, int first);
