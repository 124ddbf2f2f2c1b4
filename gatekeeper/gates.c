#include "gatekeeper/gates.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/base/process.h"
#include "gatekeeper/helper.h"
#include "gatekeeper/power.h"
#include "gatekeeper/wire/gate_shared.h"
#include "gatekeeper/wire/message.h"

#define STUCK_TICKS	 3 /* ticks without a sign of life, with work waiting */
#define STARVED_TICKS	 50   /* the same, while it waits for a processor */
#define GATE_PRIORITY	 (-5) /* a nice value: somebody always waits for it */
#define START_TIMEOUT_NS (10 * CLOCK_NS_PER_S)
#define SHORT_LIFE_NS	 (2 * CLOCK_NS_PER_S)
#define SHORT_LIVES_MAX	 8 /* in a row; beyond is lockdown */
#define LOCKDOWN_MIN_NS	 (250 * CLOCK_NS_PER_MS)
#define LOCKDOWN_MAX_NS	 (5 * CLOCK_NS_PER_S)
#define POWER_LOOK_NS	 (30 * CLOCK_NS_PER_S)
#define ABANDON_NS	 (200 * CLOCK_NS_PER_MS)
#define STOP_TIMEOUT_MS	 2000
#define EVENTS_PER_TURN	 64

/* What an epoll event is about: a slot's control end or pidfd, the group. */
enum {
	TAG_CONTROL = 0,
	TAG_DEATH = GATES_COUNT,
	TAG_GROUP = 2 * GATES_COUNT,
};

struct slot {
	struct helper helper;
	struct gate_shared *shared; /* owned mapping */
	int shared_fd;		    /* owned */
	uint64_t heartbeat;
	int still_ticks;
	int64_t killed_ns; /* when it was told to die, 0: it was not */
};

struct gates {
	struct gates_setup setup;
	int epoll;
	int proc; /* owned */
	struct slot slots[GATES_COUNT];
	int active; /* index, or -1 */
	bool standing_in;
	const struct policy *policy; /* borrowed */
	int policy_fd;
	int short_lives;
	int64_t start_after_ns;
	int64_t power_looked_ns;
	bool may_poll;
};

