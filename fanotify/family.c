#include "fanotify/family.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fanotify/calls.h"
#include "fanotify/gate.h"
#include "gatekeeper/system/mount_table.h"
#include "fanotify/pulse.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/wire/helper_fds.h"
#include "gatekeeper/wire/message.h"

#define WANTED		2 /* gates: one that answers, one spare */
#define TICK_MS		100
#define DOUBT_MS	30 /* once a gate has shown no sign of life */
#define STUCK_LOOKS	3
#define START_NS	(10 * CLOCK_NS_PER_S)
#define SHORT_LIFE_NS	(2 * CLOCK_NS_PER_S)
#define SHORT_LIVES_MAX 8 /* in a row: something is wrong with all of them */
#define SPARE_STILL_NS	(1500 * CLOCK_NS_PER_MS) /* it looks every 100 ms */
#define RETIRE_NS	(1500 * CLOCK_NS_PER_MS)

struct member {
	pid_t pid;   /* 0: none */
	int pidfd;   /* owned, in the table that all share */
	int control; /* owned, likewise */
	bool ready;
	uint64_t generation;
	int64_t started_ns;
	uint64_t looks; /* as a spare; when they last grew: */
	int64_t looked_ns;
};

struct family {
	struct gate_ends ends; /* what every gate is given */
	struct gate_table *table;
	struct member members[GATE_SLOTS];
	struct policy *policy; /* NULL before the first */
	uint64_t said;	       /* the generation we have said all have */
	struct pulse pulse;    /* of the one that has the turn */
	int pulse_of;	       /* its slot */
	bool going;	       /* a gate is to answer */
	bool orphaned;	       /* gatekeeper is gone */
	int short_lives;
	int64_t retired_ns; /* 0: not told to end */
};

static uint64_t generation_of(const struct family *family)
{
	return family->policy ? policy_generation(family->policy) : 0;
}

/* By pidfd: our filter does not let us signal whom we like. */
static void end_member(const struct member *member)
{
	if (syscall(SYS_pidfd_send_signal, member->pidfd, SIGKILL, NULL, 0) < 0)
		log_error("cannot end file gate %d: %m", member->pid);
}

/* ---- forking */

__attribute__((noreturn)) static void be_gate(struct family *family, int slot,
					      int control)
{
	CLEANUP(gate_free) struct gate *gate = NULL;
	struct gate_ends ends = family->ends;
	int r;

	prctl(PR_SET_NAME, "leash-fanotify");
	ends.slot = slot;
	ends.control = control;
	r = gate_new(&ends, family->policy, &gate);
	if (!r)
		r = calls_confine_gate();
	if (!r)
		r = gate_run(gate);
	if (r) {
		errno = -r;
		log_error("cannot go on: %m");
	}
	_exit(r ? 1 : 0);
}

/* As fork(), with one table of descriptors for both. */
static pid_t fork_sharing(int *ret_pidfd)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0,
			      ret_pidfd, 0, 0);
}

/*
 * A slot without a gate, whose last one owes no answer and does not have the
 * turn: else the new gate would seem to have read what the dead one did, or to
 * have the turn.
 */
static int free_slot(const struct family *family)
{
	for (int i = 0; i < GATE_SLOTS; i++)
		if (!family->members[i].pid &&
		    atomic_load(&family->table->turn) != i &&
		    !gate_table_slot_owes(&family->table->slots[i]))
			return i;
	return -1;
}

static int start_gate(struct family *family, int slot)
{
	struct gate_shared *shared = &family->table->slots[slot];
	struct member *member = &family->members[slot];
	int ends[2], pidfd = -1;
	pid_t pid;
	int r = message_pair(ends);

	if (r)
		return r;
	gate_table_clear(shared);
	atomic_store(&shared->successors, 0);
	pid = fork_sharing(&pidfd);
	if (pid == 0)
		be_gate(family, slot, ends[1]);
	if (pid < 0) {
		r = -errno;
		fd_close(ends[0]);
		fd_close(ends[1]);
		return r;
	}
	gate_table_own(family->table, ends[0], GATE_OWNER_MAIN);
	gate_table_own(family->table, pidfd, GATE_OWNER_MAIN);
	gate_table_own(family->table, ends[1], slot + 1);
	atomic_store(&shared->pidfd, pidfd);
	atomic_store(&shared->pid, pid);
	*member = (struct member){
		.pid = pid,
		.pidfd = pidfd,
		.control = ends[0],
		.started_ns = clock_monotonic_ns(),
	};
	return 0;
}

