#include "gatekeeper/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/own_fds.h"
#include "gatekeeper/notify.h"

static const size_t channel_bytes[CHANNELS] = {
	[CHANNEL_OWN] = (size_t)1 << 20,
	[CHANNEL_GATE] = (size_t)16 << 20,
	[CHANNEL_NET] = (size_t)4 << 20,
	[CHANNEL_TOOL] = (size_t)1 << 20,
};

int supervisor_watch(struct supervisor *supervisor, int fd,
		     void (*happened)(void *context),
		     struct loop_source *source)
{
	source->fd = fd;
	source->happened = happened;
	source->context = supervisor;
	return loop_add(supervisor->loop, source);
}

static int make_channels(struct supervisor *supervisor)
{
	int r = 0;

	for (int i = 0; !r && i < CHANNELS; i++) {
		r = channel_create(channel_bytes[i],
				   &supervisor->channel_fds[i]);
		if (!r)
			r = channel_map(supervisor->channel_fds[i],
					&supervisor->channels[i]);
	}
	if (r)
		return r;
	supervisor->log.channel = supervisor->channels[CHANNEL_OWN];
	supervisor->log.wake = supervisor->house.wake;
	return 0;
}

static void take_signal(void *context);
static void take_tick(void *context);

static int make_fds(struct supervisor *supervisor)
{
	int r;

	r = loop_new(&supervisor->loop);
	if (r)
		return r;
	supervisor->house.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (supervisor->house.wake < 0)
		return -errno;
	r = own_fds_signals(&supervisor->signals);
	if (!r)
		r = own_fds_tick(&supervisor->tick);
	if (!r)
		r = make_channels(supervisor);
	if (!r)
		r = supervisor_watch(supervisor, supervisor->signals,
				     take_signal, &supervisor->signalled);
	if (!r)
		r = supervisor_watch(supervisor, supervisor->tick, take_tick,
				     &supervisor->ticked);
	supervisor->house.helpers_dir = supervisor->options.helpers_dir;
	supervisor->house.loop = supervisor->loop;
	supervisor->house.starter = supervisor->starter;
	supervisor->house.log = &supervisor->log;
	return r;
}

int supervisor_new(const struct supervisor_options *options,
		   struct run_dir *run_dir, struct supervisor **ret)
{
	CLEANUP(supervisor_free)
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	int r;

	if (!supervisor)
		return -ENOMEM;
	supervisor->options = *options;
	supervisor->run_dir = run_dir;
	supervisor->signals = supervisor->tick = supervisor->house.wake = -1;
	supervisor->group = supervisor->policy_fd = -1;
	for (int i = 0; i < CHANNELS; i++)
		supervisor->channel_fds[i] = -1;
	supervisor->started_ns = clock_monotonic_ns();
	/* First of all: what it forks later takes nothing else with it. */
	r = starter_new(&supervisor->starter);
	if (!r)
		r = make_fds(supervisor);
	if (r)
		return r;
	*ret = STEAL(supervisor);
	return 0;
}

struct supervisor *supervisor_free(struct supervisor *supervisor)
{
	if (!supervisor)
		return NULL;
	sleep_free(supervisor->sleep);
	control_free(supervisor->control);
	file_gates_free(supervisor->gates);
	net_keeper_free(supervisor->net);
	tool_keeper_free(supervisor->tool);
	store_keeper_free(supervisor->store);
	loader_end(&supervisor->loader);
	starter_free(supervisor->starter);
	loop_remove(&supervisor->mounted);
	marks_free(supervisor->marks);
	loop_remove(&supervisor->refused);
	mount_guard_free(supervisor->guard);
	policy_free(supervisor->policy);
	for (int i = 0; i < CHANNELS; i++) {
		channel_free(supervisor->channels[i]);
		fd_close(supervisor->channel_fds[i]);
	}
	fd_close(supervisor->policy_fd);
	fd_close(supervisor->group);
	fd_close(supervisor->house.wake);
	loop_remove(&supervisor->ticked);
	fd_close(supervisor->tick);
	loop_remove(&supervisor->signalled);
	fd_close(supervisor->signals);
	loop_free(supervisor->loop);
	free(supervisor);
	return NULL;
}

static bool same_text(const struct policy *a, struct policy_text text_a,
		      const struct policy *b, struct policy_text text_b)
{
	return !strcmp(policy_text(a, text_a), policy_text(b, text_b));
}

