#pragma once

/*
 * tool_keeper - starts the tool gate, and another when it dies or stands still
 *
 * The socket is ours and stays: who connects meanwhile waits for the next.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/life.h"
#include "gatekeeper/policy/image.h"

struct tool_keeper;

struct tool_keeper_setup {
	const char *helpers_dir; /* borrowed, like all of it */
	int run_folder;		 /* where its socket goes */
	int wake;
	int channel_fd;
	struct life *life;
};

MUST_CHECK int tool_keeper_new(const struct tool_keeper_setup *setup,
			       struct tool_keeper **ret);

/* Kills a tool gate that still runs, and takes the socket away. */
struct tool_keeper *tool_keeper_free(struct tool_keeper *keeper);
DEFINE_CLEANUP(struct tool_keeper *, tool_keeper_free)

/* Readable when tool_keeper_dispatch() has something to do. */
int tool_keeper_fd(const struct tool_keeper *keeper);
void tool_keeper_dispatch(struct tool_keeper *keeper);

/*
 * Judge by policy, whose image is in fd; both are borrowed until the next
 * call.
 */
void tool_keeper_set_policy(struct tool_keeper *keeper,
			    const struct policy *policy, int fd);

/* Every 100 ms: start one if there is none, end one that stands still. */
void tool_keeper_tick(struct tool_keeper *keeper, int64_t now_ns);

/* Whether the one that answers, if any does, judges by that generation. */
bool tool_keeper_has(const struct tool_keeper *keeper, uint64_t generation);

/* Its pid, -1 for none. */
pid_t tool_keeper_pid(const struct tool_keeper *keeper);
