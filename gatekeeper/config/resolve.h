#pragma once

/*
 * resolve - the path that a rule really speaks of
 *
 * The kernel tells where a symlink led, not where it stood, so a rule for
 * /usr/bin/python3 must become one for /usr/bin/python3.11.  What a leashed
 * account could point elsewhere is not followed: the next reload would allow
 * whatever it leads to by then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

#define RESOLVE_PATH_MAX 4096

/* Says whether a uid is one of a leashed account. */
typedef bool (*resolve_leashed_fn)(void *context, uid_t uid);

struct resolver {
	resolve_leashed_fn leashed;
	void *context;
	/* The last folder resolved: neighbours in a list share it. */
	char folder[RESOLVE_PATH_MAX];
	char resolved[RESOLVE_PATH_MAX];
};

struct resolved {
	char path[RESOLVE_PATH_MAX];
	bool exists;
	struct stat st; /* of what is there, if it exists */
};

/* Expected outcomes. */
enum {
	RESOLVE_LEASHED_LINK = 1, /* ret->path: the link */
	RESOLVE_TOO_LONG,
	RESOLVE_LOOP,
};

/*
 * Follow the symlinks in path, which is absolute and without `.` and `..`.
 * What does not exist is taken as written.
 */
MUST_CHECK int resolve_path(struct resolver *resolver, const char *path,
			    struct resolved *ret);
