#include "gatekeeper/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/ends.h"
#include "gatekeeper/gates.h"
#include "gatekeeper/life.h"
#include "gatekeeper/loader.h"
#include "gatekeeper/marks.h"
#include "gatekeeper/net_keeper.h"
#include "gatekeeper/notify.h"
#include "gatekeeper/resolv_watch.h"
#include "gatekeeper/store_keeper.h"

#define START_TIMEOUT_NS   (20 * CLOCK_NS_PER_S)
#define OWN_CHANNEL_BYTES  ((size_t)1 << 20)
#define GATE_CHANNEL_BYTES ((size_t)16 << 20)
#define NET_CHANNEL_BYTES  ((size_t)4 << 20)

#define HELPERS		   (GATES_COUNT + 2)

enum tag {
	TAG_SIGNAL,
	TAG_TICK,
	TAG_GATES,
	TAG_MOUNTS,
	TAG_LOADER,
	TAG_STORE,
	TAG_NET,
};

struct supervisor {
	struct supervisor_options options;
	struct run_dir *run_dir; /* borrowed */
	struct life life;
	int epoll, signals, tick, wake, group; /* owned */

	int own_channel_fd, gate_channel_fd, net_channel_fd; /* owned */
	struct channel *own_channel, *gate_channel, *net_channel;

	struct marks *marks;
	struct gates *gates;

	struct store_keeper *store;
	struct net_keeper *net;
	struct resolv_watch resolvers;

	struct policy *policy;
	int policy_fd;	    /* owned */
	uint64_t announced; /* generation last said to be live */
	struct loader loader;
	bool reload_again;

	pid_t noted[HELPERS]; /* as in run_dir */
	bool stopping;
};

static int watch(struct supervisor *supervisor, int fd, enum tag tag,
		 uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno
								       : 0;
}

static void report_mount(void *context, const char *mount_point,
			 const char *type, const char *problem)
{
	struct supervisor *supervisor = context;
	char shown[512];

	escape_text(shown, sizeof(shown), mount_point, strlen(mount_point));
	if (problem)
		life_warn(&supervisor->life, "not covered: %s (%s): %s", shown,
			  type, problem);
	else
		life_note(&supervisor->life, "covered: %s (%s)", shown, type);
}

static int make_channels(struct supervisor *supervisor)
{
	int r = channel_create(OWN_CHANNEL_BYTES, &supervisor->own_channel_fd);

	if (!r)
		r = channel_map(supervisor->own_channel_fd,
				&supervisor->own_channel);
	if (!r)
		r = channel_create(GATE_CHANNEL_BYTES,
				   &supervisor->gate_channel_fd);
	if (!r)
		r = channel_map(supervisor->gate_channel_fd,
				&supervisor->gate_channel);
	if (!r)
		r = channel_create(NET_CHANNEL_BYTES,
				   &supervisor->net_channel_fd);
	if (!r)
		r = channel_map(supervisor->net_channel_fd,
				&supervisor->net_channel);
	if (r)
		return r;
	supervisor->life.channel = supervisor->own_channel;
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
		r = watch(supervisor, supervisor->signals, TAG_SIGNAL, EPOLLIN);
	if (!r)
		r = watch(supervisor, supervisor->tick, TAG_TICK, EPOLLIN);
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
	supervisor->own_channel_fd = supervisor->gate_channel_fd = -1;
	supervisor->net_channel_fd = -1;
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
	gates_free(supervisor->gates);
	net_keeper_free(supervisor->net);
	store_keeper_free(supervisor->store);
	marks_free(supervisor->marks);
	policy_free(supervisor->policy);
	channel_free(supervisor->own_channel);
	channel_free(supervisor->gate_channel);
	channel_free(supervisor->net_channel);
	fd_close(supervisor->own_channel_fd);
	fd_close(supervisor->gate_channel_fd);
	fd_close(supervisor->net_channel_fd);
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

/* The successor of this process must know whom to end. */
static void note_helpers(struct supervisor *supervisor)
{
	pid_t pids[HELPERS];

	gates_pids(supervisor->gates, pids);
	pids[GATES_COUNT] = store_keeper_pid(supervisor->store);
	pids[GATES_COUNT + 1] = net_keeper_pid(supervisor->net);
	if (!memcmp(pids, supervisor->noted, sizeof(pids)))
		return;
	memcpy(supervisor->noted, pids, sizeof(pids));
	if (run_dir_note_helpers(supervisor->run_dir, pids, HELPERS))
		log_warning("cannot write down the helpers in the run "
			    "folder");
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

static int use_policy(struct supervisor *supervisor, int fd)
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
	policy_free(supervisor->policy);
	fd_close(supervisor->policy_fd);
	supervisor->policy = STEAL(policy);
	supervisor->policy_fd = STEAL_FD(image);
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

static uint64_t generation_of(const struct supervisor *supervisor)
{
	return supervisor->policy
		       ? policy_header(supervisor->policy)->generation
		       : 0;
}

static void begin_reload(struct supervisor *supervisor)
{
	int r;

	if (supervisor->loader.pid > 0) {
		supervisor->reload_again = true;
		return;
	}
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)(clock_monotonic_ns() / 1000));
	r = loader_start(&supervisor->options.source,
			 generation_of(supervisor) + 1, &supervisor->loader);
	if (!r)
		r = watch(supervisor, supervisor->loader.end, TAG_LOADER,
			  EPOLLIN);
	if (r) {
		errno = -r;
		log_error("cannot reload: %m");
	}
}

