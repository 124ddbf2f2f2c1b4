#include "gatekeeper/net_keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/firewall.h"
#include "gatekeeper/flow_marks.h"
#include "gatekeeper/helper.h"
#include "gatekeeper/name_services.h"
#include "gatekeeper/queue_drops.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/net_queue.h"

#define RESTART_NS	 (20 * CLOCK_NS_PER_MS)
#define SHORT_LIFE_NS	 CLOCK_NS_PER_S
#define RESTART_LATER_NS (500 * CLOCK_NS_PER_MS)
#define READY_TIMEOUT_NS (30 * CLOCK_NS_PER_S)
#define PING_NS		 (200 * CLOCK_NS_PER_MS)
#define PONG_TIMEOUT_NS	 (600 * CLOCK_NS_PER_MS)
#define VERIFY_NS	 (2 * CLOCK_NS_PER_S)
#define WORK_TIMEOUT_NS	 (30 * CLOCK_NS_PER_S)
#define WORK_RETRY_NS	 CLOCK_NS_PER_S
#define STOP_MS		 2000
#define DROPS_NS	 CLOCK_NS_PER_S

enum tag {
	TAG_CONTROL,
	TAG_DEATH,
	TAG_DNS_DEATH,
	TAG_WORK,
};

enum work {
	WORK_NONE,
	WORK_PUT,
	WORK_VERIFY,
};

/* The child that handles the rules, and what it writes down for us. */
struct worker {
	enum work work;
	pid_t pid;
	int pidfd; /* owned */
	uint64_t generation;
	int64_t started_ns;
};

struct net_keeper {
	struct net_keeper_setup setup;
	int epoll; /* owned */
	const struct policy *policy;
	int policy_fd;

	struct net_helpers helpers;
	struct name_services services;
	int64_t start_after_ns;
	int64_t pinged_ns;
	int64_t heard_ns;

	struct worker worker;
	struct firewall_state *state; /* shared with the worker */
	uint64_t rules_generation;    /* of the rules in force */
	uint64_t marks_cycle;	      /* whose marks no older flow carries */
	int64_t work_after_ns;
	int64_t verified_ns;
	bool said_problem;

	struct queue_drops drops;
	uint64_t drops_unsaid;
	int64_t drops_said_ns;
};

static const struct worker no_worker = {.pid = -1, .pidfd = -1};

int net_keeper_new(const struct net_keeper_setup *setup,
		   struct net_keeper **ret)
{
	CLEANUP(net_keeper_free)
	struct net_keeper *keeper = calloc(1, sizeof(*keeper));
	void *memory;
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->policy_fd = keeper->epoll = -1;
	keeper->worker = no_worker;
	r = net_helpers_init(&keeper->helpers, &setup->helpers);
	if (r)
		return r;
	keeper->setup = *setup;
	keeper->marks_cycle = UINT64_MAX;
	memory = mmap(NULL, sizeof(*keeper->state), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	keeper->state = memory;
	keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (keeper->epoll < 0)
		return -errno;
	*ret = STEAL(keeper);
	return 0;
}

static void end_worker(struct net_keeper *keeper)
{
	if (keeper->worker.pid > 0) {
		epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->worker.pidfd,
			  NULL);
		kill(-keeper->worker.pid, SIGKILL);
		kill(keeper->worker.pid, SIGKILL);
		waitpid(keeper->worker.pid, NULL, 0);
	}
	fd_close(keeper->worker.pidfd);
	keeper->worker = no_worker;
}

static void stop_watching(struct net_keeper *keeper)
{
	/* Not only closed: a child that has yet to exec holds copies. */
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->helpers.dns.pidfd,
		  NULL);
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->helpers.gate.pidfd,
		  NULL);
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->helpers.gate.control,
		  NULL);
}

struct net_keeper *net_keeper_free(struct net_keeper *keeper)
{
	if (!keeper)
		return NULL;
	end_worker(keeper);
	net_helpers_done(&keeper->helpers);
	if (keeper->state)
		munmap(keeper->state, sizeof(*keeper->state));
	fd_close(keeper->epoll);
	free(keeper);
	return NULL;
}

int net_keeper_fd(const struct net_keeper *keeper)
{
	return keeper->epoll;
}

pid_t net_keeper_pid(const struct net_keeper *keeper)
{
	return keeper->helpers.gate.pid;
}

