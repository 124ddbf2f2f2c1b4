#pragma once

/*
 * config_file - the main file, a drop-in or a profile, read
 *
 * Each must be root's alone (trust.h), and so must what it includes.
 */

#include "gatekeeper/config/compile/compiler.h"

#define CONFIG_FILE_COUNT_MAX 256

/*
 * Read the file at path into compiler->files, which has room for
 * CONFIG_FILE_COUNT_MAX; one that is there already is not read again.  NULL:
 * it is wrong, and that is reported.
 */
const struct config_file *config_file_read(struct compiler *compiler,
					   const char *path);
