#pragma once

/*
 * targets - which file, program or host a text means
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide.h"

#define TARGETS_PATH_MAX 4096
#define TARGETS_HOST_MAX 256

/*
 * The absolute path of text, relative to cwd (NULL: to home) with `~` as home,
 * without `.` and `..`, symlinks followed as far as we may see them.
 * 0 or -ENAMETOOLONG.
 */
MUST_CHECK int targets_path(const char *text, const char *cwd, const char *home,
			    char ret[static TARGETS_PATH_MAX]);

/*
 * The file that a shell would run for that word; false: none that we can see.
 */
bool targets_program(const char *word, const char *cwd, const char *home,
		     char ret[static TARGETS_PATH_MAX]);

/* Put the file's identity into question, as far as we may see it. */
void targets_identify(const char *path, struct policy_question *question);

/* Host and port of a URL, HOST:PORT or HOST; false: there is none. */
bool targets_host(const char *text, char ret[static TARGETS_HOST_MAX],
		  uint16_t *ret_port);