static int count_members(const struct family *family)
{
	int count = 0;

	for (int i = 0; i < GATE_SLOTS; i++)
		count += family->members[i].pid > 0;
	return count;
}

static int start_missing(struct family *family)
{
	int r = 0;

	if (!family->policy || family->ends.group < 0 || family->retired_ns)
		return 0;
	while (!r && count_members(family) < WANTED) {
		int slot = free_slot(family);

		if (slot < 0)
			break;
		r = start_gate(family, slot);
	}
	if (r) {
		errno = -r;
		log_error("cannot start a file gate: %m");
	}
	return count_members(family) ? 0 : r;
}

/* ---- the turn */

static bool turn_is_vacant(struct family *family, int turn, int64_t now_ns)
{
	const struct pulse_of of = {
		.slot = &family->table->slots[turn < 0 ? 0 : turn],
		.group = family->ends.group,
		.proc = family->ends.proc,
		.patience = STUCK_LOOKS,
	};

	if (turn < 0)
		return true;
	if (turn != family->pulse_of)
		family->pulse = (struct pulse){.heartbeat = UINT64_MAX};
	family->pulse_of = turn;
	return pulse_is_gone(&family->pulse, &of, now_ns);
}

/* A gate that somebody has stopped (SIGSTOP) would only lose the turn again. */
static bool is_stopped(const struct family *family, const struct member *member)
{
	char state;

	return process_state(family->ends.proc, member->pid, &state) == 0 &&
	       state == 'T';
}

/*
 * Give the turn, unless the spare has taken it by itself: gate_table makes sure
 * that one gate has it, whoever is faster.
 */
static void give_turn(struct family *family, int64_t now_ns)
{
	const struct message go = {.type = MESSAGE_GO};
	int32_t turn = atomic_load(&family->table->turn);

	if (!family->going || family->retired_ns ||
	    !turn_is_vacant(family, turn, now_ns))
		return;
	for (int i = 0; i < GATE_SLOTS; i++) {
		struct member *member = &family->members[i];

		if (i == turn || !member->pid || !member->ready)
			continue;
		if (is_stopped(family, member)) {
			end_member(member);
			continue;
		}
		if (atomic_compare_exchange_strong(&family->table->turn, &turn,
						   i) &&
		    message_send(member->control, &go, -1))
			log_notice("file gate %d will see by itself that it "
				   "is its turn",
				   member->pid);
		return;
	}
}

/* ---- what gates say and how they end */

static void tell_gatekeeper(struct family *family,
			    const struct message *message)
{
	if (!family->orphaned && message_send(HELPER_FD_CONTROL, message, -1))
		log_error("cannot speak to gatekeeper: %m");
}

/* Say so once all have the policy. */
static void tell_loaded(struct family *family)
{
	const struct message loaded = {
		.type = MESSAGE_LOADED,
		.value = generation_of(family),
	};

	if (family->said == loaded.value || count_members(family) < WANTED)
		return;
	for (int i = 0; i < GATE_SLOTS; i++)
		if (family->members[i].pid &&
		    (!family->members[i].ready ||
		     family->members[i].generation != loaded.value))
			return;
	family->said = loaded.value;
	tell_gatekeeper(family, &loaded);
}

static void hear_gate(struct family *family, struct member *member)
{
	struct message message;
	int fd = -1;
	int r = message_receive(member->control, &message, &fd);

	fd_close(fd);
	if (r == MESSAGE_NONE)
		return;
	if (!r && message.type == MESSAGE_LOADED) {
		member->generation = message.value;
		member->ready = true;
		return;
	}
	if (!r)
		tell_gatekeeper(family, &message);
	end_member(member);
}

