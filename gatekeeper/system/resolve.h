#pragma once

/*
 * resolve - where a path leads, past whatever others have put there
 *
 * The kernel tells where a symlink led, not where it stood, so a rule for
 * /usr/bin/python3 must become one for /usr/bin/python3.11.  A symlink that
 * somebody untrusted could have put there is not followed: what it leads to is
 * no word of whoever wrote the path, and may be something else the next time.
 * Nor is it a mistake; the path is then taken as written from there on.
 *
 * Nothing is opened but by O_PATH, one name at a time, and nothing is asked
 * of a filesystem that an ordinary user has mounted (FUSE): whoever serves it
 * decides when it answers.  What lies there counts as not existing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

#define RESOLVE_PATH_MAX 4096

/* Says whether a user, or a group, is one of those not trusted. */
typedef bool (*resolve_user_fn)(void *context, uid_t uid);
typedef bool (*resolve_group_fn)(void *context, gid_t gid);

struct resolver {
	resolve_user_fn distrusts_user;
	resolve_group_fn distrusts_group;
	void *context;
	/* The last folder resolved: neighbours in a list share it. */
	char folder[RESOLVE_PATH_MAX];
	char resolved[RESOLVE_PATH_MAX];
	int fd;		 /* of it, owned; valid where folder is not "" */
	bool changeable; /* as in struct resolved */
};

struct resolved {
	char path[RESOLVE_PATH_MAX];
	char link[RESOLVE_PATH_MAX]; /* the one not followed, or "" */
	uid_t link_owner;
	/* Somebody not trusted may put something else into its place. */
	bool changeable;
	char changeable_at[RESOLVE_PATH_MAX]; /* the folder; if changeable */
	bool exists;
	struct stat st; /* of what is there, if it exists */
	int fd;		/* O_PATH, owned, if it exists; else -1 */
};

/* Expected outcomes. */
enum {
	RESOLVE_TOO_LONG = 1,
	RESOLVE_LOOP, /* ret->link is one of the loop; nothing else is filled */
};

/*
 * Follow the symlinks in path, which is absolute and without `.` and `..`, as
 * far as they are trusted.  What does not exist is taken as written.  On 0,
 * resolved_done() releases *ret.
 */
MUST_CHECK int resolve_path(struct resolver *resolver, const char *path,
			    struct resolved *ret);

/* The same, following every symlink: what path means at this moment. */
MUST_CHECK int resolve_now(struct resolver *resolver, const char *path,
			   struct resolved *ret);

void resolved_done(struct resolved *resolved);
void resolver_done(struct resolver *resolver);
