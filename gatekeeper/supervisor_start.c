#include "gatekeeper/supervisor_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/ends.h"
#include "gatekeeper/last_policy.h"
#include "gatekeeper/status.h"

#define START_TIMEOUT_NS (20 * CLOCK_NS_PER_S)
#define LAST_ANSWER_NS	 (600 * CLOCK_NS_PER_MS) /* a gate takes 0.3 s at most */

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

static void report_refused(void *context,
			   const struct mount_guard_refused *refused)
{
	struct supervisor *supervisor = context;
	const struct policy *policy = supervisor->policy;
	const struct stand_in_event event = {
		.tid = refused->tid,
		.uid = refused->uid,
		.account = policy_account_of(policy, refused->uid),
		.verdict = POLICY_DENY,
		.path = refused->path,
	};
	const char *name = NULL;

	if (event.account != POLICY_NONE)
		name = policy_text(policy,
				   policy_account(policy, event.account)->name);
	life_note_event(&supervisor->life, POLICY_REASON_JUST_MOUNTED, &event,
			name);
}

/* Without it we go on: mounts are then open for a moment, as status says. */
static int make_guard(struct supervisor *supervisor)
{
	int r = mount_guard_new(report_refused, supervisor, &supervisor->guard);

	supervisor->guard_problem = -r;
	return r ? 0
		 : supervisor_watch(supervisor,
				    mount_guard_fd(supervisor->guard),
				    TAG_GUARD, EPOLLIN);
}

/* Better the rules of the last time than none. */
static int fall_back(struct supervisor *supervisor)
{
	int fd = -1;
	int r = last_policy_load(supervisor->options.keep, &fd);

	if (!r)
		r = supervisor_use_policy(supervisor, fd);
	if (r) {
		log_error("and there is no earlier policy to fall back to");
		return SUPERVISOR_CONFIG_WRONG;
	}
	snprintf(supervisor->reload_problem, sizeof(supervisor->reload_problem),
		 "%s is wrong; the last policy that was right is in force",
		 supervisor->options.source.path);
	life_warn(&supervisor->life, "%s", supervisor->reload_problem);
	return 0;
}

/* The first policy: nothing is marked yet, so waiting is no danger. */
static int load_first(struct supervisor *supervisor)
{
	struct loader loader;
	int fd = -1;
	int r = loader_start(&supervisor->options.source, 1,
			     supervisor->options.keep, &loader);

	if (r)
		return r;
	(void)poll(&(struct pollfd){.fd = loader.end, .events = POLLIN}, 1, -1);
	r = loader_finish(&loader, &fd);
	if (r == LOADER_WRONG && supervisor->options.keep)
		return fall_back(supervisor);
	if (r)
		return r < 0 ? r : SUPERVISOR_CONFIG_WRONG;
	return supervisor_use_policy(supervisor, fd);
}

static int make_store(struct supervisor *supervisor)
{
	const struct store_keeper_setup setup = {
		.helpers_dir = supervisor->options.helpers_dir,
		.wake = supervisor->wake,
		.channel_fds = {supervisor->channel_fds[CHANNEL_OWN],
				supervisor->channel_fds[CHANNEL_GATE],
				supervisor->channel_fds[CHANNEL_NET],
				supervisor->channel_fds[CHANNEL_TOOL]},
		.channels = {supervisor->channels[CHANNEL_OWN],
			     supervisor->channels[CHANNEL_GATE],
			     supervisor->channels[CHANNEL_NET],
			     supervisor->channels[CHANNEL_TOOL]},
		.life = &supervisor->life,
	};
	int r = store_keeper_new(&setup, &supervisor->store);

	if (r)
		return r;
	store_keeper_tick(supervisor->store, supervisor->policy,
			  clock_monotonic_ns());
	return supervisor_watch(supervisor, store_keeper_fd(supervisor->store),
				TAG_STORE, EPOLLIN);
}

static int make_gates(struct supervisor *supervisor)
{
	static char program[4096];
	const struct gates_setup setup = {
		.program = program,
		.group = supervisor->group,
		.channel = supervisor->channel_fds[CHANNEL_GATE],
		.wake = supervisor->wake,
		.life = &supervisor->life,
		.guard = supervisor->guard,
	};
	int r;

	snprintf(program, sizeof(program), "%s/leash-fanotify",
		 supervisor->options.helpers_dir);
	r = gates_new(&setup, &supervisor->gates);
	if (r)
		return r;
	gates_set_policy(supervisor->gates, supervisor->policy,
			 supervisor->policy_fd);
	return supervisor_watch(supervisor, gates_fd(supervisor->gates),
				TAG_GATES, EPOLLIN);
}

