#include "gatekeeper/store_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/helper.h"
#include "gatekeeper/wire/message.h"

#define STILL_TICKS 50 /* with records waiting and no sign of life */
#define PAUSE_NS    (250 * CLOCK_NS_PER_MS)
#define RETRY_NS    CLOCK_NS_PER_S
#define STOP_MS	    10000

struct store_keeper {
	struct store_keeper_setup setup;
	struct helper store;
	int epoll; /* owned */
	uint64_t beats;
	int still_ticks;
	int64_t start_after_ns;
};

int store_keeper_new(const struct store_keeper_setup *setup,
		     struct store_keeper **ret)
{
	CLEANUP(store_keeper_free)
	struct store_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return -ENOMEM;
	keeper->setup = *setup;
	keeper->store = HELPER_EMPTY;
	keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (keeper->epoll < 0)
		return -errno;
	*ret = STEAL(keeper);
	return 0;
}

struct store_keeper *store_keeper_free(struct store_keeper *keeper)
{
	if (!keeper)
		return NULL;
	helper_kill(&keeper->store);
	helper_reap(&keeper->store);
	fd_close(keeper->epoll);
	free(keeper);
	return NULL;
}

int store_keeper_fd(const struct store_keeper *keeper)
{
	return keeper->epoll;
}

pid_t store_keeper_pid(const struct store_keeper *keeper)
{
	return keeper->store.pid;
}

static void start(struct store_keeper *keeper, const struct policy *policy)
{
	const struct policy_header *header = policy_header(policy);
	char program[4096], path[4096], keep_days[16], max_mb[16];
	char *arguments[] = {(char *)"leash-store", path, keep_days, max_mb,
			     NULL};
	const int fds[] = {
		keeper->setup.wake,	      keeper->setup.channel_fds[0],
		keeper->setup.channel_fds[1], keeper->setup.channel_fds[2],
		keeper->setup.channel_fds[3],
	};
	const struct helper_spec spec = {
		.program = program,
		.arguments = arguments,
		.uid = header->user_uid,
		.gid = header->user_gid,
		.fds = fds,
		.fd_count = sizeof(fds) / sizeof(fds[0]),
	};
	struct epoll_event event = {.events = EPOLLIN};
	int r;

	snprintf(program, sizeof(program), "%s/leash-store",
		 keeper->setup.helpers_dir);
	snprintf(path, sizeof(path), "%s",
		 policy_text(policy, header->database));
	snprintf(keep_days, sizeof(keep_days), "%u", header->keep_days);
	snprintf(max_mb, sizeof(max_mb), "%u", header->max_mb);
	r = helper_start(&spec, &keeper->store);
	if (!r && epoll_ctl(keeper->epoll, EPOLL_CTL_ADD, keeper->store.pidfd,
			    &event) < 0)
		r = -errno;
	if (r) {
		errno = -r;
		log_error("cannot start the store: %m");
	}
	keeper->still_ticks = 0;
}

void store_keeper_dispatch(struct store_keeper *keeper)
{
	char fate[64];
	int status;

	if (keeper->store.pid < 0 || !helper_wait(&keeper->store, 0))
		return;
	/* Not only closed: a child that has yet to exec holds a copy. */
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->store.pidfd, NULL);
	status = helper_reap(&keeper->store);
	life_warn(keeper->setup.life,
		  "the store %s; verdicts go on, records wait for the next",
		  helper_fate(status, fate));
	keeper->start_after_ns = clock_monotonic_ns() + PAUSE_NS;
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
	life_warn(keeper->setup.life, "the store stands still; replacing it");
	helper_kill(&keeper->store);
	keeper->still_ticks = 0;
}

void store_keeper_tick(struct store_keeper *keeper, const struct policy *policy,
		       int64_t now_ns)
{
	if (keeper->store.pid > 0) {
		check_pulse(keeper);
	} else if (now_ns >= keeper->start_after_ns) {
		keeper->start_after_ns = now_ns + RETRY_NS;
		start(keeper, policy);
	}
}

void store_keeper_stop(struct store_keeper *keeper, const struct policy *policy)
{
	const struct message stop = {.type = MESSAGE_STOP};

	if (keeper->store.pid < 0)
		start(keeper, policy); /* what waits is to be written */
	if (keeper->store.pid < 0)
		return;
	if (message_send(keeper->store.control, &stop, -1) ||
	    !helper_wait(&keeper->store, STOP_MS))
		log_error("the store does not end; killing it");
	helper_kill(&keeper->store);
	helper_reap(&keeper->store);
}
