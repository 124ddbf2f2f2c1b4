#pragma once

/*
 * forms - what commands do together
 *
 * A download alone is harmless, and so is a shell; a shell that reads the
 * download is not.  These functions look at how the commands of a text are
 * joined.
 */

#include <stdbool.h>

#include "toolcall/command_rules.h"
#include "toolcall/shell.h"

bool form_holds(enum form form, const struct shell *shell);

/* forms_files.c */
bool form_removes_all(const struct shell *shell);
bool form_writes_device(const struct shell *shell);

/* A file that commonly holds a secret, by its name. */
bool form_is_secret_path(const char *path);

/*
 * Call each for every file that the command writes, replaces or removes, as
 * far as its words say.
 */
typedef bool (*form_path_fn)(void *context, const char *path);
bool form_any_written(const struct shell_command *command, form_path_fn each,
		      void *context);

/* Is the word among the words of the list, which ends with NULL? */
bool form_is_among(const char *word, const char *const *list);
