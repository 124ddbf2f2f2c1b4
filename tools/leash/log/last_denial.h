#pragma once

/*
 * last_denial - the last refusal in the log, and the smallest rule against it
 *
 * The account has chosen what it was refused.  So its words are read as what
 * they must be - a host's name, an address, an absolute path - and never as a
 * pattern or a network; and what is wide, or keeps secrets, is not proposed
 * (tools/lib/narrow.h).
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "tools/lib/control_client.h"

struct last_denial {
	int64_t seq; /* its number in the log */
	char account[256];
	char kind[16];
	char target[4200]; /* as the log has it; with a host's port */
	char rule[32];	   /* as in wire/control.h */
	char what[8500];   /* of the rule; "": none helps */
	char why[320];	   /* it is "" */
	char ports[16];
	char protocol[16];
};

/*
 * Of account, or of any when it is NULL; the last one, or, seq not being 0,
 * that one.  EXIT_DONE, or reported.
 */
MUST_CHECK int last_denial_find(const char *account, int64_t seq,
				struct last_denial *ret);
