#pragma once

/*
 * learn_paths - from many files to few folders
 *
 * Every path that was used is put into a tree.  Then folders take the place of
 * what is used below them, wherever enough different entries are, as long as
 * the folder is not one that holds more than one thing: never the root, nor
 * /etc, /home, other people's homes and their like.
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

/* home, or NULL, is a folder that may be taken as a whole. */
MUST_CHECK int learn_paths_new(const char *home, struct learn_paths **ret);
struct learn_paths *learn_paths_free(struct learn_paths *paths);
DEFINE_CLEANUP(struct learn_paths *, learn_paths_free)

/* Expected outcome. */
enum {
	LEARN_PATHS_SHARED = 1, /* a folder that no rule may open */
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

/* Whether a path is one that keeps secrets, never to be learned. */
bool learn_paths_is_secret(const char *path);
