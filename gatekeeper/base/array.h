#pragma once

/*
 * array - entries of one size, more and more of them
 *
 * A plain value: zeroed it is empty, and its owner frees entries.
 */

#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct array {
	void *entries; /* owned */
	uint32_t count;
	uint32_t room;
};

/* The i-th entry; i is not checked, and array_add() may move all entries. */
#define ARRAY_AT(array, type, i) (&((type *)(array).entries)[i])

/* Append a copy of entry; *ret, unless NULL, is its number. */
MUST_CHECK int array_add(struct array *array, const void *entry, size_t size,
			 uint32_t *ret);

/* Make it hold count zeroed entries; what it held is not freed. */
MUST_CHECK int array_zeroed(struct array *array, uint32_t count, size_t size);
