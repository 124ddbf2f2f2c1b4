#include "gatekeeper/net/rule_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/net/firewall.h"
#include "gatekeeper/net/flow_marks.h"
#include "gatekeeper/system/task.h"
#include "gatekeeper/wire/net_queue.h"

#define VERIFY_NS  (2 * CLOCK_NS_PER_S)
#define TIMEOUT_NS (30 * CLOCK_NS_PER_S)
#define RETRY_NS   CLOCK_NS_PER_S
#define REMOVE_MS  10000

enum work {
	WORK_PUT,
	WORK_VERIFY,
};

struct rule_keeper {
	struct loop *loop;
	struct event_log *log;
	const struct policy *policy; /* as it was last followed */
	uint64_t gate_generation;

	struct task task;
	enum work work; /* what the task is for, and for which policy */
	uint64_t work_generation;
	struct firewall_state *state; /* shared with the task */

	uint64_t generation;  /* of the rules in force */
	uint64_t marks_cycle; /* whose marks no older flow carries */
	int64_t retry_after_ns;
	int64_t verified_ns;
	bool said_problem;
};

int rule_keeper_new(struct loop *loop, struct event_log *log,
		    struct rule_keeper **ret)
{
	CLEANUP(rule_keeper_free)
	struct rule_keeper *keeper = calloc(1, sizeof(*keeper));
	void *memory;

	if (!keeper)
		return -ENOMEM;
	keeper->loop = loop;
	keeper->log = log;
	keeper->marks_cycle = UINT64_MAX;
	memory = mmap(NULL, sizeof(*keeper->state), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	keeper->state = memory;
	*ret = STEAL(keeper);
	return 0;
}

struct rule_keeper *rule_keeper_free(struct rule_keeper *keeper)
{
	if (!keeper)
		return NULL;
	task_end(&keeper->task);
	if (keeper->state)
		munmap(keeper->state, sizeof(*keeper->state));
	free(keeper);
	return NULL;
}

uint64_t rule_keeper_generation(const struct rule_keeper *keeper)
{
	return keeper->generation;
}

const char *rule_keeper_problem(const struct rule_keeper *keeper)
{
	return keeper->said_problem ? keeper->state->problem : "";
}

static uint64_t cycle_of(uint64_t generation)
{
	return generation / NET_MARK_CYCLE;
}

/* ---- in the task */

static int put_rules(struct rule_keeper *keeper)
{
	struct firewall_state *state = keeper->state;

	if (cycle_of(keeper->work_generation) != keeper->marks_cycle) {
		int r = flow_marks_make_stale();

		if (r < 0) {
			snprintf(state->problem, sizeof(state->problem),
				 "cannot go through the kernel's open flows "
				 "(nf_conntrack_netlink): %s",
				 strerror(-r));
			return 1;
		}
	}
	return firewall_put(keeper->policy, state);
}

static int work(void *context, int end)
{
	struct rule_keeper *keeper = context;
	struct firewall_state *state = keeper->state;
	int r = keeper->work == WORK_PUT ? put_rules(keeper)
					 : firewall_verify(state);
	char done = r == 0;

	if (r < 0)
		snprintf(state->problem, sizeof(state->problem), "%s",
			 strerror(-r));
	return send(end, &done, 1, MSG_NOSIGNAL) != 1;
}

/* ---- in gatekeeper */

static void finish_put(struct rule_keeper *keeper, bool done)
{
	if (!done) {
		if (!keeper->said_problem)
			event_log_warn(keeper->log,
				       "the network rules are not in place: %s",
				       keeper->state->problem);
		keeper->said_problem = true;
		return;
	}
	if (!keeper->generation || keeper->said_problem)
		event_log_note(keeper->log,
			       "the network rules are in place (%s)",
			       firewall_backend_word(keeper->state->backend));
	keeper->said_problem = false;
	keeper->generation = keeper->work_generation;
	keeper->marks_cycle = cycle_of(keeper->generation);
	keeper->verified_ns = clock_monotonic_ns();
}

static void finish_verify(struct rule_keeper *keeper, bool unchanged)
{
	keeper->verified_ns = clock_monotonic_ns();
	if (unchanged || keeper->work_generation != keeper->generation)
		return;
	event_log_warn(
		keeper->log,
		"somebody has changed the network rules; putting them back");
	keeper->generation = 0;
	keeper->retry_after_ns = 0;
}

static void heard(void *context)
{
	struct rule_keeper *keeper = context;
	char done = 0;
	ssize_t n = recv(keeper->task.end, &done, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	task_end(&keeper->task);
	if (keeper->work == WORK_PUT)
		finish_put(keeper, n == 1 && done);
	else
		finish_verify(keeper, n == 1 && done);
	rule_keeper_follow(keeper, keeper->policy, keeper->gate_generation);
}

static void start_work(struct rule_keeper *keeper, enum work what,
		       int64_t now_ns)
{
	const struct task_job job = {
		.run = work,
		.heard = heard,
		.context = keeper,
		.allowed_ns = TIMEOUT_NS,
	};
	int r;

	keeper->work = what;
	keeper->work_generation = policy_generation(keeper->policy);
	keeper->retry_after_ns = now_ns + RETRY_NS;
	r = task_start(keeper->loop, &job, &keeper->task);
	if (r) {
		errno = -r;
		log_error("cannot start a child for the network rules: %m");
	}
}

static void check_task(struct rule_keeper *keeper, int64_t now_ns)
{
	if (!task_is_late(&keeper->task, now_ns))
		return;
	snprintf(keeper->state->problem, sizeof(keeper->state->problem),
		 "it takes longer than half a minute");
	task_end(&keeper->task);
	if (keeper->work == WORK_PUT)
		finish_put(keeper, false);
}

void rule_keeper_follow(struct rule_keeper *keeper, const struct policy *policy,
			uint64_t gate_generation)
{
	int64_t now_ns = clock_monotonic_ns();
	uint64_t wanted = policy_generation(policy);

	/* The gate has just got its policy: no reason to wait any more. */
	if (gate_generation != keeper->gate_generation)
		keeper->retry_after_ns = 0;
	keeper->policy = policy;
	keeper->gate_generation = gate_generation;
	check_task(keeper, now_ns);
	if (task_runs(&keeper->task))
		return;
	if (keeper->generation != wanted) {
		if (gate_generation == wanted &&
		    now_ns >= keeper->retry_after_ns)
			start_work(keeper, WORK_PUT, now_ns);
	} else if (now_ns - keeper->verified_ns > VERIFY_NS) {
		start_work(keeper, WORK_VERIFY, now_ns);
	}
}

static int remove_rules(void *context)
{
	struct rule_keeper *keeper = context;

	return firewall_remove(keeper->state) ? 1 : 0;
}

void rule_keeper_remove(struct rule_keeper *keeper)
{
	task_end(&keeper->task);
	if (!task_do(remove_rules, keeper, REMOVE_MS))
		log_error("cannot take the network rules away: %s",
			  keeper->state->problem);
}
