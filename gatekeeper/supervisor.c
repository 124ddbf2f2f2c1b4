#include "gatekeeper/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/ends.h"
#include "gatekeeper/notify.h"
#include "gatekeeper/supervisor_parts.h"

static const size_t channel_bytes[CHANNELS] = {
	[CHANNEL_OWN] = (size_t)1 << 20,
	[CHANNEL_GATE] = (size_t)16 << 20,
	[CHANNEL_NET] = (size_t)4 << 20,
	[CHANNEL_TOOL] = (size_t)1 << 20,
};

int supervisor_watch(struct supervisor *supervisor, int fd, enum tag tag,
		     uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno
								       : 0;
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
	supervisor->life.channel = supervisor->channels[CHANNEL_OWN];
	supervisor->life.wake = supervisor->wake;
	return 0;
}

static int make_ends(struct supervisor *supervisor)
{
	int r;

	supervisor->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (supervisor->epoll < 0)
		return -errno;
	supervisor->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (supervisor->wake < 0)
		return -errno;
	r = ends_signals(&supervisor->signals);
	if (!r)
		r = ends_tick(&supervisor->tick);
	if (!r)
		r = make_channels(supervisor);
	if (!r)
		r = supervisor_watch(supervisor, supervisor->signals,
				     TAG_SIGNAL, EPOLLIN);
	if (!r)
		r = supervisor_watch(supervisor, supervisor->tick, TAG_TICK,
				     EPOLLIN);
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
	supervisor->epoll = supervisor->signals = supervisor->tick = -1;
	supervisor->wake = supervisor->group = supervisor->policy_fd = -1;
	for (int i = 0; i < CHANNELS; i++)
		supervisor->channel_fds[i] = -1;
	supervisor->started_ns = clock_monotonic_ns();
	supervisor->loader = LOADER_EMPTY;
	r = make_ends(supervisor);
	if (r)
		return r;
	*ret = STEAL(supervisor);
	return 0;
}

struct supervisor *supervisor_free(struct supervisor *supervisor)
{
	if (!supervisor)
		return NULL;
	control_free(supervisor->control);
	gates_free(supervisor->gates);
	net_keeper_free(supervisor->net);
	tool_keeper_free(supervisor->tool);
	store_keeper_free(supervisor->store);
	marks_free(supervisor->marks);
	mount_guard_free(supervisor->guard);
	policy_free(supervisor->policy);
	for (int i = 0; i < CHANNELS; i++) {
		channel_free(supervisor->channels[i]);
		fd_close(supervisor->channel_fds[i]);
	}
	fd_close(supervisor->policy_fd);
	fd_close(supervisor->loader.end);
	fd_close(supervisor->group);
	fd_close(supervisor->wake);
	fd_close(supervisor->tick);
	fd_close(supervisor->signals);
	fd_close(supervisor->epoll);
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
	const struct policy_header *old = policy_header(supervisor->policy);
	const struct policy_header *new = policy_header(next);

	if (!same_text(supervisor->policy, old->database, next,
		       new->database) ||
	    old->keep_days != new->keep_days || old->max_mb != new->max_mb ||
	    old->user_uid != new->user_uid)
		life_warn(&supervisor->life,
			  "user and log take effect when gatekeeper is "
			  "restarted");
}

/* When the first of the rules that are still in force ends. */
static int64_t find_next_end(const struct policy *policy)
{
	int64_t now_s = clock_realtime_ns() / CLOCK_NS_PER_S, next_s = 0;

	for (uint32_t i = 0; i < policy_header(policy)->rules.count; i++) {
		int64_t until_s = policy_rule(policy, i)->until_s;

		if (until_s > now_s && (!next_s || until_s < next_s))
			next_s = until_s;
	}
	return next_s;
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
		gates_set_policy(supervisor->gates, policy, image);
	if (supervisor->net)
		net_keeper_set_policy(supervisor->net, policy, image);
	if (supervisor->tool)
		tool_keeper_set_policy(supervisor->tool, policy, image);
	policy_free(supervisor->policy);
	fd_close(supervisor->policy_fd);
	supervisor->policy = STEAL(policy);
	supervisor->policy_fd = STEAL_FD(image);
	supervisor->next_end_s = find_next_end(supervisor->policy);
	return 0;
}

/* Trouble here is no reason to end what holds. */
static void update_marks(struct supervisor *supervisor)
{
	int r = marks_update(supervisor->marks, supervisor->policy);

	if (r)
		life_warn(&supervisor->life, "cannot cover the mounts: %s",
			  strerror(-r));
}

static void hear_guard(struct supervisor *supervisor)
{
	uint64_t lost = mount_guard_hear(supervisor->guard);

	if (lost)
		life_warn(&supervisor->life,
			  "%" PRIu64 " more open(s) refused on filesystems "
			  "just mounted",
			  lost);
}

static uint64_t generation_of(const struct supervisor *supervisor)
{
	return supervisor->policy
		       ? policy_header(supervisor->policy)->generation
		       : 0;
}

void supervisor_reload(struct supervisor *supervisor)
{
	int r;

	if (supervisor->loader.pid > 0) {
		supervisor->reload_again = true;
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)(clock_monotonic_ns() / 1000));
	r = loader_start(&supervisor->options.source,
			 generation_of(supervisor) + 1,
			 supervisor->options.keep, &supervisor->loader);
	if (!r)
		r = supervisor_watch(supervisor, supervisor->loader.end,
				     TAG_LOADER, EPOLLIN);
	if (r) {
		errno = -r;
		log_error("cannot reload: %m");
		snprintf(supervisor->reload_problem,
			 sizeof(supervisor->reload_problem),
			 "cannot reload: %s", strerror(-r));
	}
}

