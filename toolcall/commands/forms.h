#pragma once

/*
 * forms - what commands do together
 *
 * A download alone is harmless, and so is a shell; a shell that reads the
 * download is not.  These functions look at how the commands of a text are
 * joined.
 */

#include <stdbool.h>

#include "toolcall/commands/command_rules.h"
#include "toolcall/shell/shell.h"

/* What it says is worth nothing once the shell's effort is spent. */
bool form_holds(enum form form, const struct shell *shell);
