#include "gatekeeper/helpers/store_keeper.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/clock.h"

#define STILL_TICKS 50 /* with records waiting and no sign of life */
#define STOP_MS	    10000

struct store_keeper {
	struct store_keeper_setup setup;
	struct keeper *store; /* owned */
	const struct policy *policy;
	int fds[1 + STORE_KEEPER_CHANNELS];
	char path[4096], keep_days[16], max_mb[16];
	char *arguments[5];
	uint64_t beats;
	int still_ticks;
};

int store_keeper_make_folder(const struct policy *policy)
{
	const struct policy_general *general = policy_general(policy);
	char path[4096], *folder;

	snprintf(path, sizeof(path), "%s",
		 policy_text(policy, general->database));
	folder = dirname(path);
	if (mkdir(folder, 0750) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (chown(folder, general->user_uid, general->user_gid) < 0)
		return -errno;
	return 0;
}

static int prepare(void *context, struct helper_given *ret)
{
	struct store_keeper *keeper = context;
	const struct policy_general *general = policy_general(keeper->policy);

	keeper->arguments[0] = (char *)"leash-store";
	keeper->arguments[1] = keeper->path;
	keeper->arguments[2] = keeper->keep_days;
	keeper->arguments[3] = keeper->max_mb;
	snprintf(keeper->path, sizeof(keeper->path), "%s",
		 policy_text(keeper->policy, general->database));
	snprintf(keeper->keep_days, sizeof(keeper->keep_days), "%u",
		 general->keep_days);
	snprintf(keeper->max_mb, sizeof(keeper->max_mb), "%u", general->max_mb);
	ret->arguments = keeper->arguments;
	ret->fds = keeper->fds;
	ret->fd_count = 1 + STORE_KEEPER_CHANNELS;
	keeper->still_ticks = 0;
	return 0;
}

int store_keeper_new(const struct store_keeper_setup *setup,
		     struct store_keeper **ret)
{
	CLEANUP(store_keeper_free)
	struct store_keeper *keeper = calloc(1, sizeof(*keeper));
	const struct keeper_setup of_store = {
		.house = setup->house,
		.row = helper_row(HELPER_STORE),
		.context = keeper,
		.prepare = prepare,
	};
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->setup = *setup;
	keeper->fds[0] = setup->house->wake;
	for (int i = 0; i < STORE_KEEPER_CHANNELS; i++)
		keeper->fds[1 + i] = setup->channel_fds[i];
	r = keeper_new(&of_store, &keeper->store);
	if (r)
		return r;
	store_keeper_set_policy(keeper, setup->policy, setup->policy_fd);
	keeper_tick(keeper->store, clock_monotonic_ns());
	*ret = STEAL(keeper);
	return 0;
}

struct store_keeper *store_keeper_free(struct store_keeper *keeper)
{
	if (!keeper)
		return NULL;
	keeper_free(keeper->store);
	free(keeper);
	return NULL;
}

void store_keeper_set_policy(struct store_keeper *keeper,
			     const struct policy *policy, int fd)
{
	keeper->policy = policy;
	keeper_set_policy(keeper->store, policy, fd);
}

pid_t store_keeper_pid(const struct store_keeper *keeper)
{
	return keeper_pid(keeper->store);
}

static void check_pulse(struct store_keeper *keeper)
{
	uint64_t beats = channel_beats(keeper->setup.channels[0]);
	bool work = false;

	for (int i = 0; i < STORE_KEEPER_CHANNELS; i++)
		work = work || channel_used(keeper->setup.channels[i]);
	if (!work || beats != keeper->beats)
		keeper->still_ticks = 0;
	keeper->beats = beats;
	if (++keeper->still_ticks <= STILL_TICKS)
		return;
	keeper_replace(keeper->store, "stands still");
	keeper->still_ticks = 0;
}

void store_keeper_tick(struct store_keeper *keeper, int64_t now_ns)
{
	if (store_keeper_pid(keeper) > 0)
		check_pulse(keeper);
	keeper_tick(keeper->store, now_ns);
}

void store_keeper_stop(struct store_keeper *keeper)
{
	/* What waits is to be written. */
	if (store_keeper_pid(keeper) < 0 && keeper_start(keeper->store))
		return;
	keeper_stop(keeper->store, STOP_MS);
}