static void bury(struct family *family, int slot)
{
	struct member *member = &family->members[slot];
	struct message died = {.type = MESSAGE_DIED};
	int status = 0;
	bool is_short =
		clock_monotonic_ns() - member->started_ns < SHORT_LIFE_NS;

	if (waitpid(member->pid, &status, WNOHANG) <= 0)
		return;
	died.about = (uint32_t)member->pid;
	died.value = (uint64_t)status;
	if (!family->retired_ns)
		tell_gatekeeper(family, &died);
	atomic_store(&family->table->slots[slot].pid, 0);
	gate_table_own(family->table, member->control, 0);
	gate_table_own(family->table, member->pidfd, 0);
	fd_close(member->control);
	fd_close(member->pidfd);
	*member = (struct member){.pid = 0};
	gate_table_close_of(family->table, slot + 1);
	/*
	 * A gate that somebody has killed does not show that gates cannot live.
	 */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	family->short_lives = is_short ? family->short_lives + 1 : 0;
}

/* ---- what gatekeeper says */

static int use_policy(struct family *family, int fd)
{
	const struct message message = {.type = MESSAGE_POLICY};
	struct policy *policy = NULL;
	int r = policy_map(fd, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	policy_free(family->policy);
	family->policy = policy;
	for (int i = 0; i < GATE_SLOTS; i++)
		if (family->members[i].pid &&
		    message_send(family->members[i].control, &message, fd))
			end_member(&family->members[i]);
	return 0;
}

static int take_policy(struct family *family, int fd)
{
	struct message failed = {.type = MESSAGE_FAILED};
	int r = use_policy(family, fd);

	if (r) {
		failed.value = (uint64_t)-r;
		tell_gatekeeper(family, &failed);
	}
	return 0;
}

static int hear_gatekeeper(struct family *family)
{
	CLEANUP(fd_close) int fd = -1;
	struct message message;
	int r = message_receive(HELPER_FD_CONTROL, &message, &fd);

	if (r == MESSAGE_NONE)
		return 0;
	if (r == MESSAGE_CLOSED) {
		log_error("gatekeeper is gone; going on with the policy in "
			  "force");
		family->orphaned = true;
		return family->going ? 0 : -EPIPE;
	}
	if (r)
		return r < 0 ? r : -EPROTO;
	switch (message.type) {
	case MESSAGE_POLICY:
		return take_policy(family, fd);
	case MESSAGE_GROUP:
		family->ends.group = STEAL_FD(fd);
		gate_table_own(family->table, family->ends.group,
			       GATE_OWNER_MAIN);
		return 0;
	case MESSAGE_GO:
		family->going = true;
		return 0;
	default:
		return -EPROTO;
	}
}

/* ---- the loop */

static void wait_for_news(struct family *family, struct pollfd *news)
{
	news[0] = (struct pollfd){
		.fd = family->orphaned ? -1 : HELPER_FD_CONTROL,
		.events = POLLIN,
	};
	news[1] = (struct pollfd){
		.fd = family->retired_ns ? -1 : HELPER_FD_RETIRE,
		.events = POLLIN,
	};
	for (int i = 0; i < GATE_SLOTS; i++) {
		const struct member *member = &family->members[i];
		struct pollfd *of = news + 2 + 2 * i;

		of[0] = (struct pollfd){
			.fd = member->pid ? member->pidfd : -1,
			.events = POLLIN,
		};
		of[1] = (struct pollfd){
			.fd = member->pid ? member->control : -1,
			.events = POLLIN,
		};
	}
	if (poll(news, 2 + 2 * GATE_SLOTS,
		 family->pulse.still ? DOUBT_MS : TICK_MS) < 0)
		memset(news, 0, (2 + 2 * GATE_SLOTS) * sizeof(*news));
}

static void end_late_starters(struct family *family, int64_t now_ns)
{
	for (int i = 0; i < GATE_SLOTS; i++) {
		const struct member *member = &family->members[i];

		if (member->pid && !member->ready &&
		    now_ns - member->started_ns > START_NS)
			end_member(member);
	}
}

/*
 * Kill spares that stand still: they could not take over, and would be given
 * the turn all the same.
 */
static void end_still_spares(struct family *family, int64_t now_ns)
{
	for (int i = 0; i < GATE_SLOTS; i++) {
		struct member *member = &family->members[i];
		uint64_t looks = atomic_load(&family->table->slots[i].looks);

		if (!member->pid || !member->ready ||
		    i == atomic_load(&family->table->turn) ||
		    looks != member->looks || !member->looked_ns) {
			member->looks = looks;
			member->looked_ns = now_ns;
		} else if (now_ns - member->looked_ns > SPARE_STILL_NS) {
			log_error("spare file gate %d stands still; ending it",
				  member->pid);
			end_member(member);
			member->looked_ns = now_ns;
		}
	}
}

static int take_turn(struct family *family)
{
	struct pollfd news[2 + 2 * GATE_SLOTS];
	int64_t now_ns;
	int r = 0;

	atomic_fetch_add(&family->table->main_heartbeat, 1);
	wait_for_news(family, news);
	now_ns = clock_monotonic_ns();
	if (news[1].revents)
		family->retired_ns = now_ns;
	for (int i = 0; i < GATE_SLOTS; i++)
		if (news[3 + 2 * i].revents && family->members[i].pid)
			hear_gate(family, &family->members[i]);
	for (int i = 0; i < GATE_SLOTS; i++)
		if (news[2 + 2 * i].revents && family->members[i].pid)
			bury(family, i);
	if (news[0].revents)
		r = hear_gatekeeper(family);
	give_turn(family, now_ns);
	end_late_starters(family, now_ns);
	end_still_spares(family, now_ns);
	/* Something is wrong with all of them: gatekeeper is to know. */
	if (!r && family->short_lives > SHORT_LIVES_MAX)
		return count_members(family) ? 0 : -ECHILD;
	if (!r)
		r = start_missing(family);
	tell_loaded(family);
	return r;
}

static bool has_ended(const struct family *family)
{
	return family->retired_ns &&
	       (!count_members(family) ||
		clock_monotonic_ns() - family->retired_ns > RETIRE_NS);
}

/* What is opened before /proc is the root, and given to every gate. */
static int set_up(struct family *family)
{
	const struct message ready = {.type = MESSAGE_READY};
	struct gate_ends *ends = &family->ends;
	int r;

	family->table = gate_table_map(HELPER_FD_TABLE);
	if (!family->table)
		return -errno;
	ends->table = family->table;
	r = channel_map(HELPER_FD_CHANNEL, &ends->channel);
	if (!r)
		r = mount_table_new(HELPER_FD_PROC, &ends->mounts);
	if (r)
		return r;
	/*
	 * Made last, so every descriptor up to this number is the main
	 * process's.
	 */
	ends->proc = fcntl(HELPER_FD_PROC, F_DUPFD_CLOEXEC, 0);
	if (ends->proc < 0)
		return -errno;
	for (int fd = 0; fd <= ends->proc; fd++)
		gate_table_own(family->table, fd, GATE_OWNER_MAIN);
	r = calls_confine_main(ends->proc);
	return r ? r : message_send(HELPER_FD_CONTROL, &ready, -1);
}

int family_run(void)
{
	struct family family = {
		.ends =
			{
				.gatekeeper = HELPER_FD_CONTROL,
				.wake = HELPER_FD_WAKE,
				.retire = HELPER_FD_RETIRE,
				.group = -1,
			},
		.pulse_of = -1,
	};
	int r = set_up(&family);

	while (!r && !has_ended(&family))
		r = take_turn(&family);
	/* Gates that never answered are of no use to anybody. */
	for (int i = 0; !family.going && i < GATE_SLOTS; i++)
		if (family.members[i].pid)
			end_member(&family.members[i]);
	return r;
}
