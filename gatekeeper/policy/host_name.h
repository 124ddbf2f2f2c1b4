#pragma once

/*
 * host_name - the one form in which names of hosts are compared
 *
 * Lower case, no final dot, labels of letters, digits, `-` and `_` (so in
 * their A-label form where they are international), at most 253 bytes.  What
 * cannot be brought into that form is odd, and no rule matches it.
 */

#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

#define HOST_NAME_SIZE	254
#define HOST_LABEL_MAX	63
#define HOST_LABELS_MAX 127

/* Expected outcome. */
enum {
	HOST_NAME_ODD = 1,
};

/* Bring length bytes of text into that form; "" is odd, too. */
MUST_CHECK int host_name_read(const char *text, size_t length,
			      char ret[static HOST_NAME_SIZE]);

/* The name one level up: "b.c" for "a.b.c", NULL for "c". */
const char *host_name_parent(const char *name);
