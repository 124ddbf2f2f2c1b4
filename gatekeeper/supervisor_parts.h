#pragma once

/*
 * supervisor_parts - the supervisor, for supervisor.c and its start
 *
 * supervisor_start.c puts it together, supervisor.c keeps it going.  Private to
 * both.
 */

#include "gatekeeper/base/channel.h"
#include "gatekeeper/control.h"
#include "gatekeeper/gates.h"
#include "gatekeeper/life.h"
#include "gatekeeper/loader.h"
#include "gatekeeper/marks.h"
#include "gatekeeper/mount_guard.h"
#include "gatekeeper/net_keeper.h"
#include "gatekeeper/resolv_watch.h"
#include "gatekeeper/run_dir.h"
#include "gatekeeper/store_keeper.h"
#include "gatekeeper/supervisor.h"
#include "gatekeeper/tool_keeper.h"

/* The channels to the store: gatekeeper's own, and one for each gate. */
enum channel_of {
	CHANNEL_OWN,
	CHANNEL_GATE,
	CHANNEL_NET,
	CHANNEL_TOOL,
	CHANNELS,
};

enum tag {
	TAG_SIGNAL,
	TAG_TICK,
	TAG_GATES,
	TAG_MOUNTS,
	TAG_GUARD,
	TAG_LOADER,
	TAG_STORE,
	TAG_NET,
	TAG_TOOL,
	TAG_CONTROL,
};

struct supervisor {
	struct supervisor_options options;
	struct run_dir *run_dir; /* borrowed */
	struct life life;
	int epoll, signals, tick, wake, group; /* owned */

	int channel_fds[CHANNELS]; /* owned */
	struct channel *channels[CHANNELS];

	struct mount_guard *guard; /* NULL: the kernel has no such thing */
	int guard_problem;	   /* why; an errno */
	struct marks *marks;
	struct gates *gates;

	struct store_keeper *store;
	struct net_keeper *net;
	struct tool_keeper *tool;
	struct resolv_watch resolvers;
	struct control *control;
	int64_t started_ns;

	struct policy *policy;
	int policy_fd;	    /* owned */
	uint64_t announced; /* generation last said to be live */
	int64_t next_end_s; /* when the next rule ends; 0: none does */
	char reload_problem[256];
	struct loader loader;
	bool reload_again;

	bool stopping;
	bool handing_over;
};

/* Let the loop hear of events on fd. */
MUST_CHECK int supervisor_watch(struct supervisor *supervisor, int fd,
				enum tag tag, uint32_t events);

/* Judge by the image in fd, which is taken over, from now on. */
MUST_CHECK int supervisor_use_policy(struct supervisor *supervisor, int fd);

/* Compile the configuration; what comes of it, the loop will see. */
void supervisor_reload(struct supervisor *supervisor);

/* Wait for events and handle them. */
MUST_CHECK int supervisor_take_turn(struct supervisor *supervisor);
