/*
 * One state after the other, driven by events, the task's reports and the
 * tick.  Nothing here waits or opens anything but in /proc: freezing is the
 * task's (sleep_task.h).
 *
 * Between letting the guard shut and taking the marks away a tick goes by: an
 * open that the guard had let pass just before has been asked about by then.
 */

#include "gatekeeper/sleep/sleep.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "gatekeeper/base/log.h"
#include "gatekeeper/sleep/freezer.h"
#include "gatekeeper/sleep/sleep_askers.h"
#include "gatekeeper/sleep/sleep_task.h"
#include "gatekeeper/system/task.h"

#define SETTLED_LOOKS 2
#define SETTLE_NS     (2 * CLOCK_NS_PER_S)
#define REPORT_NS     (SLEEP_TASK_FREEZE_NS + 2 * CLOCK_NS_PER_S)
#define ANSWER_NS     (5 * CLOCK_NS_PER_S)
#define THAW_NS	      (5 * CLOCK_NS_PER_S)
#define THAW_MS	      5000

enum state {
	STATE_AWAKE,
	STATE_FREEZING,	    /* the task is at it */
	STATE_SHUT,	    /* the guard has just been told */
	STATE_SETTLING,	    /* no marks; the gates answer what is under way */
	STATE_AWAY,	    /* whoever asked was answered */
	STATE_MARKING,	    /* marks are to come back */
	STATE_ANSWERING,    /* they are back; a gate is to answer */
	STATE_THAWING,	    /* the task is at it */
	STATE_TIDYING,	    /* the task failed, and must be gone */
	STATE_THAWING_LEFT, /* another looks for all that are frozen */
};

struct sleep {
	struct sleep_owner owner;
	struct event_log *log;	     /* borrowed */
	struct loop *loop;	     /* borrowed */
	struct loop_source asked;    /* by the askers */
	struct loop_source reported; /* by the task */
	struct sleep_askers *askers; /* NULL: not needed, or cannot be had */
	bool needed;
	bool can_freeze;
	char problem[128];
	enum state state;
	int64_t since_ns, began_ns; /* of the state; of all of it */
	int settled_looks;
	bool unmarked, shut;
	struct sleep_task task;
};

static void fail(struct sleep *sleep, const char *what, int error)
{
	snprintf(sleep->problem, sizeof(sleep->problem), "%s: %s", what,
		 strerror(error));
}

static void dispatch(void *context);

static int listen_to(struct sleep *sleep, struct loop_source *source, int fd)
{
	*source = (struct loop_source){
		.fd = fd,
		.happened = dispatch,
		.context = sleep,
	};
	return loop_add(sleep->loop, source);
}

static int begin_to_be_asked(struct sleep *sleep)
{
	int r = sleep_askers_new(&sleep->askers);

	if (r == -ENOMEM || r == -EMFILE)
		return r;
	if (!r)
		return listen_to(sleep, &sleep->asked,
				 sleep_askers_fd(sleep->askers));
	sleep->needed = r != -ENOENT; /* it cannot sleep anyhow */
	fail(sleep, SLEEP_ASKERS_FILE, -r);
	return 0;
}

static bool is_meant(void *context, const struct process_ids *ids)
{
	(void)context;
	(void)ids;
	return false;
}

static void look_for_cgroups(struct sleep *sleep)
{
	CLEANUP(freezer_free) struct freezer *freezer = NULL;
	int r = freezer_new(is_meant, NULL, &freezer);

	sleep->can_freeze = r == 0;
	if (r)
		fail(sleep, "no cgroup v2 to freeze the accounts by", -r);
}

int sleep_new(const struct sleep_owner *owner, struct loop *loop,
	      struct event_log *log, struct sleep **ret)
{
	CLEANUP(sleep_free) struct sleep *sleep = calloc(1, sizeof(*sleep));
	struct utsname kernel;
	int r = 0;

	if (!sleep)
		return -ENOMEM;
	sleep->owner = *owner;
	sleep->log = log;
	sleep->task = SLEEP_TASK_NONE;
	sleep->loop = loop;
	sleep->needed =
		uname(&kernel) < 0 || sleep_askers_are_needed(kernel.release);
	if (sleep->needed) {
		look_for_cgroups(sleep);
		r = begin_to_be_asked(sleep);
	}
	if (r)
		return r;
	if (sleep->needed && sleep->problem[0])
		event_log_warn(log, "when the machine goes to sleep: %s",
			       sleep->problem);
	*ret = STEAL(sleep);
	return 0;
}

struct sleep *sleep_free(struct sleep *sleep)
{
	if (!sleep)
		return NULL;
	loop_remove(&sleep->reported);
	sleep_task_end(&sleep->task);
	loop_remove(&sleep->asked);
	sleep_askers_free(sleep->askers);
	free(sleep);
	return NULL;
}

