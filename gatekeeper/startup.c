#include "gatekeeper/startup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/own_calls.h"
#include "gatekeeper/own_fds.h"
#include "gatekeeper/last_policy.h"
#include "gatekeeper/control/status.h"
#include "gatekeeper/system/forker.h"

#define START_TIMEOUT_NS (20 * CLOCK_NS_PER_S)
#define LAST_ANSWER_NS	 (600 * CLOCK_NS_PER_MS) /* a gate takes 0.3 s at most */

static void report_mount(void *context, const char *mount_point,
			 const char *type, const char *problem)
{
	struct supervisor *supervisor = context;
	char shown[512];

	escape_text(shown, sizeof(shown), mount_point, strlen(mount_point));
	if (problem)
		event_log_warn(&supervisor->log, "not covered: %s (%s): %s",
			       shown, type, problem);
	else
		event_log_note(&supervisor->log, "covered: %s (%s)", shown,
			       type);
}

static void report_refused(void *context,
			   const struct mount_guard_refused *refused)
{
	struct supervisor *supervisor = context;
	const struct policy *policy = supervisor->policy;
	const struct event_log_verdict verdict = {
		.reason = supervisor->sleep && sleep_is_shut(supervisor->sleep)
				  ? POLICY_REASON_GATE_LOST
				  : POLICY_REASON_JUST_MOUNTED,
		.tid = refused->tid,
		.uid = refused->uid,
		.account = policy_account_of(policy, refused->uid),
		.verdict = POLICY_DENY,
		.path = refused->path,
	};

	event_log_verdict(&supervisor->log, policy, &verdict);
}

/* Without it we go on: mounts are then open for a moment, as status says. */
static int make_guard(struct supervisor *supervisor)
{
	int r = mount_guard_new(report_refused, supervisor, &supervisor->guard);

	supervisor->guard_problem = -r;
	return r ? 0
		 : supervisor_watch(
			   supervisor, mount_guard_fd(supervisor->guard),
			   supervisor_hear_guard, &supervisor->refused);
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
		return STARTUP_CONFIG_WRONG;
	}
	snprintf(supervisor->reload_problem, sizeof(supervisor->reload_problem),
		 "%s is wrong; the last policy that was right is in force",
		 supervisor->options.source.path);
	event_log_warn(&supervisor->log, "%s", supervisor->reload_problem);
	return 0;
}

struct first {
	bool done;
	int r, fd;
};

static void take_first(void *context, int r, int fd)
{
	*(struct first *)context = (struct first){true, r, fd};
}

/* In a loop of its own: nobody else is to be called yet. */
static int wait_for_first(struct supervisor *supervisor, struct first *first)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	const struct loader_order order = {
		.source = &supervisor->options.source,
		.keep = supervisor->options.keep,
		.generation = 1,
		.done = take_first,
		.context = first,
	};
	struct loader loader;
	int r = loop_new(&loop);

	if (!r)
		r = loader_start(loop, &order, &loader);
	while (r >= 0 && !first->done)
		r = loop_turn(loop, -1);
	return r < 0 ? r : 0;
}

/* The first policy: nothing is marked yet, so waiting is no danger. */
static int load_first(struct supervisor *supervisor)
{
	struct first first = {.fd = -1};
	int r = wait_for_first(supervisor, &first);

	if (!r)
		r = first.r;
	if (r == LOADER_WRONG && supervisor->options.keep)
		return fall_back(supervisor);
	if (r)
		return r < 0 ? r : STARTUP_CONFIG_WRONG;
	return supervisor_use_policy(supervisor, first.fd);
}

static int make_store(struct supervisor *supervisor)
{
	const struct store_keeper_setup setup = {
		.house = &supervisor->house,
		.channel_fds = {supervisor->channel_fds[CHANNEL_OWN],
				supervisor->channel_fds[CHANNEL_GATE],
				supervisor->channel_fds[CHANNEL_NET],
				supervisor->channel_fds[CHANNEL_TOOL]},
		.channels = {supervisor->channels[CHANNEL_OWN],
			     supervisor->channels[CHANNEL_GATE],
			     supervisor->channels[CHANNEL_NET],
			     supervisor->channels[CHANNEL_TOOL]},
		.policy = supervisor->policy,
		.policy_fd = supervisor->policy_fd,
	};

	return store_keeper_new(&setup, &supervisor->store);
}

static int make_gates(struct supervisor *supervisor)
{
	const struct file_gates_setup setup = {
		.house = &supervisor->house,
		.group = supervisor->group,
		.channel = supervisor->channel_fds[CHANNEL_GATE],
		.guard = supervisor->guard,
	};
	int r = file_gates_new(&setup, &supervisor->gates);

	if (!r)
		file_gates_set_policy(supervisor->gates, supervisor->policy,
				      supervisor->policy_fd);
	return r;
}

static int make_net(struct supervisor *supervisor)
{
	int r = net_keeper_new(&supervisor->house,
			       supervisor->channel_fds[CHANNEL_NET],
			       &supervisor->net);

	if (!r)
		net_keeper_set_policy(supervisor->net, supervisor->policy,
				      supervisor->policy_fd);
	return r;
}

