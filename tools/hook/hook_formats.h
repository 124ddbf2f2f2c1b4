#pragma once

/*
 * hook_formats - what each agent's hooks say, and want to hear
 *
 * An agent runs leash-hook with one JSON object on standard input and reads
 * one from its standard output.  Each format turns the first into a question
 * for leash-toolcall and the verdict into the second.  An allowance is never
 * more than that: the agent's own questions to its user stay.
 */

#include <jansson.h>
#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"

struct hook_question {
	const char *event;   /* the agent's word, borrowed from input */
	json_t *request;     /* owned: for leash-toolcall */
	json_t *then;	     /* owned: a second one, or NULL */
	const json_t *input; /* borrowed */
};

struct hook_verdict {
	bool denied;
	const char *reason; /* a sentence */
	/*
	 * The arguments, redacted; or NULL.  An agent that takes no changed
	 * ones is told no: it would run the call as it was.
	 */
	const json_t *changed;
};

struct hook_format {
	const char *name;
	const char *other_name; /* or NULL */
	/* False: it is none of its events. */
	bool (*read)(const json_t *input, struct hook_question *ret);
	/* What to print, owned by the caller; NULL: nothing. */
	json_t *(*answer)(const struct hook_question *question,
			  const struct hook_verdict *verdict);
};

/* By name; NULL: there is none. */
const struct hook_format *hook_formats_find(const char *name);

/* By the look of an input. */
const struct hook_format *hook_formats_guess(const json_t *input);

/* All names, for a usage line. */
extern const char hook_formats_names[];
