#pragma once

/*
 * talk - ask gatekeeper (wire/control.h)
 *
 * No question hangs: a dead gatekeeper is noticed at once, one that does not
 * answer within a second.  Mistakes have been printed when the outcome is
 * EXIT_ERROR or EXIT_NO.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/control.h"
#include "gatekeeper/wire/fields.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_NO = 1, /* the answer is no */
	EXIT_ERROR = 2,
};

struct talk_reply {
	enum control_what what;
	struct fields fields; /* borrowed from message */
	char *message;	      /* owned */
};

/* Ask; EXIT_DONE with *ret filled, or EXIT_ERROR. */
MUST_CHECK int talk_ask(enum control_what what, const struct fields *request,
			struct talk_reply *ret);
void talk_free(struct talk_reply *reply);

/* Print why a reply is not CONTROL_DONE. */
void talk_complain(const struct talk_reply *reply);

__attribute__((format(printf, 1, 2))) void talk_error(const char *format, ...);