static int make_tool(struct supervisor *supervisor)
{
	const struct tool_keeper_setup setup = {
		.house = &supervisor->house,
		.run_folder = run_dir_folder(supervisor->run_dir),
		.channel_fd = supervisor->channel_fds[CHANNEL_TOOL],
		.policy = supervisor->policy,
	};
	int r = tool_keeper_new(&setup, &supervisor->tool);

	if (!r)
		tool_keeper_set_policy(supervisor->tool, supervisor->policy,
				       supervisor->policy_fd);
	return r;
}

static int pause_marks(void *context)
{
	struct supervisor *supervisor = context;

	return marks_pause(supervisor->marks);
}

static int resume_marks(void *context)
{
	struct supervisor *supervisor = context;

	return marks_resume(supervisor->marks, supervisor->policy);
}

static void shut_guard(void *context, bool shut)
{
	struct supervisor *supervisor = context;

	/* What was refused until now was refused for that reason. */
	supervisor_hear_guard(supervisor);
	mount_guard_shut(supervisor->guard, shut);
}

static bool is_answered(void *context)
{
	const struct supervisor *supervisor = context;

	return file_gates_pids(supervisor->gates).answering > 0;
}

static bool is_settled(void *context)
{
	const struct supervisor *supervisor = context;

	return file_gates_are_quiet(supervisor->gates);
}

static const struct policy *policy_in_force(void *context)
{
	const struct supervisor *supervisor = context;

	return supervisor->policy;
}

static void put_status(void *context, struct fields *reply)
{
	const struct supervisor *supervisor = context;
	const struct file_gates_pids gates = file_gates_pids(supervisor->gates);
	struct status status = {
		.config = supervisor->options.source.path,
		.proc = run_dir_proc(supervisor->run_dir),
		.policy = supervisor->policy,
		.started_ns = supervisor->started_ns,
		.reload_problem = supervisor->reload_problem[0]
					  ? supervisor->reload_problem
					  : NULL,
		.generation = supervisor->announced,
		.filesystems = marks_count(supervisor->marks),
		.guard_problem = supervisor->guard_problem,
		.unasked = file_gates_unasked(supervisor->gates),
		.store = store_keeper_pid(supervisor->store),
		.net = net_keeper_pid(supervisor->net),
		.tool = tool_keeper_pid(supervisor->tool),
		.locked_down = file_gates_locked_down(supervisor->gates),
		.net_problem = net_keeper_problem(supervisor->net),
		.channels = supervisor->channels,
		.channel_count = CHANNELS,
	};

	status.gate = gates.answering;
	status.spare = gates.spare;
	status.fallback = gates.fallback;
	status.sleep = supervisor->sleep ? sleep_word(supervisor->sleep,
						      &status.sleep_why)
					 : "unprepared";
	status_put(&status, reply);
}

static void reload(void *context)
{
	supervisor_reload(context);
}

static void wrong(void *context)
{
	struct supervisor *supervisor = context;

	/* What is being read now may have been right: look once more. */
	if (loader_runs(&supervisor->loader))
		supervisor_reload(supervisor);
	else
		supervisor_refuse(supervisor, "the configuration is wrong");
}

static int make_sleep(struct supervisor *supervisor)
{
	const struct sleep_owner owner = {
		.context = supervisor,
		.policy = policy_in_force,
		.has_guard = supervisor->guard != NULL,
		.shut = shut_guard,
		.unmark = pause_marks,
		.mark = resume_marks,
		.is_settled = is_settled,
		.is_answered = is_answered,
	};

	return sleep_new(&owner, supervisor->loop, &supervisor->log,
			 &supervisor->sleep);
}

static int make_control(struct supervisor *supervisor)
{
	const struct control_owner owner = {
		.context = supervisor,
		.source = supervisor->options.source,
		.policy = policy_in_force,
		.status = put_status,
		.reload = reload,
		.wrong = wrong,
	};

	return control_new(&owner, supervisor->loop,
			   run_dir_folder(supervisor->run_dir),
			   &supervisor->control);
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

	while (!r && !file_gates_complete(supervisor->gates)) {
		if (supervisor->stopping)
			return -EINTR;
		if (clock_monotonic_ns() > deadline_ns ||
		    file_gates_locked_down(supervisor->gates))
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

static int watch_mounts(struct supervisor *supervisor)
{
	supervisor->mounted.events = EPOLLPRI;
	return supervisor_watch(supervisor, marks_fd(supervisor->marks),
				supervisor_hear_mounts, &supervisor->mounted);
}

int startup_run(struct supervisor *supervisor)
{
	int strays;
	int r = load_first(supervisor);

	if (!r)
		r = store_keeper_make_folder(supervisor->policy);
	if (!r)
		r = own_fds_group(&supervisor->group);
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
	event_log_note(&supervisor->log, "starting, %s",
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
		r = watch_mounts(supervisor);
	if (r)
		return r;
	r = let_predecessor_finish(supervisor);
	if (r)
		return r;
	strays = run_dir_end_strays(supervisor->run_dir);
	if (strays)
		event_log_note(&supervisor->log,
			       "took over from %d helper(s) that the last "
			       "gatekeeper had left at work",
			       strays);
	/* Only now can a predecessor's net gate have let go of the queues. */
	r = wait_for_net(supervisor);
	if (!r)
		r = make_sleep(supervisor);
	if (r)
		return r;
	sleep_thaw_left(supervisor->sleep);
	/* From here on, whatever opens files or runs programs is a task. */
	r = forker_start();
	return r ? r : own_calls_confine();
}
