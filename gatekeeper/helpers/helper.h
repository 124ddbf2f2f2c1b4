#pragma once

/*
 * helper - a child process with one job and one privilege
 *
 * Started by the starter (starter.h), never by gatekeeper itself, and yet
 * gatekeeper's own child.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helpers/helper_spec.h"

struct starter;

enum helper_state {
	HELPER_NONE,
	HELPER_STARTING, /* has not yet said it is ready */
	HELPER_LOADING,	 /* was given its first policy */
	HELPER_READY,
};

struct helper {
	pid_t pid;
	int pidfd;   /* owned; readable once it is dead */
	int control; /* owned */
	enum helper_state state;
	uint64_t generation; /* of the policy it has in force */
	int64_t started_ns;
};

/* No helper. */
#define HELPER_EMPTY ((struct helper){.pid = -1, .pidfd = -1, .control = -1})

MUST_CHECK int helper_start(struct starter *starter,
			    const struct helper_spec *spec, struct helper *ret);

/*
 * Collect a dead helper and close what is left; yields its wait status.  One
 * that is told to die and hangs in the kernel is left behind.
 */
int helper_reap(struct helper *helper);

/* Send SIGKILL. */
void helper_kill(const struct helper *helper);

/* Wait at most timeout_ms for it to die.  True: it is dead. */
bool helper_wait(const struct helper *helper, int timeout_ms);

/* A wait status in words. */
const char *helper_fate(int status, char buffer[static 64]);
