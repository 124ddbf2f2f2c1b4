#pragma once

/*
 * learn_paths - from many files to few folders
 *
 * Every path that was used is put into a tree.  Then folders take the place of
 * what is used below them, wherever enough different entries are, as long as
 * one rule may open it (tools/lib/narrow.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct learn_paths;

/* One rule to be. */
struct learn_path {
	const char *path; /* valid until the tree is freed */
	bool folder;
	uint64_t uses;
};

/* Whether a folder keeps what must not be opened with it. */
typedef bool (*learn_paths_keeps_fn)(const char *path);

/* home, or NULL, is never taken as a whole; nor, unless NULL, what keeps. */
MUST_CHECK int learn_paths_new(const char *home, learn_paths_keeps_fn keeps,
			       struct learn_paths **ret);
struct learn_paths *learn_paths_free(struct learn_paths *paths);
DEFINE_CLEANUP(struct learn_paths *, learn_paths_free)

/* Expected outcome. */
enum {
	LEARN_PATHS_SHARED = 1, /* a folder that no rule may open */
	LEARN_PATHS_SECRETS,	/* one that keeps secrets */
};

/* path, absolute, was used; listed means that it is a folder. */
MUST_CHECK int learn_paths_add(struct learn_paths *paths, const char *path,
			       bool listed, uint64_t uses);

/* Join what has so many entries or more; the number of rules that are left. */
size_t learn_paths_join(struct learn_paths *paths, size_t entries);

/* Call visit for each rule, in order of path. */
void learn_paths_visit(const struct learn_paths *paths,
		       void (*visit)(const struct learn_path *path,
				     void *context),
		       void *context);
