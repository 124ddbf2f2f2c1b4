#pragma once

/*
 * suggestion - the command that would do what was only looked at
 */

#include <stddef.h>

/* What is to be typed, after `leash`. */
struct suggestion {
	const char *words[24]; /* borrowed */
	size_t count;
};

/* Append a word and, unless it is NULL, its value. */
void suggestion_add(struct suggestion *suggestion, const char *word,
		    const char *value);

/* Say that nothing was changed, and which command does it. */
void suggestion_print(const struct suggestion *suggestion);
