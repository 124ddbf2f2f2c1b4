#pragma once

/*
 * tool_keeper - keeps the tool gate at work
 *
 * The socket is ours and stays: who connects meanwhile waits for the next.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helpers/keeper.h"
#include "gatekeeper/policy/image.h"

struct tool_keeper;

struct tool_keeper_setup {
	const struct helper_house *house; /* borrowed, like all of it */
	int run_folder;			  /* where its socket goes */
	int channel_fd;
	const struct policy *policy; /* where the definitions lie */
};

MUST_CHECK int tool_keeper_new(const struct tool_keeper_setup *setup,
			       struct tool_keeper **ret);

/* Kills a tool gate that still runs, and takes the socket away. */
struct tool_keeper *tool_keeper_free(struct tool_keeper *keeper);
DEFINE_CLEANUP(struct tool_keeper *, tool_keeper_free)

/* As keeper_set_policy(); so are the rest as keeper.h says. */
void tool_keeper_set_policy(struct tool_keeper *keeper,
			    const struct policy *policy, int fd);
void tool_keeper_tick(struct tool_keeper *keeper, int64_t now_ns);
pid_t tool_keeper_pid(const struct tool_keeper *keeper);

/* Whether the one that answers, if any does, judges by that generation. */
bool tool_keeper_has(const struct tool_keeper *keeper, uint64_t generation);
