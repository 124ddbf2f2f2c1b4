#pragma once

/*
 * written_files - which files a command writes, by its words
 */

#include <stdbool.h>

#include "toolcall/shell/shell.h"

/* Ends it where it returns true. */
typedef bool (*written_files_fn)(void *context, const char *path);

/*
 * Call each for every file that the command writes, replaces or removes, as
 * far as its words say.  True: each was.
 */
bool written_files_any(const struct shell_command *command,
		       written_files_fn each, void *context);
