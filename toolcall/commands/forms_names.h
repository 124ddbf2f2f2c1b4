#pragma once

/*
 * forms_names - names as a channel: whether what a question asks for holds
 * more than the name of a host
 */

#include <stdbool.h>

#include "toolcall/shell/shell.h"

/*
 * Does $part.of.a.name carry something out?  A host that the environment names
 * is common; what the command has put into a variable, or is a secret by the
 * variable's name, is carried out.
 */
bool forms_names_carry(const struct shell *shell, const char *text);