static void finish_reload(struct supervisor *supervisor)
{
	int fd = -1;
	int r;

	epoll_ctl(supervisor->epoll, EPOLL_CTL_DEL, supervisor->loader.end,
		  NULL);
	r = loader_finish(&supervisor->loader, &fd);
	if (!r)
		r = use_policy(supervisor, fd);
	if (!r) {
		update_marks(supervisor);
	} else {
		life_warn(&supervisor->life,
			  "reload failed (%s); generation %" PRIu64
			  " stays in force",
			  r == LOADER_WRONG ? "the configuration is wrong"
					    : strerror(-r),
			  generation_of(supervisor));
		notify_send("READY=1");
	}
	if (supervisor->reload_again) {
		supervisor->reload_again = false;
		begin_reload(supervisor);
	}
}

/* Once both gates and the firewall rules have it, the generation is live. */
static void announce(struct supervisor *supervisor)
{
	const struct policy_header *header = policy_header(supervisor->policy);

	if (supervisor->announced == header->generation ||
	    gates_generation(supervisor->gates) != header->generation ||
	    net_keeper_generation(supervisor->net) != header->generation)
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
	if (info.ssi_signo == SIGHUP)
		begin_reload(supervisor);
	else
		supervisor->stopping = true;
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
	if (resolv_watch_changed(&supervisor->resolvers, now_ns) &&
	    policy_header(supervisor->policy)->follows_system) {
		life_note(&supervisor->life, "the system has changed its "
					     "resolvers; reloading");
		begin_reload(supervisor);
	}
	note_helpers(supervisor);
	loader_check(&supervisor->loader, now_ns);
}

static int take_turn(struct supervisor *supervisor)
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
		case TAG_LOADER:
			finish_reload(supervisor);
			break;
		case TAG_STORE:
			store_keeper_dispatch(supervisor->store);
			break;
		case TAG_NET:
			net_keeper_dispatch(supervisor->net);
			break;
		}
	}
	announce(supervisor);
	return 0;
}

/* The first policy: nothing is marked yet, so waiting is no danger. */
static int load_first(struct supervisor *supervisor)
{
	struct loader loader;
	int fd = -1;
	int r = loader_start(&supervisor->options.source, 1, &loader);

	if (r)
		return r;
	(void)poll(&(struct pollfd){.fd = loader.end, .events = POLLIN}, 1, -1);
	r = loader_finish(&loader, &fd);
	if (r)
		return r < 0 ? r : SUPERVISOR_CONFIG_WRONG;
	return use_policy(supervisor, fd);
}

static int make_store(struct supervisor *supervisor)
{
	const struct store_keeper_setup setup = {
		.helpers_dir = supervisor->options.helpers_dir,
		.wake = supervisor->wake,
		.channel_fds = {supervisor->own_channel_fd,
				supervisor->gate_channel_fd,
				supervisor->net_channel_fd},
		.channels = {supervisor->own_channel, supervisor->gate_channel,
			     supervisor->net_channel},
		.life = &supervisor->life,
	};
	int r = store_keeper_new(&setup, &supervisor->store);

	if (r)
		return r;
	store_keeper_tick(supervisor->store, supervisor->policy,
			  clock_monotonic_ns());
	return watch(supervisor, store_keeper_fd(supervisor->store), TAG_STORE,
		     EPOLLIN);
}

