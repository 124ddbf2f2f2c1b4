#pragma once

/*
 * pins_files - the folder in which the definitions of tools are kept
 *
 * One file for each account and server, written whole or not at all, and no
 * more of an account's than is said here.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

#define PINS_FILES_MAX	     64		       /* of one account: servers */
#define PINS_FILES_SIZE_MAX  ((size_t)2 << 20) /* bytes of one server's file */
#define PINS_FILES_BYTES_MAX ((size_t)8 << 20) /* of one account's files */

/* A server's name that can be part of a file's. */
bool pins_files_is_name(const char *text);

/* An empty object where there is none; NULL: it cannot be read. */
json_t *pins_files_read(int folder, const char *account, const char *server,
			size_t *ret_bytes);

/*
 * In place of what there is.  -EDQUOT: the account would have too much, and
 * nothing is changed.
 */
MUST_CHECK int pins_files_write(int folder, const char *account,
				const char *server, const char *text,
				size_t length);

/* Of the account's servers; what each returns but 0 ends it. */
typedef int (*pins_files_fn)(void *context, const char *server);
MUST_CHECK int pins_files_each(int folder, const char *account,
			       pins_files_fn each, void *context);