const char *net_keeper_problem(const struct net_keeper *keeper)
{
	if (keeper->helpers.gate.state != HELPER_READY)
		return "the net gate does not answer";
	return keeper->said_problem ? keeper->state->problem : "";
}

uint64_t net_keeper_generation(const struct net_keeper *keeper)
{
	return keeper->helpers.gate.state == HELPER_READY &&
			       keeper->helpers.gate.generation ==
				       keeper->rules_generation
		       ? keeper->rules_generation
		       : 0;
}

static int watch(struct net_keeper *keeper, int fd, enum tag tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

	return epoll_ctl(keeper->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static uint64_t cycle_of(uint64_t generation)
{
	return generation / NET_MARK_CYCLE;
}

static int put_rules(struct net_keeper *keeper)
{
	struct firewall_state *state = keeper->state;
	uint64_t generation = policy_header(keeper->policy)->generation;

	if (cycle_of(generation) != keeper->marks_cycle) {
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

static void do_work(struct net_keeper *keeper, enum work work)
{
	struct firewall_state *state = keeper->state;
	int r = work == WORK_PUT ? put_rules(keeper) : firewall_verify(state);

	if (r < 0)
		snprintf(state->problem, sizeof(state->problem), "%s",
			 strerror(-r));
	_exit(r ? 1 : 0);
}

static void start_work(struct net_keeper *keeper, enum work work,
		       int64_t now_ns)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		do_work(keeper, work);
	}
	keeper->work_after_ns = now_ns + WORK_RETRY_NS;
	if (pid < 0) {
		log_error("cannot start a child for the network rules: %m");
		return;
	}
	setpgid(pid, pid);
	keeper->worker = (struct worker){
		.work = work,
		.pid = pid,
		.pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
		.generation = policy_header(keeper->policy)->generation,
		.started_ns = now_ns,
	};
	if (keeper->worker.pidfd < 0 ||
	    watch(keeper, keeper->worker.pidfd, TAG_WORK)) {
		log_error("cannot watch a child: %m");
		end_worker(keeper);
	}
}

static void finish_put(struct net_keeper *keeper, bool done)
{
	if (!done) {
		if (!keeper->said_problem)
			life_warn(keeper->setup.life,
				  "the network rules are not in place: %s",
				  keeper->state->problem);
		keeper->said_problem = true;
		return;
	}
	if (!keeper->rules_generation || keeper->said_problem)
		life_note(keeper->setup.life,
			  "the network rules are in place (%s)",
			  firewall_backend_word(keeper->state->backend));
	keeper->said_problem = false;
	keeper->rules_generation = keeper->worker.generation;
	keeper->marks_cycle = cycle_of(keeper->rules_generation);
	keeper->verified_ns = clock_monotonic_ns();
}

static void finish_verify(struct net_keeper *keeper, bool unchanged)
{
	keeper->verified_ns = clock_monotonic_ns();
	if (unchanged || keeper->worker.generation != keeper->rules_generation)
		return;
	life_warn(keeper->setup.life,
		  "somebody has changed the network rules; putting them back");
	keeper->rules_generation = 0;
	keeper->work_after_ns = 0;
}

static void finish_work(struct net_keeper *keeper)
{
	enum work work = keeper->worker.work;
	struct worker worker;
	int status = 1;

	if (keeper->worker.pid < 0 ||
	    waitpid(keeper->worker.pid, &status, WNOHANG) <= 0)
		return;
	worker = keeper->worker;
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, worker.pidfd, NULL);
	if (work == WORK_PUT)
		finish_put(keeper, status == 0);
	else
		finish_verify(keeper, status == 0);
	fd_close(worker.pidfd);
	keeper->worker = no_worker;
}

/* The rules follow the gate: what they send must be judged by then. */
static void look_after_rules(struct net_keeper *keeper, int64_t now_ns)
{
	uint64_t wanted = policy_header(keeper->policy)->generation;

	if (keeper->worker.pid > 0) {
		if (now_ns - keeper->worker.started_ns < WORK_TIMEOUT_NS)
			return;
		snprintf(keeper->state->problem, sizeof(keeper->state->problem),
			 "it takes longer than half a minute");
		if (keeper->worker.work == WORK_PUT)
			finish_put(keeper, false);
		end_worker(keeper);
	}
	if (keeper->rules_generation != wanted) {
		if (keeper->helpers.gate.generation == wanted &&
		    now_ns >= keeper->work_after_ns)
			start_work(keeper, WORK_PUT, now_ns);
	} else if (now_ns - keeper->verified_ns > VERIFY_NS) {
		start_work(keeper, WORK_VERIFY, now_ns);
	}
}

static void start_helpers(struct net_keeper *keeper, int64_t now_ns)
{
	struct net_helpers *helpers = &keeper->helpers;
	int r = net_helpers_start(helpers, policy_header(keeper->policy));

	keeper->start_after_ns = now_ns + CLOCK_NS_PER_S;
	if (!r)
		r = watch(keeper, helpers->gate.control, TAG_CONTROL);
	if (!r)
		r = watch(keeper, helpers->gate.pidfd, TAG_DEATH);
	if (!r)
		r = watch(keeper, helpers->dns.pidfd, TAG_DNS_DEATH);
	if (!r)
		return;
	errno = -r;
	log_error("cannot start the net gate: %m");
	stop_watching(keeper);
	net_helpers_end(helpers);
}

static void give_policy(struct net_keeper *keeper)
{
	const struct message message = {.type = MESSAGE_POLICY};

	if (keeper->helpers.gate.state < HELPER_LOADING)
		return;
	if (message_send(keeper->helpers.gate.control, &message,
			 keeper->policy_fd)) {
		log_error("cannot hand the policy to the net gate: %m");
		helper_kill(&keeper->helpers.gate);
	}
}

static void close_services(struct net_keeper *keeper)
{
	const char *failed =
		name_services_close(&keeper->services, keeper->policy);

	if (failed)
		life_warn(keeper->setup.life,
			  "%s cannot be closed to the leashed accounts (%m): "
			  "they can have names looked up there that no rule "
			  "allows",
			  failed);
}

static bool accounts_differ(const struct policy *one,
			    const struct policy *other)
{
	uint32_t count = policy_header(one)->accounts.count;

	if (count != policy_header(other)->accounts.count)
		return true;
	for (uint32_t i = 0; i < count; i++)
		if (policy_account(one, i)->uid !=
		    policy_account(other, i)->uid)
			return true;
	return false;
}

void net_keeper_set_policy(struct net_keeper *keeper,
			   const struct policy *policy, int fd)
{
	if (keeper->policy && accounts_differ(keeper->policy, policy))
		name_services_open(&keeper->services, keeper->policy);
	keeper->policy = policy;
	keeper->policy_fd = fd;
	close_services(keeper);
	/* A child that reads the old one has its own copy of this memory. */
	give_policy(keeper);
}

static void take_loaded(struct net_keeper *keeper, uint64_t generation)
{
	if (keeper->helpers.gate.state != HELPER_READY)
		life_note(keeper->setup.life,
			  "net gate %d answers, policy generation %" PRIu64,
			  (int)keeper->helpers.gate.pid, generation);
	keeper->helpers.gate.state = HELPER_READY;
	keeper->helpers.gate.generation = generation;
	keeper->work_after_ns = 0;
	look_after_rules(keeper, clock_monotonic_ns());
}

static void take_message(struct net_keeper *keeper)
{
	struct message message;
	int fd = -1;
	int r = message_receive(keeper->helpers.gate.control, &message, &fd);

	fd_close(fd);
	if (r)
		return; /* its death will tell */
	keeper->heard_ns = clock_monotonic_ns();
	switch (message.type) {
	case MESSAGE_READY:
		keeper->helpers.gate.state = HELPER_LOADING;
		give_policy(keeper);
		break;
	case MESSAGE_LOADED:
		take_loaded(keeper, message.value);
		break;
	case MESSAGE_FAILED:
		log_error("the net gate cannot load the policy: %s",
			  strerror((int)message.value));
		helper_kill(&keeper->helpers.gate);
		break;
	default:
		break;
	}
}

static void take_death(struct net_keeper *keeper)
{
	int64_t now_ns = clock_monotonic_ns();
	bool was_short;
	char fate[64];
	int status;

	if (keeper->helpers.gate.pid < 0 ||
	    !helper_wait(&keeper->helpers.gate, 0))
		return;
	was_short = now_ns - keeper->helpers.gate.started_ns < SHORT_LIFE_NS;
	stop_watching(keeper);
	status = helper_reap(&keeper->helpers.gate);
	net_helpers_end(&keeper->helpers);
	life_warn(keeper->setup.life,
		  "the net gate %s; until the next answers, leashed accounts "
		  "begin no connection",
		  helper_fate(status, fate));
	keeper->start_after_ns =
		now_ns + (was_short && !WIFSIGNALED(status) ? RESTART_LATER_NS
							    : RESTART_NS);
	if (!was_short || WIFSIGNALED(status))
		start_helpers(keeper, now_ns);
}

/* Without it the gate cannot judge names: both begin anew. */
static void take_dns_death(struct net_keeper *keeper)
{
	char fate[64];

	if (keeper->helpers.dns.pid < 0 ||
	    !helper_wait(&keeper->helpers.dns, 0))
		return;
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->helpers.dns.pidfd,
		  NULL);
	life_warn(keeper->setup.life,
		  "leash-dns %s; replacing it and the net gate",
		  helper_fate(helper_reap(&keeper->helpers.dns), fate));
	helper_kill(&keeper->helpers.gate);
}