static int make_gates(struct supervisor *supervisor)
{
	static char program[4096];
	const struct gates_setup setup = {
		.program = program,
		.group = supervisor->group,
		.channel = supervisor->gate_channel_fd,
		.wake = supervisor->wake,
		.life = &supervisor->life,
	};
	int r;

	snprintf(program, sizeof(program), "%s/leash-fanotify",
		 supervisor->options.helpers_dir);
	r = gates_new(&setup, &supervisor->gates);
	if (r)
		return r;
	gates_set_policy(supervisor->gates, supervisor->policy,
			 supervisor->policy_fd);
	return watch(supervisor, gates_fd(supervisor->gates), TAG_GATES,
		     EPOLLIN);
}

static int make_net(struct supervisor *supervisor)
{
	const struct net_keeper_setup setup = {
		.helpers =
			{
				.helpers_dir = supervisor->options.helpers_dir,
				.wake = supervisor->wake,
				.channel_fd = supervisor->net_channel_fd,
			},
		.life = &supervisor->life,
	};
	int r = net_keeper_new(&setup, &supervisor->net);

	if (r)
		return r;
	net_keeper_set_policy(supervisor->net, supervisor->policy,
			      supervisor->policy_fd);
	return watch(supervisor, net_keeper_fd(supervisor->net), TAG_NET,
		     EPOLLIN);
}

static int wait_for_net(struct supervisor *supervisor)
{
	int64_t deadline_ns = clock_monotonic_ns() + START_TIMEOUT_NS;
	int r = 0;

	while (!r && !net_keeper_generation(supervisor->net)) {
		if (supervisor->stopping)
			return -EINTR;
		if (clock_monotonic_ns() > deadline_ns) {
			log_error("no network rules: %s",
				  net_keeper_problem(supervisor->net));
			return -ETIMEDOUT;
		}
		r = take_turn(supervisor);
	}
	return r;
}

static int wait_for_gates(struct supervisor *supervisor)
{
	int64_t deadline_ns = clock_monotonic_ns() + START_TIMEOUT_NS;
	int r = 0;

	while (!r && !gates_complete(supervisor->gates)) {
		if (supervisor->stopping)
			return -EINTR;
		if (clock_monotonic_ns() > deadline_ns ||
		    gates_locked_down(supervisor->gates))
			return -ETIMEDOUT;
		r = take_turn(supervisor);
	}
	return r;
}

int supervisor_start(struct supervisor *supervisor)
{
	int strays;
	int r = load_first(supervisor);

	if (!r)
		r = ends_database_dir(supervisor->policy);
	if (!r)
		r = ends_group(&supervisor->group);
	if (!r)
		r = marks_new(supervisor->group, report_mount, supervisor,
			      &supervisor->marks);
	if (r)
		return r;
	r = make_store(supervisor);
	if (r)
		return r;
	life_note(&supervisor->life, "starting, %s",
		  supervisor->options.source.path);
	r = make_net(supervisor);
	if (!r)
		r = make_gates(supervisor);
	if (!r)
		r = wait_for_gates(supervisor);
	/* A gate answers: from here on, marks may be live. */
	if (!r)
		r = marks_update(supervisor->marks, supervisor->policy);
	if (!r)
		r = watch(supervisor, marks_fd(supervisor->marks), TAG_MOUNTS,
			  EPOLLPRI);
	if (r)
		return r;
	strays = run_dir_end_strays(supervisor->run_dir);
	if (strays)
		life_warn(&supervisor->life,
			  "the last gatekeeper did not stop cleanly; %d of "
			  "its helpers were still at work and are ended",
			  strays);
	note_helpers(supervisor);
	/* Only now can a predecessor's net gate have let go of the queues. */
	return wait_for_net(supervisor);
}

static int stop(struct supervisor *supervisor)
{
	int r;

	notify_send("STOPPING=1");
	r = marks_clear(supervisor->marks);
	gates_stop(supervisor->gates);
	net_keeper_stop(supervisor->net);
	life_note(&supervisor->life, "stopped; no account is leashed now");
	store_keeper_stop(supervisor->store, supervisor->policy);
	return r;
}

int supervisor_run(struct supervisor *supervisor)
{
	int r = 0;

	announce(supervisor);
	while (!r && !supervisor->stopping)
		r = take_turn(supervisor);
	return r ? r : stop(supervisor);
}
