#pragma once

/*
 * loader - compiles the policy in a child process
 *
 * Reading leash.conf opens files, and an open may have to be answered by a
 * gate that has just died.  The process that must replace it therefore never
 * reads configuration itself: a task does, and sends the finished image.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/system/task.h"

/* Expected outcomes, for done(). */
enum {
	LOADER_WRONG = 1, /* the task has reported the mistakes */
};

struct loader_order {
	const struct config_source *source; /* borrowed, like the next */
	const char *keep; /* a folder for a policy that is right, or NULL */
	uint64_t generation;
	/* r as above, 0 with fd, which is then the callee's, or an errno. */
	void (*done)(void *context, int r, int fd);
	void *context;
};

struct loader {
	struct task task;
	struct loader_order order;
};

MUST_CHECK int loader_start(struct loop *loop, const struct loader_order *order,
			    struct loader *ret);

bool loader_runs(const struct loader *loader);

/* End a task that has taken longer than a minute: a path may hang it. */
void loader_check(struct loader *loader, int64_t now_ns);

/* End a task, if there is one, whatever it was about to say. */
void loader_end(struct loader *loader);
