#pragma once

/*
 * fields - a list of KEY=VALUE texts, the body of a control message
 *
 * Each ends in a NUL, so a value may hold any byte but that one.  Keys may come
 * more than once; order is kept.  A list from outside is checked once, by
 * fields_view(), and then safe to read.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

struct fields {
	char *bytes; /* owned, unless viewed */
	size_t length;
	size_t room; /* 0: viewed */
	bool failed; /* no memory, or too long: something is missing */
};

struct fields_cursor {
	size_t position;
	const char *key; /* ends at its = */
	size_t key_length;
	const char *value;
};

/* The most that one message holds. */
#define FIELDS_MAX 60000

/* Is there where it was to be more: the first that did not fit is missing. */
#define FIELDS_CUT "cut"

void fields_put(struct fields *fields, const char *key, const char *value);
__attribute__((format(printf, 3, 4))) void
fields_format(struct fields *fields, const char *key, const char *format, ...);

/* Append all of other. */
void fields_copy(struct fields *fields, const struct fields *other);

void fields_free(struct fields *fields);

/* Borrow length bytes.  False, and an empty list, if they are none. */
MUST_CHECK bool fields_view(const void *bytes, size_t length,
			    struct fields *ret);

/* The first value of key, or NULL. */
const char *fields_get(const struct fields *fields, const char *key);

/* The next, from a cursor that begins as zero; false at the end. */
bool fields_next(const struct fields *fields, struct fields_cursor *cursor);
bool fields_is(const struct fields_cursor *cursor, const char *key);
