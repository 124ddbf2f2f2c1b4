#pragma once

/*
 * control_client - ask gatekeeper (wire/control.h)
 *
 * No question hangs: a dead gatekeeper is noticed at once, one that does not
 * answer within a second.  Mistakes have been printed when the outcome is
 * EXIT_ERROR or EXIT_NO.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/control.h"
#include "gatekeeper/wire/fields.h"

/* Where nobody listens. */
#define CONTROL_CLIENT_NOBODY                                                  \
	"gatekeeper is not running; nobody is leashed unless an older gate "   \
	"still is at work"

struct control_client_reply {
	enum control_what what;
	struct fields fields; /* borrowed from message */
	char *message;	      /* owned */
};

/* Ask; EXIT_DONE with *ret filled, or EXIT_ERROR. */
MUST_CHECK int control_client_ask(enum control_what what,
				  const struct fields *request,
				  struct control_client_reply *ret);
void control_client_free(struct control_client_reply *reply);

/* Print why a reply is not CONTROL_DONE. */
void control_client_complain(const struct control_client_reply *reply);