/* What only a restart can change, said rather than ignored. */
static void compare_settings(struct supervisor *supervisor,
			     const struct policy *next)
{
	const struct policy_general *old = policy_general(supervisor->policy);
	const struct policy_general *new = policy_general(next);

	if (!same_text(supervisor->policy, old->database, next,
		       new->database) ||
	    old->keep_days != new->keep_days || old->max_mb != new->max_mb ||
	    old->user_uid != new->user_uid)
		event_log_warn(&supervisor->log,
			       "user and log take effect when gatekeeper is "
			       "restarted");
}

/* When the first of the rules that are still in force ends. */
static int64_t find_next_end(const struct policy *policy)
{
	int64_t now_s = clock_realtime_ns() / CLOCK_NS_PER_S, next_s = 0;

	for (uint32_t i = 0; i < policy_rule_count(policy); i++) {
		int64_t until_s = policy_rule(policy, i)->until_s;

		if (until_s > now_s && (!next_s || until_s < next_s))
			next_s = until_s;
	}
	return next_s;
}

/* After a policy, and after each reload that brought none. */
static void watch_next_end(struct supervisor *supervisor)
{
	if (supervisor->policy)
		supervisor->next_end_s = find_next_end(supervisor->policy);
}

int supervisor_use_policy(struct supervisor *supervisor, int fd)
{
	CLEANUP(fd_close) int image = fd;
	CLEANUP(policy_free) struct policy *policy = NULL;
	int r = policy_map(image, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	if (supervisor->policy)
		compare_settings(supervisor, policy);
	if (supervisor->gates)
		file_gates_set_policy(supervisor->gates, policy, image);
	if (supervisor->net)
		net_keeper_set_policy(supervisor->net, policy, image);
	if (supervisor->tool)
		tool_keeper_set_policy(supervisor->tool, policy, image);
	if (supervisor->store)
		store_keeper_set_policy(supervisor->store, policy, image);
	policy_free(supervisor->policy);
	fd_close(supervisor->policy_fd);
	supervisor->policy = STEAL(policy);
	supervisor->policy_fd = STEAL_FD(image);
	watch_next_end(supervisor);
	return 0;
}

/* Trouble here is no reason to end what holds. */
static void update_marks(struct supervisor *supervisor)
{
	int r = marks_update(supervisor->marks, supervisor->policy);

	if (r)
		event_log_warn(&supervisor->log, "cannot cover the mounts: %s",
			       strerror(-r));
}

void supervisor_hear_mounts(void *context)
{
	update_marks(context);
}

void supervisor_hear_guard(void *context)
{
	struct supervisor *supervisor = context;
	uint64_t lost = mount_guard_hear(supervisor->guard);

	if (lost)
		event_log_warn(&supervisor->log,
			       "%" PRIu64
			       " more open(s) refused on filesystems "
			       "just mounted",
			       lost);
}

static uint64_t generation_of(const struct supervisor *supervisor)
{
	return supervisor->policy ? policy_generation(supervisor->policy) : 0;
}

static void finish_reload(void *context, int r, int fd);

void supervisor_reload(struct supervisor *supervisor)
{
	const struct loader_order order = {
		.source = &supervisor->options.source,
		.keep = supervisor->options.keep,
		.generation = generation_of(supervisor) + 1,
		.done = finish_reload,
		.context = supervisor,
	};
	int r;

	if (loader_runs(&supervisor->loader)) {
		supervisor->reload_again = true;
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)(clock_monotonic_ns() / 1000));
	r = loader_start(supervisor->loop, &order, &supervisor->loader);
	if (r) {
		errno = -r;
		log_error("cannot reload: %m");
		snprintf(supervisor->reload_problem,
			 sizeof(supervisor->reload_problem),
			 "cannot reload: %s", strerror(-r));
		watch_next_end(supervisor);
	}
}

/* Tell those who wait, unless another reload is under way. */
static void tell_reloaded(struct supervisor *supervisor)
{
	const char *problem = supervisor->reload_problem;

	if (!loader_runs(&supervisor->loader) &&
	    (problem[0] || supervisor->announced == generation_of(supervisor)))
		control_reloaded(supervisor->control, supervisor->announced,
				 problem[0] ? problem : NULL);
}

void supervisor_refuse(struct supervisor *supervisor, const char *why)
{
	snprintf(supervisor->reload_problem, sizeof(supervisor->reload_problem),
		 "reload failed (%s); generation %" PRIu64 " stays in force",
		 why, generation_of(supervisor));
	event_log_warn(&supervisor->log, "%s", supervisor->reload_problem);
}