static void enter(struct sleep *sleep, enum state state)
{
	sleep->state = state;
	sleep->since_ns = clock_monotonic_ns();
}

static long long ms_since(int64_t then_ns)
{
	return (long long)((clock_monotonic_ns() - then_ns) / CLOCK_NS_PER_MS);
}

static void end_task(struct sleep *sleep)
{
	loop_remove(&sleep->reported);
	sleep_task_end(&sleep->task);
}

static int start_task(struct sleep *sleep, enum sleep_job job)
{
	int r = sleep_task_start(job, sleep->owner.policy(sleep->owner.context),
				 &sleep->task);

	if (!r)
		r = listen_to(sleep, &sleep->reported, sleep->task.end);
	return r;
}

static void begin(struct sleep *sleep)
{
	int r = sleep->can_freeze ? start_task(sleep, SLEEP_JOB_FREEZE)
				  : -EOPNOTSUPP;

	sleep->began_ns = clock_monotonic_ns();
	sleep->unmarked = false;
	enter(sleep, STATE_FREEZING);
	if (r && sleep->can_freeze)
		event_log_warn(sleep->log, "cannot freeze the accounts: %s",
			       strerror(-r));
}

static void go_away(struct sleep *sleep)
{
	sleep_askers_answer(sleep->askers);
	enter(sleep, STATE_AWAY);
}

static void unmark(struct sleep *sleep)
{
	int r = sleep->owner.unmark(sleep->owner.context);

	sleep->unmarked = true;
	sleep->settled_looks = 0;
	if (r)
		event_log_warn(sleep->log, "cannot take the marks away: %s",
			       strerror(-r));
	enter(sleep, STATE_SETTLING);
}

static void shut(struct sleep *sleep, bool yes)
{
	sleep->owner.shut(sleep->owner.context, yes);
	sleep->shut = yes;
}

/* Frozen, or not: an errno. */
static void take_frozen(struct sleep *sleep, int problem, unsigned count)
{
	if (!problem)
		event_log_note(sleep->log,
			       "going to sleep: %u process(es) of the accounts "
			       "frozen in %lld ms",
			       count, ms_since(sleep->began_ns));
	else
		event_log_warn(
			sleep->log,
			"going to sleep, and the accounts could not be "
			"frozen (%s): %s",
			strerror(problem),
			sleep->owner.has_guard
				? "what they open is refused until it is "
				  "awake"
				: "opens are asked about all the while, "
				  "which may keep it awake");
	if (sleep->owner.has_guard) {
		shut(sleep, true);
		enter(sleep, STATE_SHUT);
	} else if (!problem) {
		unmark(sleep);
	} else {
		go_away(sleep);
	}
}

static void end_thawing(struct sleep *sleep)
{
	if (sleep->state != STATE_THAWING_LEFT)
		event_log_note(
			sleep->log,
			"awake: opens are asked about, and the accounts go "
			"on, after %lld ms",
			ms_since(sleep->began_ns));
	end_task(sleep);
	enter(sleep, STATE_AWAKE);
}

static void tidy(struct sleep *sleep, const char *why)
{
	event_log_warn(sleep->log, "cannot thaw the accounts: %s; trying again",
		       why);
	end_task(sleep);
	enter(sleep, STATE_TIDYING);
}

static void thaw(struct sleep *sleep)
{
	if (!sleep->can_freeze) {
		end_thawing(sleep);
		return;
	}
	if (sleep->task.end < 0) {
		enter(sleep, STATE_TIDYING);
		return;
	}
	sleep_task_thaw(&sleep->task);
	enter(sleep, STATE_THAWING);
}

/* Marks first, or nobody is asked about what those who were frozen open. */
static void mark(struct sleep *sleep)
{
	int r = sleep->unmarked ? sleep->owner.mark(sleep->owner.context) : 0;

	if (r) {
		event_log_warn(
			sleep->log,
			"cannot put the marks back: %s; the accounts stay "
			"frozen",
			strerror(-r));
		return;
	}
	sleep->unmarked = false;
	if (sleep->shut)
		shut(sleep, false);
	enter(sleep, STATE_ANSWERING);
	if (sleep->owner.is_answered(sleep->owner.context))
		thaw(sleep);
}

static void wake(struct sleep *sleep)
{
	sleep_askers_forget(sleep->askers);
	enter(sleep, STATE_MARKING);
	mark(sleep);
}