void net_keeper_dispatch(struct net_keeper *keeper)
{
	struct epoll_event events[4];
	int count = epoll_wait(keeper->epoll, events, 4, 0);

	for (int i = 0; i < count; i++) {
		switch ((enum tag)events[i].data.u32) {
		case TAG_CONTROL:
			if (keeper->helpers.gate.pid > 0)
				take_message(keeper);
			break;
		case TAG_DEATH:
			take_death(keeper);
			break;
		case TAG_DNS_DEATH:
			take_dns_death(keeper);
			break;
		case TAG_WORK:
			finish_work(keeper);
			look_after_rules(keeper, clock_monotonic_ns());
			break;
		}
	}
}

/* A gate that does not answer a ping answers no packet either. */
static void check_pulse(struct net_keeper *keeper, int64_t now_ns)
{
	const struct message ping = {.type = MESSAGE_PING};
	const struct helper *gate = &keeper->helpers.gate;
	bool unheard = keeper->pinged_ns > keeper->heard_ns;

	if (gate->state < HELPER_READY) {
		if (now_ns - gate->started_ns > READY_TIMEOUT_NS)
			helper_kill(gate);
		keeper->heard_ns = keeper->pinged_ns = now_ns;
		return;
	}
	if (unheard && now_ns - keeper->pinged_ns > PONG_TIMEOUT_NS) {
		life_warn(keeper->setup.life,
			  "the net gate stands still; replacing it");
		helper_kill(gate);
		keeper->pinged_ns = keeper->heard_ns = now_ns;
	} else if (!unheard && now_ns - keeper->pinged_ns > PING_NS) {
		keeper->pinged_ns = now_ns;
		if (message_send(gate->control, &ping, -1))
			helper_kill(gate);
	}
}

