#pragma once

/*
 * inspect - search every text of a JSON value, at any depth
 *
 * Each string is searched as it is and as what it decodes to (decode.h).
 * What is found is kept as rule, kind, place and form, never as text.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "toolcall/search/decode.h"
#include "toolcall/search/search.h"

#define INSPECT_FINDINGS_MAX 64 /* more are only counted */
#define INSPECT_PATH_MAX     256

struct finding {
	const char *rule;
	enum policy_inspect_kind kind;
	enum policy_inspect action;
	enum decode_form form;
	bool generic;		     /* by a rule that takes anything */
	char path[INSPECT_PATH_MAX]; /* "$.a.b[0]", cut where too long */
	size_t offset;		     /* bytes; of a decoded text, of its form */
};

struct findings {
	struct finding all[INSPECT_FINDINGS_MAX];
	size_t count;
	size_t more;
	bool redacted; /* something in the value was replaced */
};

/*
 * Search value for what actions (one of enum policy_inspect for each kind)
 * does not ignore, and replace in it what is to be redacted.
 */
MUST_CHECK int inspect(struct search *search, json_t *value,
		       const uint8_t *actions, struct findings *findings);

/* Note one that was found in another way. */
void inspect_note(struct findings *findings, const struct finding *finding);

/* Whether a text holds a secret: then it is nothing to be shown. */
bool inspect_is_secret(struct search *search, const char *text);
