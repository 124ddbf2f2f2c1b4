#pragma once

/*
 * local_rules - what is in the drop-in that leash(1) writes, 50-local.conf
 *
 * A list of entries, each one line of libconfig and before it a comment that
 * says of it which change it came with, when, who made it and why:
 *
 *     #+ 3 2026-11-21T10:00:00Z alice puppy files.read to read the manual
 *     { path = "/srv/docs"; name = "local 3"; }
 *
 * The file is read from these comments, and must be what would be written of
 * what was read: so nothing that was put there by hand is ever lost.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

#define LOCAL_RULES_FILE "50-local.conf"

struct local_entry { /* all texts are owned; no white space but in the last */
	unsigned int change;
	char *time;
	char *who;
	char *account; /* "-": of all */
	char *section; /* "mode", or as in "files.read" */
	char *why;     /* or empty */
	char *text;    /* `mode = "observe";` or `{ path = ...; }` */
};

struct local_rules {
	struct local_entry *entries; /* owned */
	size_t count;
};

/* Expected outcome. */
enum {
	LOCAL_RULES_FOREIGN = 1, /* somebody else has written it */
};

/* Read text; *ret_line is the first that is not ours. */
MUST_CHECK int local_rules_read(const char *text, struct local_rules *ret,
				size_t *ret_line);
void local_rules_free(struct local_rules *rules);

/* The file's text; the caller frees it; NULL without memory. */
char *local_rules_text(const struct local_rules *rules);

/* Add a copy of entry.  What the same account said of the same goes. */
MUST_CHECK int local_rules_add(struct local_rules *rules,
			       const struct local_entry *entry);

/* Remove the change; how many entries it had. */
size_t local_rules_undo(struct local_rules *rules, unsigned int change);

/* Remove what has ended by now, a time like those in `until`. */
void local_rules_tidy(struct local_rules *rules, const char *now);

/* The number of the last change, 0 if there is none. */
unsigned int local_rules_last(const struct local_rules *rules);