static void take_report(struct sleep *sleep)
{
	struct sleep_report report;
	int r = sleep_task_hear(&sleep->task, &report);

	if (r == SLEEP_TASK_QUIET)
		return;
	if (r == SLEEP_TASK_GONE) {
		end_task(sleep);
		report = (struct sleep_report){
			.thawed = sleep->state != STATE_FREEZING,
			.problem = EPIPE,
		};
	}
	if (sleep->state == STATE_FREEZING)
		take_frozen(sleep, report.problem, report.count);
	else if (report.thawed && (sleep->state == STATE_THAWING ||
				   sleep->state == STATE_THAWING_LEFT)) {
		if (report.problem)
			tidy(sleep, strerror(report.problem));
		else
			end_thawing(sleep);
	}
}

static void take_askers(struct sleep *sleep)
{
	bool wrote = sleep_askers_hear(
		sleep->askers, sleep->owner.policy(sleep->owner.context));

	if (sleep->state == STATE_AWAY) {
		sleep_askers_answer(sleep->askers);
		if (wrote || !sleep_askers_inside(sleep->askers))
			wake(sleep);
	}
}

static void dispatch(void *context)
{
	struct sleep *sleep = context;

	if (sleep->askers)
		take_askers(sleep);
	if (sleep->task.end >= 0)
		take_report(sleep);
	if (sleep->askers && sleep->state == STATE_AWAKE &&
	    sleep_askers_waiting(sleep->askers) &&
	    sleep_task_is_gone(&sleep->task))
		begin(sleep);
}

/* What a state that lasts does every 100 ms. */
static void go_on(struct sleep *sleep, int64_t lasts_ns)
{
	switch (sleep->state) {
	case STATE_AWAKE:
		(void)sleep_task_is_gone(&sleep->task);
		break;
	case STATE_FREEZING:
		if (sleep->task.end < 0 || lasts_ns > REPORT_NS)
			take_frozen(sleep,
				    sleep->can_freeze ? ETIMEDOUT : EOPNOTSUPP,
				    0);
		break;
	case STATE_SHUT:
		if (lasts_ns > CLOCK_NS_PER_MS * 50)
			unmark(sleep);
		break;
	case STATE_SETTLING:
		if (!sleep->owner.is_settled(sleep->owner.context))
			sleep->settled_looks = 0;
		else
			sleep->settled_looks++;
		if (sleep->settled_looks >= SETTLED_LOOKS ||
		    lasts_ns > SETTLE_NS)
			go_away(sleep);
		break;
	case STATE_AWAY:
		if (lasts_ns > SLEEP_AWAY_NS)
			wake(sleep);
		break;
	case STATE_MARKING:
		mark(sleep);
		break;
	case STATE_ANSWERING:
		if (lasts_ns > ANSWER_NS ||
		    sleep->owner.is_answered(sleep->owner.context))
			thaw(sleep);
		break;
	case STATE_THAWING:
	case STATE_THAWING_LEFT:
		if (lasts_ns > THAW_NS)
			tidy(sleep, strerror(ETIMEDOUT));
		break;
	case STATE_TIDYING:
		if (lasts_ns > CLOCK_NS_PER_S)
			sleep_thaw_left(sleep);
		break;
	}
}

void sleep_tick(struct sleep *sleep, int64_t now_ns)
{
	if (sleep->askers)
		sleep_askers_tick(sleep->askers, now_ns);
	go_on(sleep, now_ns - sleep->since_ns);
	dispatch(sleep);
}

void sleep_thaw_left(struct sleep *sleep)
{
	int r;

	if (!sleep_task_is_gone(&sleep->task))
		return;
	r = start_task(sleep, SLEEP_JOB_THAW_LEFT);
	enter(sleep, STATE_THAWING_LEFT);
	if (r)
		tidy(sleep, strerror(-r));
}

static int thaw_all(void *unused)
{
	int r = freezer_thaw_left();

	(void)unused;
	if (r < 0) {
		errno = -r;
		log_error("cannot thaw the accounts: %m");
	}
	return r < 0;
}

void sleep_stop(struct sleep *sleep)
{
	if (sleep->state == STATE_AWAKE)
		return;
	end_task(sleep);
	for (int i = 0; i < 100 && !sleep_task_is_gone(&sleep->task); i++)
		(void)poll(NULL, 0, 10);
	if (!task_do(thaw_all, NULL, THAW_MS))
		event_log_warn(sleep->log, "cannot thaw the accounts");
}

bool sleep_is_shut(const struct sleep *sleep)
{
	return sleep->shut;
}

const char *sleep_word(const struct sleep *sleep, const char **ret_why)
{
	*ret_why = sleep->problem[0] ? sleep->problem : NULL;
	if (!sleep->needed) {
		if (!sleep->problem[0])
			*ret_why = "this kernel can freeze those who wait";
		return "unneeded";
	}
	if (!sleep->askers || (!sleep->can_freeze && !sleep->owner.has_guard))
		return "unprepared";
	return sleep->state == STATE_AWAKE || sleep->state == STATE_THAWING_LEFT
		       ? "prepared"
		       : "under way";
}
