#pragma once

/*
 * supervisor - keeps the leash on: policy, marks, gates and the log
 *
 * One loop that opens nothing outside /proc and waits for nobody once marks
 * are live (architecture in gatekeeper(8)).  Two file gates run at any time,
 * one answering and one spare that takes over within a moment.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/run_dir.h"

struct supervisor;

struct supervisor_options {
	struct config_source source;
	const char *helpers_dir; /* where leash-fanotify and leash-store are */
	/* Where policies that are right are kept, and the last one is taken
	 * from if the first to load is wrong; NULL: nowhere. */
	const char *keep;
};

/* Expected outcome of supervisor_start(). */
enum {
	SUPERVISOR_CONFIG_WRONG = 1, /* the mistakes have been reported */
};

/* run_dir is borrowed for the supervisor's life. */
MUST_CHECK int supervisor_new(const struct supervisor_options *options,
			      struct run_dir *run_dir, struct supervisor **ret);
struct supervisor *supervisor_free(struct supervisor *supervisor);
DEFINE_CLEANUP(struct supervisor *, supervisor_free)

/* Load the policy, start the helpers, mark: afterwards the leash holds. */
MUST_CHECK int supervisor_start(struct supervisor *supervisor);

/* Expected outcome of supervisor_run(). */
enum {
	/* After SIGUSR1: the helpers are at work, and freeing would end them */
	SUPERVISOR_HANDED_OVER = 1,
};

/* Run until SIGTERM or SIGINT has been carried out. */
MUST_CHECK int supervisor_run(struct supervisor *supervisor);
