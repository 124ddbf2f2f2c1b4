#pragma once

/*
 * run_dir - /run/leash: one gatekeeper at a time, and those it succeeds
 *
 * The lock tells a second instance that it is one, within a second.  Helpers
 * that have outlived their gatekeeper are found when the folder is taken, for
 * the new one to end once its own are in place.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

struct run_dir;

/* Expected outcome. */
enum {
	RUN_DIR_TAKEN = 1, /* another gatekeeper holds it */
};

/* Take hold of the folder at path, making it if need be. */
MUST_CHECK int run_dir_take(const char *path, struct run_dir **ret);

/* Let go, leaving the files where they are: for after a crash, and tests. */
struct run_dir *run_dir_free(struct run_dir *dir);
DEFINE_CLEANUP(struct run_dir *, run_dir_free)

/* The folder itself, and what process_open_proc() gave it; both its own. */
int run_dir_folder(const struct run_dir *dir);
int run_dir_proc(const struct run_dir *dir);

/* Take our files away: the end of a clean stop. */
void run_dir_remove(struct run_dir *dir);

bool run_dir_has_strays(const struct run_dir *dir);

/*
 * The helpers that the last gatekeeper left behind are remembered when the
 * folder is taken.  End them; yields how many there were.
 */
int run_dir_end_strays(struct run_dir *dir);