static void finish_reload(void *context, int r, int fd)
{
	struct supervisor *supervisor = context;

	if (!r)
		r = supervisor_use_policy(supervisor, fd);
	supervisor->reload_problem[0] = '\0';
	if (!r) {
		update_marks(supervisor);
	} else {
		supervisor_refuse(supervisor,
				  r == LOADER_WRONG
					  ? "the configuration is wrong"
					  : strerror(-r));
		watch_next_end(supervisor);
		notify_send("READY=1");
	}
	if (supervisor->reload_again) {
		supervisor->reload_again = false;
		supervisor_reload(supervisor);
	}
}

/* Once the gates and the firewall rules have it, the generation is live. */
static void announce(struct supervisor *supervisor)
{
	const struct policy *policy = supervisor->policy;
	uint64_t generation = policy_generation(policy);
	bool observes = policy_mode_of(policy) == POLICY_MODE_OBSERVE;

	if (supervisor->announced == generation ||
	    file_gates_generation(supervisor->gates) != generation ||
	    net_keeper_generation(supervisor->net) != generation ||
	    !tool_keeper_has(supervisor->tool, generation))
		return;
	supervisor->announced = generation;
	supervisor->log.generation = generation;
	event_log_note(
		&supervisor->log,
		"generation %" PRIu64 " live: %s, %u account(s), %u rule(s)",
		generation,
		observes ? "OBSERVE MODE, nothing is refused" : "enforcing",
		policy_account_count(policy), policy_rule_count(policy));
	notify_send("READY=1\nSTATUS=generation %" PRIu64
		    ", %zu filesystem(s) covered%s",
		    generation, marks_count(supervisor->marks),
		    observes ? ", OBSERVE MODE: nothing is refused" : "");
}

static void take_signal(void *context)
{
	struct supervisor *supervisor = context;
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) !=
	    (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		supervisor_reload(supervisor);
		break;
	case SIGUSR1:
		supervisor->handing_over = true;
		break;
	default:
		supervisor->stopping = true;
		break;
	}
}

static void take_tick(void *context)
{
	struct supervisor *supervisor = context;
	int64_t now_ns = clock_monotonic_ns();
	uint64_t ticks;

	if (read(supervisor->tick, &ticks, sizeof(ticks)) < 0)
		return;
	file_gates_tick(supervisor->gates, now_ns);
	store_keeper_tick(supervisor->store, now_ns);
	net_keeper_tick(supervisor->net, now_ns);
	tool_keeper_tick(supervisor->tool, now_ns);
	if (resolv_watch_changed(&supervisor->resolvers, now_ns) &&
	    policy_general(supervisor->policy)->follows_system) {
		event_log_note(&supervisor->log, "the system has changed its "
						 "resolvers; reloading");
		supervisor_reload(supervisor);
	}
	if (supervisor->next_end_s &&
	    clock_realtime_ns() / CLOCK_NS_PER_S >= supervisor->next_end_s) {
		event_log_note(&supervisor->log, "a rule has ended; reloading");
		supervisor->next_end_s = 0;
		supervisor_reload(supervisor);
	}
	loader_check(&supervisor->loader, now_ns);
	control_tick(supervisor->control, now_ns);
	if (supervisor->sleep)
		sleep_tick(supervisor->sleep, now_ns);
	notify_alive(now_ns);
}

int supervisor_take_turn(struct supervisor *supervisor)
{
	int r = loop_turn(supervisor->loop, -1);

	return r < 0 ? r : 0;
}

static int stop(struct supervisor *supervisor)
{
	int r;

	notify_send("STOPPING=1");
	r = marks_clear(supervisor->marks);
	file_gates_stop(supervisor->gates);
	sleep_stop(supervisor->sleep);
	net_keeper_stop(supervisor->net);
	supervisor->tool = tool_keeper_free(supervisor->tool);
	event_log_note(&supervisor->log, "stopped; no account is leashed now");
	store_keeper_stop(supervisor->store);
	return r;
}

int supervisor_run(struct supervisor *supervisor)
{
	int r = 0;

	while (!r && !supervisor->stopping && !supervisor->handing_over) {
		announce(supervisor);
		tell_reloaded(supervisor);
		r = supervisor_take_turn(supervisor);
	}
	if (r || supervisor->stopping)
		return r ? r : stop(supervisor);
	event_log_note(&supervisor->log,
		       "going; the helpers stay at work for a successor");
	return SUPERVISOR_HANDED_OVER;
}
