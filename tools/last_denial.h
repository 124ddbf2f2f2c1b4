#pragma once

/*
 * last_denial - the last refusal in the log, and the smallest rule against it
 */

#include "gatekeeper/base/cleanup.h"
#include "tools/talk.h"

struct last_denial {
	char account[256];
	char kind[16];
	char target[4200]; /* as people would say it */
	char rule[32];	   /* as in wire/control.h */
	char what[4200];
	char ports[16];
	char protocol[16];
};

/* Of account, or of any when it is NULL.  EXIT_DONE, or reported. */
MUST_CHECK int last_denial_find(const char *account, struct last_denial *ret);