/* Tell those who wait, unless another reload is under way. */
static void tell_reloaded(struct supervisor *supervisor)
{
	const char *problem = supervisor->reload_problem;

	if (supervisor->loader.pid <= 0 &&
	    (problem[0] || supervisor->announced == generation_of(supervisor)))
		control_reloaded(supervisor->control, supervisor->announced,
				 problem[0] ? problem : NULL);
}

static void finish_reload(struct supervisor *supervisor)
{
	int fd = -1;
	int r;

	epoll_ctl(supervisor->epoll, EPOLL_CTL_DEL, supervisor->loader.end,
		  NULL);
	r = loader_finish(&supervisor->loader, &fd);
	if (!r)
		r = supervisor_use_policy(supervisor, fd);
	supervisor->reload_problem[0] = '\0';
	if (!r) {
		update_marks(supervisor);
	} else {
		snprintf(supervisor->reload_problem,
			 sizeof(supervisor->reload_problem),
			 "reload failed (%s); generation %" PRIu64
			 " stays in force",
			 r == LOADER_WRONG ? "the configuration is wrong"
					   : strerror(-r),
			 generation_of(supervisor));
		life_warn(&supervisor->life, "%s", supervisor->reload_problem);
		notify_send("READY=1");
	}
	if (supervisor->reload_again) {
		supervisor->reload_again = false;
		supervisor_reload(supervisor);
	}
}

/* Once both gates and the firewall rules have it, the generation is live. */
static void announce(struct supervisor *supervisor)
{
	const struct policy_header *header = policy_header(supervisor->policy);

	if (supervisor->announced == header->generation ||
	    gates_generation(supervisor->gates) != header->generation ||
	    net_keeper_generation(supervisor->net) != header->generation ||
	    !tool_keeper_has(supervisor->tool, header->generation))
		return;
	supervisor->announced = header->generation;
	supervisor->life.generation = header->generation;
	life_note(&supervisor->life,
		  "generation %" PRIu64 " live: %s, %u account(s), %u rule(s)",
		  header->generation,
		  header->mode == POLICY_MODE_OBSERVE
			  ? "OBSERVE MODE, nothing is refused"
			  : "enforcing",
		  header->accounts.count, header->rules.count);
	notify_send("READY=1\nSTATUS=generation %" PRIu64
		    ", %zu filesystem(s) covered%s",
		    header->generation, marks_count(supervisor->marks),
		    header->mode == POLICY_MODE_OBSERVE
			    ? ", OBSERVE MODE: nothing is refused"
			    : "");
}

static void take_signal(struct supervisor *supervisor)
{
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

static void take_tick(struct supervisor *supervisor)
{
	int64_t now_ns = clock_monotonic_ns();
	uint64_t ticks;

	if (read(supervisor->tick, &ticks, sizeof(ticks)) < 0)
		return;
	gates_tick(supervisor->gates, now_ns);
	store_keeper_tick(supervisor->store, supervisor->policy, now_ns);
	net_keeper_tick(supervisor->net, now_ns);
	tool_keeper_tick(supervisor->tool, now_ns);
	if (resolv_watch_changed(&supervisor->resolvers, now_ns) &&
	    policy_header(supervisor->policy)->follows_system) {
		life_note(&supervisor->life, "the system has changed its "
					     "resolvers; reloading");
		supervisor_reload(supervisor);
	}
	if (supervisor->next_end_s &&
	    clock_realtime_ns() / CLOCK_NS_PER_S >= supervisor->next_end_s) {
		life_note(&supervisor->life, "a rule has ended; reloading");
		supervisor->next_end_s = 0;
		supervisor_reload(supervisor);
	}
	loader_check(&supervisor->loader, now_ns);
	control_tick(supervisor->control, now_ns);
	notify_alive(now_ns);
}

int supervisor_take_turn(struct supervisor *supervisor)
{
	struct epoll_event events[8];
	int count = epoll_wait(supervisor->epoll, events, 8, -1);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		switch ((enum tag)events[i].data.u32) {
		case TAG_SIGNAL:
			take_signal(supervisor);
			break;
		case TAG_TICK:
			take_tick(supervisor);
			break;
		case TAG_GATES:
			gates_dispatch(supervisor->gates);
			break;
		case TAG_MOUNTS:
			update_marks(supervisor);
			break;
		case TAG_GUARD:
			hear_guard(supervisor);
			break;
		case TAG_LOADER:
			finish_reload(supervisor);
			break;
		case TAG_STORE:
			store_keeper_dispatch(supervisor->store);
			break;
		case TAG_NET:
			net_keeper_dispatch(supervisor->net);
			break;
		case TAG_TOOL:
			tool_keeper_dispatch(supervisor->tool);
			break;
		case TAG_CONTROL:
			control_dispatch(supervisor->control);
			break;
		}
	}
	announce(supervisor);
	tell_reloaded(supervisor);
	return 0;
}

static int stop(struct supervisor *supervisor)
{
	int r;

	notify_send("STOPPING=1");
	r = marks_clear(supervisor->marks);
	gates_stop(supervisor->gates);
	net_keeper_stop(supervisor->net);
	supervisor->tool = tool_keeper_free(supervisor->tool);
	life_note(&supervisor->life, "stopped; no account is leashed now");
	store_keeper_stop(supervisor->store, supervisor->policy);
	return r;
}

int supervisor_run(struct supervisor *supervisor)
{
	int r = 0;

	announce(supervisor);
	while (!r && !supervisor->stopping && !supervisor->handing_over)
		r = supervisor_take_turn(supervisor);
	if (r || supervisor->stopping)
		return r ? r : stop(supervisor);
	life_note(&supervisor->life,
		  "going; the helpers stay at work for a successor");
	return SUPERVISOR_HANDED_OVER;
}
