#pragma once

/*
 * forms_files - what is removed or overwritten that is nobody's to remove
 */

#include <stdbool.h>

#include "toolcall/shell/shell.h"

/* The system, a whole home, or what is above the folder of work. */
bool forms_files_remove_all(const struct shell *shell);

/* A disk, past its filesystem. */
bool forms_files_write_device(const struct shell *shell);
