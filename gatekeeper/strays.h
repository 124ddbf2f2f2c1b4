#pragma once

/*
 * strays - helpers that have outlived who started them
 *
 * They are looked for in /proc, not written down: anybody may have cleaned up
 * /run.  A helper is who runs root's file of that name, in our PID and user
 * namespaces: in a user namespace of its own a process may say that it runs
 * what it likes.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/array.h"
#include "gatekeeper/base/cleanup.h"

struct stray {
	pid_t pid;
	uint64_t start_time; /* tells it from a later one */
};

/* Expected outcome. */
enum {
	STRAYS_OWNED = 1, /* a gatekeeper is there, whose they are */
};

/*
 * Remember all there are, each a struct stray, in the place of what ret holds.
 * proc is that of process_open_proc().
 */
MUST_CHECK int strays_find(int proc, struct array *ret);

/* End those remembered; yields how many there were. */
int strays_end(struct array *strays, int proc);

/* End every file gate but process except (0: none) and its children. */
void strays_kill_gates(int proc, pid_t except);
