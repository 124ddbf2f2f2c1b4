#pragma once

/*
 * store_keeper - starts the store, and another when it dies or stands still
 *
 * Records wait in their channels meanwhile; no verdict waits for the store.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/life.h"
#include "gatekeeper/policy/image.h"

/* gatekeeper's, the file gate's, the net gate's, the tool gate's */
#define STORE_KEEPER_CHANNELS 4

struct store_keeper;

struct store_keeper_setup {
	const char *helpers_dir; /* borrowed, like all of it */
	int wake;
	int channel_fds[STORE_KEEPER_CHANNELS];
	struct channel *channels[STORE_KEEPER_CHANNELS];
	struct life *life;
};

MUST_CHECK int store_keeper_new(const struct store_keeper_setup *setup,
				struct store_keeper **ret);

/* Kills a store that still runs. */
struct store_keeper *store_keeper_free(struct store_keeper *keeper);
DEFINE_CLEANUP(struct store_keeper *, store_keeper_free)

/* Readable when store_keeper_dispatch() has something to do. */
int store_keeper_fd(const struct store_keeper *keeper);
void store_keeper_dispatch(struct store_keeper *keeper);

/* Every 100 ms: start a store if there is none, end one that stands still. */
void store_keeper_tick(struct store_keeper *keeper, const struct policy *policy,
		       int64_t now_ns);

/* The store's pid, -1 for none. */
pid_t store_keeper_pid(const struct store_keeper *keeper);

/* Let it write what waits, and end it, within ten seconds. */
void store_keeper_stop(struct store_keeper *keeper,
		       const struct policy *policy);