/*
 * Nothing is lost quietly: these packets were refused unjudged.  Looked at
 * often, since the count ends with the queue's reader; said once a second.
 */
static void look_at_drops(struct net_keeper *keeper, int64_t now_ns)
{
	keeper->drops_unsaid += queue_drops_new(&keeper->drops);
	if (!keeper->drops_unsaid || now_ns - keeper->drops_said_ns < DROPS_NS)
		return;
	life_warn(keeper->setup.life,
		  "%" PRIu64 " packet(s) came faster than the net gate could "
		  "judge them and were dropped",
		  keeper->drops_unsaid);
	keeper->drops_unsaid = 0;
	keeper->drops_said_ns = now_ns;
}

void net_keeper_tick(struct net_keeper *keeper, int64_t now_ns)
{
	look_at_drops(keeper, now_ns);
	close_services(keeper); /* one may have just been started */
	if (keeper->helpers.gate.pid > 0)
		check_pulse(keeper, now_ns);
	else if (now_ns >= keeper->start_after_ns)
		start_helpers(keeper, now_ns);
	look_after_rules(keeper, now_ns);
}

void net_keeper_stop(struct net_keeper *keeper)
{
	const struct message stop = {.type = MESSAGE_STOP};

	end_worker(keeper);
	name_services_open(&keeper->services, keeper->policy);
	if (firewall_remove(keeper->state))
		log_error("cannot take the network rules away: %s",
			  keeper->state->problem);
	if (keeper->helpers.gate.pid < 0)
		return;
	stop_watching(keeper);
	if (message_send(keeper->helpers.gate.control, &stop, -1) ||
	    !helper_wait(&keeper->helpers.gate, STOP_MS))
		log_error("the net gate does not end; killing it");
	net_helpers_end(&keeper->helpers);
}
