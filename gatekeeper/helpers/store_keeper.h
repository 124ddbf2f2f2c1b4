#pragma once

/*
 * store_keeper - keeps the store at work
 *
 * Records wait in their channels meanwhile; no verdict waits for the store.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helpers/keeper.h"
#include "gatekeeper/policy/image.h"

/* gatekeeper's, the file gate's, the net gate's, the tool gate's */
#define STORE_KEEPER_CHANNELS 4

struct store_keeper;

/*
 * Make the folder that the log is in: the store's, and nobody else's business.
 * Before anything is marked, since it is looked up.
 */
MUST_CHECK int store_keeper_make_folder(const struct policy *policy);

struct store_keeper_setup {
	const struct helper_house *house; /* borrowed, like all of it */
	int channel_fds[STORE_KEEPER_CHANNELS];
	struct channel *channels[STORE_KEEPER_CHANNELS];
	const struct policy *policy; /* where the log is, and how large */
	int policy_fd;
};

/* Starts it, too. */
MUST_CHECK int store_keeper_new(const struct store_keeper_setup *setup,
				struct store_keeper **ret);

/* Kills a store that still runs. */
struct store_keeper *store_keeper_free(struct store_keeper *keeper);
DEFINE_CLEANUP(struct store_keeper *, store_keeper_free)

/* Every 100 ms: start a store if there is none, end one that stands still. */
void store_keeper_tick(struct store_keeper *keeper, int64_t now_ns);

/* What the next store is to know. */
void store_keeper_set_policy(struct store_keeper *keeper,
			     const struct policy *policy, int fd);

/* The store's pid, -1 for none. */
pid_t store_keeper_pid(const struct store_keeper *keeper);

/* Let it write what waits, and end it, within ten seconds. */
void store_keeper_stop(struct store_keeper *keeper);
