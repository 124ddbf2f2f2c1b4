#pragma once

/*
 * loader - compiles the policy in a child process
 *
 * Reading leash.conf opens files, and an open may have to be answered by a
 * gate that has just died.  The process that must replace it therefore never
 * reads configuration itself: a child does, and sends the finished image.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"

struct loader {
	pid_t pid;
	int end; /* owned; readable when the child has something to say */
	int64_t started_ns;
};

#define LOADER_EMPTY ((struct loader){.pid = -1, .end = -1})

/* Expected outcomes of loader_finish(). */
enum {
	LOADER_WRONG = 1, /* the child has reported the mistakes */
};

/* A policy that is right is also kept in the folder keep, if not NULL. */
MUST_CHECK int loader_start(const struct config_source *source,
			    uint64_t generation, const char *keep,
			    struct loader *ret);

/* End a child that has taken longer than a minute: a path may hang it. */
void loader_check(struct loader *loader, int64_t now_ns);

/*
 * Call when end is readable: collect the child and its image, *ret_fd, the
 * caller's.  The loader is empty afterwards.
 */
MUST_CHECK int loader_finish(struct loader *loader, int *ret_fd);
