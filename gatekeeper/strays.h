#pragma once

/*
 * strays - helpers that have outlived who started them
 *
 * They are looked for in /proc, not written down: anybody may have cleaned up
 * /run.  A helper is who runs root's file of that name, in our PID namespace.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

#define STRAYS_MAX 32

struct strays {
	struct stray {
		pid_t pid;
		uint64_t start_time; /* tells it from a later one */
	} strays[STRAYS_MAX];
	size_t count;
};

/* Expected outcome. */
enum {
	STRAYS_OWNED = 1, /* a gatekeeper is there, whose they are */
};

/* Remember them.  proc is that of process_open_proc(). */
MUST_CHECK int strays_find(int proc, struct strays *ret);

/* End those remembered; yields how many there were. */
int strays_end(struct strays *strays, int proc);

/* End every file gate but process except (0: none) and its children. */
void strays_kill_gates(int proc, pid_t except);