static int make_shared(struct slot *slot)
{
	void *memory;

	slot->shared_fd = memfd_create("leash-gate", MFD_CLOEXEC);
	if (slot->shared_fd < 0 ||
	    ftruncate(slot->shared_fd, sizeof(struct gate_shared)) < 0)
		return -errno;
	memory = mmap(NULL, sizeof(struct gate_shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED, slot->shared_fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	slot->shared = memory;
	return 0;
}

int gates_new(const struct gates_setup *setup, struct gates **ret)
{
	CLEANUP(gates_free) struct gates *gates = calloc(1, sizeof(*gates));

	if (!gates)
		return -ENOMEM;
	gates->setup = *setup;
	gates->active = -1;
	gates->policy_fd = -1;
	gates->proc = gates->epoll = -1;
	gates->may_poll = power_is_plentiful();
	for (int i = 0; i < GATES_COUNT; i++) {
		gates->slots[i].helper = HELPER_EMPTY;
		gates->slots[i].shared_fd = -1;
	}
	gates->proc = process_open_proc();
	if (gates->proc < 0)
		return gates->proc;
	gates->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (gates->epoll < 0)
		return -errno;
	for (int i = 0; i < GATES_COUNT; i++) {
		int r = make_shared(&gates->slots[i]);

		if (r)
			return r;
	}
	*ret = STEAL(gates);
	return 0;
}

struct gates *gates_free(struct gates *gates)
{
	if (!gates)
		return NULL;
	for (int i = 0; i < GATES_COUNT; i++) {
		struct slot *slot = &gates->slots[i];

		helper_kill(&slot->helper);
		helper_reap(&slot->helper);
		if (slot->shared)
			munmap(slot->shared, sizeof(*slot->shared));
		fd_close(slot->shared_fd);
	}
	fd_close(gates->epoll);
	fd_close(gates->proc);
	free(gates);
	return NULL;
}

int gates_fd(const struct gates *gates)
{
	return gates->epoll;
}

static int watch(struct gates *gates, int fd, uint32_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

	return epoll_ctl(gates->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void report_answer(void *context, const struct stand_in_event *event)
{
	struct gates *gates = context;

	life_note_event(
		gates->setup.life, POLICY_REASON_GATE_LOST, event,
		policy_text(
			gates->policy,
			policy_account(gates->policy, event->account)->name));
}

static struct stand_in stand_in(struct gates *gates)
{
	return (struct stand_in){
		.proc = gates->proc,
		.group = gates->setup.group,
		.policy = gates->policy,
		.report = report_answer,
		.context = gates,
	};
}

static void begin_standing_in(struct gates *gates)
{
	if (gates->standing_in)
		return;
	gates->standing_in = true;
	if (watch(gates, gates->setup.group, TAG_GROUP))
		log_error("cannot watch the fanotify group: %m");
}

static void end_standing_in(struct gates *gates)
{
	if (!gates->standing_in)
		return;
	gates->standing_in = false;
	epoll_ctl(gates->epoll, EPOLL_CTL_DEL, gates->setup.group, NULL);
}

static void give_policy(struct gates *gates, struct slot *slot)
{
	const struct message message = {.type = MESSAGE_POLICY};
	int r;

	if (!gates->policy || slot->helper.state < HELPER_LOADING)
		return;
	r = message_send(slot->helper.control, &message, gates->policy_fd);
	if (r) {
		errno = -r;
		log_error("cannot hand the policy to a file gate: %m");
		helper_kill(&slot->helper);
	}
}

void gates_set_policy(struct gates *gates, const struct policy *policy, int fd)
{
	gates->policy = policy;
	gates->policy_fd = fd;
	for (int i = 0; i < GATES_COUNT; i++)
		give_policy(gates, &gates->slots[i]);
}

static void start(struct gates *gates, int index)
{
	struct slot *slot = &gates->slots[index];
	char *arguments[] = {(char *)"leash-fanotify", NULL};
	int fds[4 + MOUNT_GUARD_LINKS] = {
		gates->setup.wake,
		gates->setup.group,
		slot->shared_fd,
		gates->setup.channel,
	};
	/* The last only until it has made /proc its root. */
	static const int capabilities[] = {
		CAP_SYS_PTRACE,
		CAP_DAC_READ_SEARCH,
		CAP_SYS_NICE,
		CAP_SYS_CHROOT,
	};
	const struct policy_header *header = policy_header(gates->policy);
	const struct helper_spec spec = {
		.program = gates->setup.program,
		.arguments = arguments,
		.uid = header->user_uid,
		.gid = header->user_gid,
		.capabilities = capabilities,
		.capability_count = 4,
		.fds = fds,
		.fd_count = gates->setup.guard ? 4 + MOUNT_GUARD_LINKS : 4,
		.priority = GATE_PRIORITY,
	};
	int r;

	if (gates->setup.guard)
		mount_guard_links(gates->setup.guard, fds + 4);
	memset(slot->shared, 0, sizeof(*slot->shared));
	atomic_store(&slot->shared->polling, gates->may_poll);
	slot->still_ticks = 0;
	slot->killed_ns = 0;
	r = helper_start(&spec, &slot->helper);
	if (!r)
		r = watch(gates, slot->helper.control,
			  TAG_CONTROL + (uint32_t)index);
	if (!r)
		r = watch(gates, slot->helper.pidfd,
			  TAG_DEATH + (uint32_t)index);
	if (r) {
		errno = -r;
		log_error("cannot start a file gate: %m");
		helper_kill(&slot->helper);
		helper_reap(&slot->helper);
		gates->start_after_ns = clock_monotonic_ns() + CLOCK_NS_PER_S;
	}
}

/* Let the gate in slot answer from now on. */
static void promote(struct gates *gates, int index)
{
	const struct message go = {.type = MESSAGE_GO};
	struct slot *slot = &gates->slots[index];

	end_standing_in(gates);
	slot->helper.state = HELPER_ACTIVE;
	slot->still_ticks = 0;
	gates->active = index;
	if (message_send(slot->helper.control, &go, -1))
		helper_kill(&slot->helper);
	else
		life_note(gates->setup.life,
			  "file gate %d answers, policy generation %llu",
			  (int)slot->helper.pid,
			  (unsigned long long)slot->helper.generation);
}

static void promote_any(struct gates *gates)
{
	for (int i = 0; gates->active < 0 && i < GATES_COUNT; i++)
		if (gates->slots[i].helper.state == HELPER_READY)
			promote(gates, i);
}

/*
 * Gates that live long, or that somebody kills, are no sign of a gate that
 * cannot live.
 */
static void count_death(struct gates *gates, int64_t lived_ns, int status,
			int64_t now_ns)
{
	int64_t wait_ns;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		gates->start_after_ns = now_ns;
		return;
	}
	if (lived_ns > SHORT_LIFE_NS) {
		gates->short_lives = 0;
		gates->start_after_ns = now_ns;
		return;
	}
	if (++gates->short_lives <= SHORT_LIVES_MAX) {
		gates->start_after_ns = now_ns;
		return;
	}
	wait_ns = LOCKDOWN_MIN_NS;
	for (int i = SHORT_LIVES_MAX + 1;
	     i < gates->short_lives && wait_ns < LOCKDOWN_MAX_NS; i++)
		wait_ns *= 2;
	if (wait_ns > LOCKDOWN_MAX_NS)
		wait_ns = LOCKDOWN_MAX_NS;
	gates->start_after_ns = now_ns + wait_ns;
	/* Refused is what is asked about: so all of it is (kernel_cache.h). */
	(void)fanotify_mark(gates->setup.group, FAN_MARK_FLUSH, 0, AT_FDCWD,
			    NULL);
	life_warn(gates->setup.life,
		  "lockdown: file gates die as soon as they start; leashed "
		  "accounts are refused, trying again in %lld ms",
		  (long long)(wait_ns / CLOCK_NS_PER_MS));
}

/*
 * Closing is not enough: a child between fork and exec still holds a copy,
 * and epoll would go on telling of a death long past.
 */
static void unwatch(struct gates *gates, const struct helper *helper)
{
	epoll_ctl(gates->epoll, EPOLL_CTL_DEL, helper->pidfd, NULL);
	epoll_ctl(gates->epoll, EPOLL_CTL_DEL, helper->control, NULL);
}

/* The gate in slot is no more: let another answer, or do so ourselves. */
static void replace_active(struct gates *gates, int index)
{
	if (gates->active != index)
		return;
	gates->active = -1;
	promote_any(gates);
	if (gates->active < 0)
		begin_standing_in(gates);
}

static void bury(struct gates *gates, int index)
{
	struct slot *slot = &gates->slots[index];
	const struct stand_in mine = stand_in(gates);
	bool was_active = gates->active == index;
	int64_t now_ns = clock_monotonic_ns();
	int64_t lived_ns = now_ns - slot->helper.started_ns;
	pid_t pid = slot->helper.pid;
	char fate[64];
	int settled = 0, status;

	unwatch(gates, &slot->helper);
	status = helper_reap(&slot->helper);
	if (was_active)
		settled = stand_in_settle(&mine, slot->shared);
	replace_active(gates, index);
	life_warn(gates->setup.life,
		  "%s file gate %d %s; %d open(s) answered for it",
		  was_active ? "answering" : "spare", (int)pid,
		  helper_fate(status, fate), settled);
	count_death(gates, lived_ns, status, now_ns);
	if (now_ns >= gates->start_after_ns)
		start(gates, index);
}

static void take_message(struct gates *gates, int index)
{
	struct slot *slot = &gates->slots[index];
	struct helper *helper = &slot->helper;
	struct message message;
	int fd = -1;
	int r = message_receive(helper->control, &message, &fd);

	fd_close(fd);
	if (r == MESSAGE_NONE)
		return;
	if (r == MESSAGE_CLOSED) {
		/* It is dying; its pidfd will say so. */
		epoll_ctl(gates->epoll, EPOLL_CTL_DEL, helper->control, NULL);
		return;
	}
	if (!r && message.type == MESSAGE_READY &&
	    helper->state == HELPER_STARTING) {
		helper->state = HELPER_LOADING;
		give_policy(gates, slot);
	} else if (!r && message.type == MESSAGE_LOADED &&
		   helper->state >= HELPER_LOADING) {
		helper->generation = message.value;
		if (helper->state == HELPER_LOADING)
			helper->state = HELPER_READY;
		promote_any(gates);
	} else {
		errno = !r && message.type == MESSAGE_FAILED
				? (int)message.value
				: EPROTO;
		life_warn(gates->setup.life,
			  "file gate %d could not take the policy: %s",
			  (int)helper->pid, strerror(errno));
		helper_kill(helper);
	}
}

void gates_dispatch(struct gates *gates)
{
	struct epoll_event events[8];
	const struct stand_in mine = stand_in(gates);
	int count = epoll_wait(gates->epoll, events, 8, 0);

	/* Deaths first: a slot's other descriptors are gone after that. */
	for (int i = 0; i < count; i++) {
		int index = (int)events[i].data.u32 - TAG_DEATH;

		if (index >= 0 && index < GATES_COUNT &&
		    gates->slots[index].helper.pid > 0 &&
		    helper_wait(&gates->slots[index].helper, 0))
			bury(gates, index);
	}
	for (int i = 0; i < count; i++) {
		int index = (int)events[i].data.u32 - TAG_CONTROL;

		if (index < GATES_COUNT && gates->slots[index].helper.pid > 0)
			take_message(gates, index);
	}
	if (gates->standing_in && stand_in_answer(&mine, EVENTS_PER_TURN) < 0)
		log_error("cannot read an event: %m");
}

static bool has_work(const struct gates *gates, const struct slot *slot)
{
	const struct fanotify_event_metadata *first =
		(const void *)slot->shared->events;
	int waiting = 0;

	return first->event_len != 0 ||
	       (ioctl(gates->setup.group, FIONREAD, &waiting) == 0 &&
		waiting > 0);
}

/* A crowded machine is no reason to end the gate: the next waits as long. */
static bool is_starved(const struct gates *gates, const struct slot *slot)
{
	char state;

	return process_state(gates->proc, slot->helper.pid, &state) == 0 &&
	       state == 'R';
}

/* An answering gate with work and no heartbeat stands still: end it. */
static void check_pulse(struct gates *gates, struct slot *slot, int64_t now_ns)
{
	uint64_t heartbeat = atomic_load(&slot->shared->heartbeat);
	bool still = heartbeat == slot->heartbeat && has_work(gates, slot);
	bool late = slot->helper.state < HELPER_READY &&
		    now_ns - slot->helper.started_ns > START_TIMEOUT_NS;

	slot->heartbeat = heartbeat;
	if (slot->helper.state != HELPER_ACTIVE)
		still = false;
	slot->still_ticks = still ? slot->still_ticks + 1 : 0;
	if (!late && slot->still_ticks < STUCK_TICKS)
		return;
	if (!late && slot->still_ticks < STARVED_TICKS &&
	    is_starved(gates, slot))
		return;
	life_warn(gates->setup.life, "file gate %d %s; replacing it",
		  (int)slot->helper.pid,
		  late ? "does not start" : "stands still");
	helper_kill(&slot->helper);
	slot->killed_ns = now_ns;
}

/*
 * Killed and not dead: it hangs in the kernel, and will never run again.  Its
 * page is left to it, since a read it hangs in would still write there.
 */
static void abandon(struct gates *gates, int index)
{
	struct slot *slot = &gates->slots[index];
	const struct stand_in mine = stand_in(gates);

	life_warn(gates->setup.life,
		  "file gate %d hangs in the kernel; going on without it",
		  (int)slot->helper.pid);
	unwatch(gates, &slot->helper);
	fd_close(slot->helper.pidfd);
	fd_close(slot->helper.control);
	slot->helper = HELPER_EMPTY;
	if (gates->active == index)
		stand_in_settle(&mine, slot->shared);
	replace_active(gates, index);
	munmap(slot->shared, sizeof(*slot->shared));
	fd_close(slot->shared_fd);
	slot->shared = NULL;
	if (make_shared(slot))
		log_error("cannot make room for another gate: %m");
}

static void look_at_power(struct gates *gates, int64_t now_ns)
{
	if (now_ns - gates->power_looked_ns < POWER_LOOK_NS)
		return;
	gates->power_looked_ns = now_ns;
	gates->may_poll = power_is_plentiful();
	for (int i = 0; i < GATES_COUNT; i++)
		atomic_store(&gates->slots[i].shared->polling, gates->may_poll);
}

void gates_tick(struct gates *gates, int64_t now_ns)
{
	if (!gates->policy)
		return;
	look_at_power(gates, now_ns);
	for (int i = 0; i < GATES_COUNT; i++) {
		struct slot *slot = &gates->slots[i];

		if (slot->helper.pid < 0 && slot->shared &&
		    now_ns >= gates->start_after_ns)
			start(gates, i);
		else if (slot->helper.pid > 0 && slot->killed_ns &&
			 now_ns - slot->killed_ns > ABANDON_NS)
			abandon(gates, i);
		else if (slot->helper.pid > 0 && !slot->killed_ns)
			check_pulse(gates, slot, now_ns);
	}
}

uint64_t gates_generation(const struct gates *gates)
{
	return gates->active < 0
		       ? 0
		       : gates->slots[gates->active].helper.generation;
}

bool gates_complete(const struct gates *gates)
{
	bool complete = gates->active >= 0;

	for (int i = 0; i < GATES_COUNT; i++)
		if (gates->slots[i].helper.state < HELPER_READY)
			complete = false;
	return complete;
}

bool gates_locked_down(const struct gates *gates)
{
	return gates->short_lives > SHORT_LIVES_MAX;
}

void gates_pids(const struct gates *gates, pid_t ret[static GATES_COUNT])
{
	for (int i = 0; i < GATES_COUNT; i++)
		ret[i] = gates->slots[i].helper.pid;
}

pid_t gates_answering(const struct gates *gates)
{
	return gates->active < 0 ? -1 : gates->slots[gates->active].helper.pid;
}

uint32_t gates_unasked(const struct gates *gates)
{
	return gates->active < 0
		       ? 0
		       : atomic_load(
				 &gates->slots[gates->active].shared->unasked);
}

void gates_stop(struct gates *gates)
{
	const struct message stop = {.type = MESSAGE_STOP};
	const struct stand_in mine = stand_in(gates);

	for (int i = 0; i < GATES_COUNT; i++) {
		struct slot *slot = &gates->slots[i];

		if (slot->helper.pid < 0)
			continue;
		if (message_send(slot->helper.control, &stop, -1) ||
		    !helper_wait(&slot->helper, STOP_TIMEOUT_MS)) {
			helper_kill(&slot->helper);
			helper_wait(&slot->helper, STOP_TIMEOUT_MS);
		}
		if (i == gates->active)
			stand_in_settle(&mine, slot->shared);
		helper_reap(&slot->helper);
	}
	gates->active = -1;
	end_standing_in(gates);
	while (stand_in_answer(&mine, EVENTS_PER_TURN) > 0)
		;
}
