#pragma once

/*
 * helper - a child process with one job and one privilege
 *
 * Started by fork and exec, never vfork or posix_spawn: those hold the parent
 * until the kernel has opened the program, and the parent may be the one who
 * has to answer that very open.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

struct helper_spec {
	const char *program; /* path */
	char *const *arguments;
	uid_t uid;
	gid_t gid;
	const int *capabilities; /* kept by it */
	size_t capability_count;
	int priority;	 /* nice value */
	const int *fds;	 /* become 4, 5, ... in it; 3 is its control end */
	size_t fd_count; /* at most 8 */
};

enum helper_state {
	HELPER_NONE,
	HELPER_STARTING, /* has not yet said it is ready */
	HELPER_LOADING,	 /* was given its first policy */
	HELPER_READY,
	HELPER_ACTIVE, /* a gate that answers */
};

struct helper {
	pid_t pid;
	int pidfd;   /* owned; readable once it is dead */
	int control; /* owned */
	enum helper_state state;
	uint64_t generation; /* of the policy it has in force */
	int64_t started_ns;
};

/* A helper that is none. */
#define HELPER_EMPTY ((struct helper){.pid = -1, .pidfd = -1, .control = -1})

MUST_CHECK int helper_start(const struct helper_spec *spec, struct helper *ret);

/* Collect a dead helper and close what is left; yields its wait status. */
int helper_reap(struct helper *helper);

/* Send SIGKILL. */
void helper_kill(const struct helper *helper);

/* Wait at most timeout_ms for it to die.  True: it is dead. */
bool helper_wait(const struct helper *helper, int timeout_ms);

/* A wait status in words. */
const char *helper_fate(int status, char buffer[static 64]);
