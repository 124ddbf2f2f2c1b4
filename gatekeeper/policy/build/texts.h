#pragma once

/*
 * texts - the texts of an image while it grows: equal ones are one
 */

#include <stdint.h>

#include "gatekeeper/base/array.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

struct texts {
	struct array bytes; /* the texts, each with its NUL; first the empty */
	struct array slots; /* struct policy_text, open addressing */
	uint32_t used;
	uint64_t seed;
};

MUST_CHECK int texts_init(struct texts *texts, uint64_t seed);
void texts_done(struct texts *texts);

/* Where text is; added if it was not there. */
MUST_CHECK int texts_add(struct texts *texts, const char *text, size_t length,
			 struct policy_text *ret);