static int make_net(struct supervisor *supervisor)
{
	const struct net_keeper_setup setup = {
		.helpers =
			{
				.helpers_dir = supervisor->options.helpers_dir,
				.wake = supervisor->wake,
				.channel_fd =
					supervisor->channel_fds[CHANNEL_NET],
			},
		.life = &supervisor->life,
	};
	int r = net_keeper_new(&setup, &supervisor->net);

	if (r)
		return r;
	net_keeper_set_policy(supervisor->net, supervisor->policy,
			      supervisor->policy_fd);
	return supervisor_watch(supervisor, net_keeper_fd(supervisor->net),
				TAG_NET, EPOLLIN);
}

static int make_tool(struct supervisor *supervisor)
{
	const struct tool_keeper_setup setup = {
		.helpers_dir = supervisor->options.helpers_dir,
		.run_folder = run_dir_folder(supervisor->run_dir),
		.wake = supervisor->wake,
		.channel_fd = supervisor->channel_fds[CHANNEL_TOOL],
		.life = &supervisor->life,
	};
	int r = tool_keeper_new(&setup, &supervisor->tool);

	if (r)
		return r;
	tool_keeper_set_policy(supervisor->tool, supervisor->policy,
			       supervisor->policy_fd);
	return supervisor_watch(supervisor, tool_keeper_fd(supervisor->tool),
				TAG_TOOL, EPOLLIN);
}

static const struct policy *policy_in_force(void *context)
{
	const struct supervisor *supervisor = context;

	return supervisor->policy;
}

static void put_status(void *context, struct fields *reply)
{
	const struct supervisor *supervisor = context;
	pid_t gates[GATES_COUNT];
	struct status status = {
		.config = supervisor->options.source.path,
		.policy = supervisor->policy,
		.started_ns = supervisor->started_ns,
		.reload_problem = supervisor->reload_problem[0]
					  ? supervisor->reload_problem
					  : NULL,
		.generation = supervisor->announced,
		.filesystems = marks_count(supervisor->marks),
		.guard_problem = supervisor->guard_problem,
		.unasked = gates_unasked(supervisor->gates),
		.store = store_keeper_pid(supervisor->store),
		.net = net_keeper_pid(supervisor->net),
		.tool = tool_keeper_pid(supervisor->tool),
		.locked_down = gates_locked_down(supervisor->gates),
		.net_problem = net_keeper_problem(supervisor->net),
		.channels = supervisor->channels,
		.channel_count = CHANNELS,
	};

	gates_pids(supervisor->gates, gates);
	status.gate = gates_answering(supervisor->gates);
	status.spare = gates[0] == status.gate ? gates[1] : gates[0];
	status_put(&status, reply);
}

static void reload(void *context)
{
	supervisor_reload(context);
}

static int make_control(struct supervisor *supervisor)
{
	const struct control_owner owner = {
		.context = supervisor,
		.source = supervisor->options.source,
		.policy = policy_in_force,
		.status = put_status,
		.reload = reload,
	};
	int r = control_new(&owner, run_dir_folder(supervisor->run_dir),
			    &supervisor->control);

	return r ? r
		 : supervisor_watch(supervisor, control_fd(supervisor->control),
				    TAG_CONTROL, EPOLLIN);
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
		r = supervisor_take_turn(supervisor);
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
		r = supervisor_take_turn(supervisor);
	}
	return r;
}

/*
 * An open that began before our marks were there is a question to the
 * predecessor's gate alone, and the kernel would allow it when that gate ends:
 * give it the time in which a gate answers whatever there is.
 */
static int let_predecessor_finish(struct supervisor *supervisor)
{
	int64_t end_ns = clock_monotonic_ns() + LAST_ANSWER_NS;
	int r = 0;

	while (!r && run_dir_has_strays(supervisor->run_dir) &&
	       clock_monotonic_ns() < end_ns)
		r = supervisor->stopping ? -EINTR
					 : supervisor_take_turn(supervisor);
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
		r = make_guard(supervisor);
	if (!r)
		r = marks_new(supervisor->group, supervisor->guard,
			      report_mount, supervisor, &supervisor->marks);
	if (r)
		return r;
	r = make_store(supervisor);
	if (r)
		return r;
	life_note(&supervisor->life, "starting, %s",
		  supervisor->options.source.path);
	r = make_control(supervisor);
	if (!r)
		r = make_tool(supervisor);
	if (!r)
		r = make_net(supervisor);
	if (!r)
		r = make_gates(supervisor);
	if (!r)
		r = wait_for_gates(supervisor);
	/* A gate answers: from here on, marks may be live. */
	if (!r)
		r = marks_update(supervisor->marks, supervisor->policy);
	if (!r)
		r = supervisor_watch(supervisor, marks_fd(supervisor->marks),
				     TAG_MOUNTS, EPOLLPRI);
	if (r)
		return r;
	r = let_predecessor_finish(supervisor);
	if (r)
		return r;
	strays = run_dir_end_strays(supervisor->run_dir);
	if (strays)
		life_note(&supervisor->life,
			  "took over from %d helper(s) that the last "
			  "gatekeeper had left at work",
			  strays);
	/* Only now can a predecessor's net gate have let go of the queues. */
	return wait_for_net(supervisor);
}
