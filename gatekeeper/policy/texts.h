#pragma once

/*
 * texts - growing tables, and one of texts in which equal ones are one
 *
 * Private to policy/build.c: what an image is made of while it grows.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

struct table {
	void *entries;
	uint32_t count;
	uint32_t room;
};

#define AT(table, type, i) (&((type *)(table).entries)[i])

/* Append a copy of entry; *ret, unless NULL, is its number. */
MUST_CHECK int table_add(struct table *table, const void *entry, size_t size,
			 uint32_t *ret);

/* Make it hold count zeroed entries. */
MUST_CHECK int table_zeroed(struct table *table, uint32_t count, size_t size);

struct texts {
	struct table bytes; /* the texts, each with its NUL; first the empty */
	struct table slots; /* struct policy_text, open addressing */
	uint32_t used;
	uint64_t seed;
};

MUST_CHECK int texts_init(struct texts *texts, uint64_t seed);
void texts_done(struct texts *texts);

/* Where text is; added if it was not there. */
MUST_CHECK int texts_add(struct texts *texts, const char *text, size_t length,
			 struct policy_text *ret);
