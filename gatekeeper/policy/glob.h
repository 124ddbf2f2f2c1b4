#pragma once

/*
 * glob - match one path component against one pattern
 *
 * `*` any bytes, `?` one byte, `[a-z]` and `[!a-z]` one byte of a set, a
 * backslash takes the next byte literally.  No `/` occurs in either.  Ours
 * and not fnmatch(3): an agent chooses the names, and this takes at most
 * pattern x name steps for any of them, without locale or allocation.
 */

#include <stdbool.h>
#include <stddef.h>

bool glob_match(const char *pattern, size_t pattern_length, const char *name,
		size_t name_length);

/* Whether text holds *, ? or [, that is, is a pattern at all. */
bool glob_is_pattern(const char *text, size_t length);
