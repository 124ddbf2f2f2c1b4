#pragma once

/*
 * supervisor - keeps the leash on: policy, marks, gates and the log
 *
 * One loop that opens nothing outside /proc and /sys and waits for nobody once
 * marks are live (architecture in gatekeeper(8)).  It is put together by
 * startup.h; nobody else looks inside.
 */

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/control/control.h"
#include "gatekeeper/event_log.h"
#include "gatekeeper/files/file_gates.h"
#include "gatekeeper/files/marks.h"
#include "gatekeeper/files/mount_guard.h"
#include "gatekeeper/helpers/starter.h"
#include "gatekeeper/helpers/store_keeper.h"
#include "gatekeeper/helpers/tool_keeper.h"
#include "gatekeeper/loader.h"
#include "gatekeeper/net/net_keeper.h"
#include "gatekeeper/net/resolv_watch.h"
#include "gatekeeper/run_dir.h"
#include "gatekeeper/sleep/sleep.h"

struct supervisor_options {
	struct config_source source;
	const char *helpers_dir; /* where leash-fanotify and leash-store are */
	/* Where policies that are right are kept, and the last one is taken
	 * from if the first to load is wrong; NULL: nowhere. */
	const char *keep;
};

/* The channels to the store: gatekeeper's own, and one for each gate. */
enum channel_of {
	CHANNEL_OWN,
	CHANNEL_GATE,
	CHANNEL_NET,
	CHANNEL_TOOL,
	CHANNELS,
};

struct supervisor {
	struct supervisor_options options;
	struct run_dir *run_dir; /* borrowed */
	struct starter *starter;
	struct event_log log;
	struct helper_house house; /* what all keepers share */
	struct loop *loop;
	int signals, tick, group; /* owned */
	struct loop_source signalled, ticked, mounted, refused;

	int channel_fds[CHANNELS]; /* owned */
	struct channel *channels[CHANNELS];

	struct mount_guard *guard; /* NULL: the kernel has no such thing */
	int guard_problem;	   /* why; an errno */
	struct marks *marks;
	struct file_gates *gates;
	struct sleep *sleep; /* NULL until all else is in place */

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

/* run_dir is borrowed for the supervisor's life. */
MUST_CHECK int supervisor_new(const struct supervisor_options *options,
			      struct run_dir *run_dir, struct supervisor **ret);
struct supervisor *supervisor_free(struct supervisor *supervisor);
DEFINE_CLEANUP(struct supervisor *, supervisor_free)

/* Expected outcome of supervisor_run(). */
enum {
	/* After SIGUSR1: the helpers are at work, and freeing would end them */
	SUPERVISOR_HANDED_OVER = 1,
};

/* Run until SIGTERM or SIGINT has been carried out. */
MUST_CHECK int supervisor_run(struct supervisor *supervisor);

/* Judge by the image in fd, which is taken over, from now on. */
MUST_CHECK int supervisor_use_policy(struct supervisor *supervisor, int fd);

/* Note what the mount guard has refused; context is the supervisor. */
void supervisor_hear_guard(void *context);

/* The mounts are others; likewise. */
void supervisor_hear_mounts(void *context);

/* Have the loop call happened when fd is ready. */
MUST_CHECK int supervisor_watch(struct supervisor *supervisor, int fd,
				void (*happened)(void *context),
				struct loop_source *source);

/* Compile the configuration; what comes of it, the loop will see. */
void supervisor_reload(struct supervisor *supervisor);

/* The configuration cannot take force: say so, until one does. */
void supervisor_refuse(struct supervisor *supervisor, const char *why);

/* Wait for events and handle them. */
MUST_CHECK int supervisor_take_turn(struct supervisor *supervisor);
