#pragma once

/*
 * explain_client - asks the tool gate why something is allowed, or is not
 */

#include "gatekeeper/wire/fields.h"

/*
 * ret is a list of the answer's members (wire/toolcall.h), with "other" for
 * each of its others: ORIGIN VERDICT NAME.  An exit code, EXIT_ERROR if there
 * is no answer, which has been said; ret is the caller's to free.
 */
int explain_client_ask(const struct fields *request, struct fields *ret);
