/*
 * Where the time goes: waking (base/busy_poll.h).  It sleeps in poll(), which
 * wakes faster than epoll for so few descriptors.
 *
 * Reply, then record: what only the log wants is gathered after the answer.
 */

#include "fanotify/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fanotify/boost.h"
#include "fanotify/ignore_marks.h"
#include "fanotify/judge.h"
#include "fanotify/pulse.h"
#include "gatekeeper/base/busy_poll.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/record.h"

/*
 * An event is put aside (held) while its thread has not yet gone to sleep,
 * while somebody else may have the file open for writing, or while there is no
 * room to remember another exec: other events are answered meanwhile.  When too
 * many are held for that, an event is answered by what is known of it.
 */
#define HELD_LOOK_NS	 (200 * (CLOCK_NS_PER_MS / 1000))
#define HELD_DEADLINE_NS (30 * CLOCK_NS_PER_S)
#define HELD_AWAKE_NS	 (120 * CLOCK_NS_PER_S) /* it lacks a processor */
#define HELD_FULL_NS	 (30 * CLOCK_NS_PER_MS) /* when there is no room */

/* Under load, look at the control socket after so many batches. */
#define BATCHES_PER_CONTROL 16

/*
 * busy_poll_init(): who waits for this gate goes on to start a program, which
 * then wants the processor for longer than this.
 */
#define CROWDED_NS (20 * (CLOCK_NS_PER_MS / 1000))

/*
 * Descriptors: the gate's own few, and of what the limit leaves a sixteenth
 * each for threads it knows and for files left to the spare, an eighth for
 * execs under way, a quarter for a batch, half for events put aside.  So it
 * never runs out, and the kernel never has to refuse for want of one.
 */
#define OWN_DESCRIPTORS 40
#define DESCRIPTORS_MIN 64
#define OPENERS_MAX	256
#define EXECS_MAX	256

/* How often a spare looks at the gate that has the turn, and how often it may
 * stand still: longer than the main process lets it. */
#define WATCH_MS    100
#define STUCK_LOOKS 6

/*
 * An event that has killed more gates than this is judged by no other: it is
 * answered by the uid alone.
 */
#define SUCCESSORS_MAX 2

/*
 * Of this many opens by accounts without a leash, one file is considered for an
 * ignore mark.
 */
#define OTHERS_SAMPLE 8

/* An event put aside, as the log of what is owed has it in gate_shared. */
struct held {
	struct fanotify_event_metadata event; /* fd 0: free */
	int64_t since_ns;
};

struct gate {
	struct gate_ends ends;
	struct gate_shared *shared; /* its slot */
	struct pulse pulse;	    /* of the gate that has the turn */
	int pulse_of;		    /* its slot */
	struct held held[GATE_HELD_MAX];
	int held_count;
	int held_max;
	size_t batch_bytes;
	size_t left_max;
	int64_t held_looked_ns;
	struct judge judge;
	struct ignore_marks ignore_marks;
	bool ignoring_is_of_use; /* under this policy */
	unsigned int others;	 /* opens of theirs, counted for the sample */
	struct policy *policy;	 /* NULL before the first */
	struct busy_poll busy_poll;
	struct boost boost;
	int64_t now_ns; /* realtime, once a batch */
	int64_t complained_s;
	bool active;   /* has the turn */
	bool heavy;    /* what was answered last: see close_answered() */
	bool closes;   /* as a spare, and there may be more */
	bool orphaned; /* nobody at the other end of control any more */
	bool stopping;
	char record[RECORD_SIZE_MAX * 2];
};

static size_t at_most(size_t n, size_t max)
{
	return n < max ? n : max;
}

static int share_descriptors(struct gate *gate, struct opener_room *ret)
{
	struct rlimit limit;
	size_t left;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur < DESCRIPTORS_MIN)
		return -EMFILE;
	left = (limit.rlim_cur > GATE_FDS_MAX ? GATE_FDS_MAX : limit.rlim_cur) -
	       OWN_DESCRIPTORS;
	ret->known = at_most(left / 16, OPENERS_MAX);
	ret->execs = at_most(left / 8, EXECS_MAX);
	gate->batch_bytes = at_most(left / 4, GATE_BATCH_MAX) * GATE_EVENT_SIZE;
	gate->held_max = (int)at_most(left / 2, GATE_HELD_MAX);
	gate->left_max = at_most(left / 16, GATE_LEFT_MAX);
	return 0;
}

int gate_new(const struct gate_ends *ends, struct policy *policy,
	     struct gate **ret)
{
	CLEANUP(gate_free) struct gate *gate = calloc(1, sizeof(*gate));
	struct opener_room room = {0};
	int r;

	if (!gate)
		return -ENOMEM;
	gate->ends = *ends;
	gate->shared = &ends->table->slots[ends->slot];
	gate->pulse_of = GATE_NOBODY;
	gate->policy = policy;
	gate->ignoring_is_of_use = ignore_marks_are_of_use(policy);
	ignore_marks_init(&gate->ignore_marks, ends->group,
			  &ends->table->unasked);
	busy_poll_init(&gate->busy_poll, CROWDED_NS);
	gate->judge.fds_dir = -1;
	r = share_descriptors(gate, &room);
	if (!r)
		r = judge_init(&gate->judge, ends, room);
	if (r)
		return r;
	*ret = STEAL(gate);
	return 0;
}

struct gate *gate_free(struct gate *gate)
{
	if (!gate)
		return NULL;
	judge_done(&gate->judge);
	policy_free(gate->policy);
	free(gate);
	return NULL;
}

static void respond(struct gate *gate, int fd, bool allowed)
{
	struct fanotify_response response = {
		.fd = fd,
		.response = allowed ? FAN_ALLOW : FAN_DENY,
	};

	/* Fails with ENOENT where gatekeeper has answered in our stead. */
	if (write(gate->ends.group, &response, sizeof(response)) < 0 &&
	    errno != ENOENT)
		log_error("the kernel does not take an answer: %m");
}

/* Into the channel; a full one counts its losses itself. */
static void put(struct gate *gate, const struct record *record)
{
	size_t length = record_encode(record, gate->record);
	uint64_t one = 1;

	if (channel_put(gate->ends.channel, gate->record, length,
			record_is_important(record)) == 0 &&
	    channel_wants_wake(gate->ends.channel) &&
	    write(gate->ends.wake, &one, sizeof(one)) < 0)
		log_warning("cannot wake the store: %m");
}

static void note(struct gate *gate, const struct opener *opener,
		 const struct judgement *judgement)
{
	const struct policy_question *question = &judgement->question;
	const struct policy_answer *answer = &judgement->answer;
	const struct policy *policy = gate->policy;
	const struct policy_account *account =
		policy_account(policy, question->account);
	struct record record = {
		.time_ns = gate->now_ns,
		.generation = policy_generation(policy),
		.kind = question->kind,
		.access = question->access,
		.verdict = answer->verdict,
		.reason = answer->reason,
		.uid = opener->ids.uids[0],
		.pid = opener->ids.tgid,
		.parent_pid = opener->ids.parent_tgid,
	};

	record_set(&record, RECORD_TEXT_ACCOUNT,
		   policy_text(policy, account->name));
	record_set(&record, RECORD_TEXT_PROGRAM, opener->program);
	record.texts[RECORD_TEXT_TARGET] =
		(struct record_bytes){question->path, question->path_length};
	if (answer->rule != POLICY_NONE) {
		const struct policy_rule *rule =
			policy_rule(policy, answer->rule);

		record_set(&record, RECORD_TEXT_RULE,
			   policy_text(policy, rule->name));
		record_set(&record, RECORD_TEXT_NOTE,
			   policy_text(policy, rule->reason));
	}
	put(gate, &record);
}

/*
 * What is opened again and again, such as libraries and the programs
 * themselves, the kernel may open by itself.
 */
static void offer_to_kernel(struct gate *gate,
			    const struct judgement *judgement, int fd)
{
	struct target *target = &gate->judge.target;

	if (judgement->question.kind != POLICY_KIND_OPEN ||
	    judgement->answer.verdict != POLICY_ALLOW ||
	    (judgement->answer.log && !judgement->of_exec) ||
	    ignore_marks_knows(&gate->ignore_marks, target->device,
			       target->inode))
		return;
	if (judgement->of_exec) /* it was not needed until now */
		target_name(gate->judge.fds_dir, fd, target);
	ignore_marks_consider(&gate->ignore_marks, gate->policy, target, fd,
			      gate->now_ns / CLOCK_NS_PER_S);
}

/*
 * Considering a file costs time, and whoever is on no leash should not pay for
 * it at every open.  A sample will do: what is opened often comes by again.
 */
static void offer_of_others(struct gate *gate,
			    const struct fanotify_event_metadata *event)
{
	struct target *target = &gate->judge.target;
	struct statx st;

	if (!gate->ignoring_is_of_use || !(event->mask & FAN_OPEN_PERM) ||
	    event->mask & FAN_ONDIR || gate->others++ % OTHERS_SAMPLE)
		return;
	/* Cheap first: most files of others are their own, or known. */
	if (statx(event->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_BASIC_STATS, &st) < 0 ||
	    st.stx_uid != 0 || st.stx_mode & (S_IWGRP | S_IWOTH) ||
	    ignore_marks_knows(&gate->ignore_marks,
			       makedev(st.stx_dev_major, st.stx_dev_minor),
			       st.stx_ino))
		return;
	target_identify(event->fd, gate->judge.mounts, target);
	target_name(gate->judge.fds_dir, event->fd, target);
	ignore_marks_consider(&gate->ignore_marks, gate->policy, target,
			      event->fd, gate->now_ns / CLOCK_NS_PER_S);
}

static int answer_leashed(struct gate *gate, struct opener *opener,
			  const struct fanotify_event_metadata *event,
			  const struct judge_time *when)
{
	struct judgement judgement;
	bool denied;
	int r = judge_event(&gate->judge, gate->policy, opener, event, when,
			    &judgement);

	gate->heavy = target_is_heavy(&gate->judge.target);
	if (r)
		return r;
	denied = judgement.answer.verdict == POLICY_DENY;
	/* A refusal may end the process: see what it runs while it waits. */
	if (denied)
		(void)opener_program(gate->judge.openers, opener);
	respond(gate, event->fd, !denied);

	if (judgement.answer.log) {
		(void)opener_program(gate->judge.openers, opener);
		note(gate, opener, &judgement);
	}
	judge_remember(&gate->judge, opener, &judgement,
		       ignore_marks_marked(&gate->ignore_marks,
					   gate->judge.target.device,
					   gate->judge.target.inode));
	offer_to_kernel(gate, &judgement, event->fd);
	return 0;
}

/*
 * The opener has died and hears no answer; it may have deleted the file, so
 * ours may be the descriptor that frees it.
 */
static void drop(struct gate *gate, int fd)
{
	respond(gate, fd, false);
	target_identify(fd, gate->judge.mounts, &gate->judge.target);
	gate->heavy = target_is_heavy(&gate->judge.target);
}

/* 0 once it is answered; else what judge_event() returned, to try again. */
static int answer_event(struct gate *gate,
			const struct fanotify_event_metadata *event,
			const struct judge_time *when)
{
	struct opener *opener;
	int r = opener_identify(gate->judge.openers, event->pid, &opener);

	gate->heavy = false;
	if (r == OPENER_HIDDEN)
		respond(gate, event->fd, true);
	else if (r) /* gone, or unknown who: no */
		drop(gate, event->fd);
	else if (judge_account(gate->policy, &opener->ids) != POLICY_NONE)
		return answer_leashed(gate, opener, event, when);
	else {
		respond(gate, event->fd, true);
		offer_of_others(gate, event);
	}
	return 0;
}

/*
 * An account may delete a file of its own and end who asks about it: then ours
 * is the last descriptor, and closing it frees the file while others wait.
 */
static void close_answered(struct gate *gate, int fd)
{
	if (!gate->heavy ||
	    !gate_table_leave(gate->ends.table, fd, gate->left_max))
		close(fd);
}

static void let_go(struct gate *gate, int index)
{
	atomic_store(&gate->shared->held[index].fd, 0);
	close_answered(gate, gate->held[index].event.fd);
	gate->held[index].event.fd = 0;
	gate->held_count--;
}

/*
 * Try again to answer what is held; what has been held for too long is answered
 * for good.  A thread that has not gone to sleep has had no processor to do so:
 * on a crowded machine, one of low priority may go without for long.
 */
static void try_held(struct gate *gate, int64_t now_ns, int64_t busy_ns,
		     int64_t awake_ns)
{
	gate->held_looked_ns = now_ns;
	gate->now_ns = clock_realtime_ns();
	atomic_fetch_add_explicit(&gate->shared->heartbeat, 1,
				  memory_order_relaxed);
	for (int i = 0; i < GATE_HELD_MAX; i++) {
		struct held *held = &gate->held[i];
		struct judge_time when = {
			.now_s = gate->now_ns / CLOCK_NS_PER_S,
			.waited_ns = now_ns - held->since_ns,
			.last_chance = now_ns - held->since_ns > awake_ns,
		};
		int r;

		if (!held->event.fd)
			continue;
		r = answer_event(gate, &held->event, &when);
		if (r == JUDGE_BUSY && when.waited_ns > busy_ns) {
			when.last_chance = true;
			r = answer_event(gate, &held->event, &when);
		}
		if (!r)
			let_go(gate, i);
	}
}

static void look_at_held(struct gate *gate, int64_t now_ns)
{
	if (gate->held_count && now_ns - gate->held_looked_ns >= HELD_LOOK_NS)
		try_held(gate, now_ns, HELD_DEADLINE_NS, HELD_AWAKE_NS);
}

/* 0 once it is answered; else it is to be put aside. */
static int answer_new(struct gate *gate,
		      const struct fanotify_event_metadata *event)
{
	struct judge_time when = {.now_s = gate->now_ns / CLOCK_NS_PER_S};
	int r = answer_event(gate, event, &when);

	/*
	 * JUDGE_BUSY may be answered at once if need be, so it must not take
	 * the last quarter of the room from events that may not.
	 */
	if (r == JUDGE_BUSY && gate->held_count >= gate->held_max * 3 / 4) {
		when.last_chance = true;
		r = answer_event(gate, event, &when);
	}
	return r;
}

/* Put an event aside; without room for it, give the threads time to sleep. */
static void hold(struct gate *gate, const struct fanotify_event_metadata *event)
{
	const struct timespec pause = {.tv_nsec = HELD_LOOK_NS};
	int index = 0;

	while (gate->held_count == gate->held_max) {
		nanosleep(&pause, NULL);
		try_held(gate, clock_monotonic_ns(), HELD_FULL_NS,
			 HELD_FULL_NS);
	}
	while (gate->held[index].event.fd)
		index++;
	gate->held[index] = (struct held){
		.event = *event,
		.since_ns = clock_monotonic_ns(),
	};
	gate->held_count++;
	gate->shared->held[index].tid = event->pid;
	atomic_store(&gate->shared->held[index].mask, event->mask);
	atomic_store(&gate->shared->held[index].fd, event->fd);
}

/*
 * The kernel has denied an event for which it found no descriptor, or whose
 * file it could not open: for want of a key, with a bad disk below it.
 */
static void complain(struct gate *gate)
{
	int64_t now_s = clock_monotonic_ns() / CLOCK_NS_PER_S;

	if (now_s != gate->complained_s)
		log_error("the kernel cannot hand over an event and has "
			  "denied it: %m");
	gate->complained_s = now_s;
}

static void mark_batch(struct gate_shared *shared)
{
	gate_table_clear(shared);
	atomic_fetch_add_explicit(&shared->heartbeat, 1, memory_order_relaxed);
}

/*
 * The batch is done with this event: once its descriptor is closed, the number
 * may become another file's.
 */
static void leave(struct gate *gate, struct fanotify_event_metadata *event,
		  bool closes)
{
	int fd = event->fd;

	*(volatile int *)&event->fd = -1;
	if (closes)
		close_answered(gate, fd);
}

/* Read and answer one batch.  The number of events, 0 if none waited. */
static int answer_batch(struct gate *gate)
{
	struct gate_shared *shared = gate->shared;
	struct fanotify_event_metadata *event;
	ssize_t left;
	int count = 0;

	mark_batch(shared);
	left = read(gate->ends.group, shared->events, gate->batch_bytes);
	boost_saw(&gate->boost,
		  left > (ssize_t)(gate->batch_bytes - GATE_EVENT_SIZE));
	if (left < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		/*
		 * These say that our group or buffer is wrong; any other, that
		 * the kernel could not open the event's file.
		 */
		if (errno == EBADF || errno == EINVAL || errno == EFAULT)
			return -errno;
		complain(gate);
		return 1;
	}

	gate->now_ns = clock_realtime_ns();
	event = (void *)shared->events;
	while (FAN_EVENT_OK(event, left)) {
		if (event->vers != FANOTIFY_METADATA_VERSION)
			return -EPROTO;
		if (event->fd >= 0) {
			bool held = answer_new(gate, event);

			/* After an exec, its open is what counts. */
			if (!(event->mask & FAN_OPEN_EXEC_PERM))
				opener_tidy(gate->judge.openers);
			if (held) {
				hold(gate, event);
				leave(gate, event, false);
			}
			atomic_fetch_add(&shared->answered, 1);
			if (!held)
				leave(gate, event, true);
		}
		count++;
		event = FAN_EVENT_NEXT(event, left);
	}
	mark_batch(shared);
	return count;
}

static int load_policy(struct gate *gate, int fd, uint64_t *ret_generation)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	int r = policy_map(fd, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	*ret_generation = policy_generation(policy);
	policy_free(gate->policy);
	gate->policy = STEAL(policy);
	gate->ignoring_is_of_use = ignore_marks_are_of_use(gate->policy);
	if (gate->active)
		ignore_marks_flush(&gate->ignore_marks);
	return 0;
}

static int take_policy(struct gate *gate, int fd)
{
	struct message reply = {.type = MESSAGE_LOADED};
	int r = load_policy(gate, fd, &reply.value);

	if (r) {
		reply.type = MESSAGE_FAILED;
		reply.value = (uint64_t)-r;
	}
	return message_answer(gate->ends.control, &reply);
}

/*
 * The main process is gone.  A spare stays as well: it takes the turn should
 * the gate that has it die.
 */
static int orphaned(struct gate *gate)
{
	gate->orphaned = true;
	return 0;
}

static int take_message(struct gate *gate)
{
	CLEANUP(fd_close) int fd = -1;
	struct message message;
	int r = message_receive(gate->ends.control, &message, &fd);

	if (r == MESSAGE_NONE)
		return 0;
	if (r == MESSAGE_CLOSED)
		return orphaned(gate);
	if (r)
		return r < 0 ? r : -EPROTO;
	switch (message.type) {
	case MESSAGE_POLICY:
		return take_policy(gate, fd);
	case MESSAGE_GO: /* only wakes us: the turn is ours already */
		return 0;
	default:
		return -EPROTO;
	}
}

/* ---- what a predecessor has left */

/*
 * An event that other gates have died of: answer by the uid alone, as the
 * fallback does.
 */
static void answer_by_uid(struct gate *gate,
			  const struct fanotify_event_metadata *event)
{
	struct opener *opener;
	bool allowed = false;
	uint32_t account;
	int r = opener_identify(gate->judge.openers, event->pid, &opener);

	if (r == OPENER_HIDDEN) {
		allowed = true;
	} else if (!r) {
		account = judge_account(gate->policy, &opener->ids);
		allowed = account == POLICY_NONE ||
			  policy_is_observed(gate->policy, account);
	}
	respond(gate, event->fd, allowed);
}

/* True: the event was put aside, and its descriptor is still needed. */
static bool settle_event(struct gate *gate, struct gate_shared *slot,
			 const struct fanotify_event_metadata *event)
{
	bool held = false;

	if (atomic_load(&slot->successors) > SUCCESSORS_MAX) {
		atomic_store(&slot->successors, 1);
		answer_by_uid(gate, event);
	} else {
		held = answer_new(gate, event);
	}
	if (held)
		hold(gate, event);
	return held;
}

/*
 * True if the dead gate had put the event aside and died before it took it out
 * of its batch: it would be answered twice.
 */
static bool is_put_aside(const struct gate_shared *slot, int fd)
{
	for (int i = 0; i < GATE_HELD_MAX; i++)
		if (atomic_load(&slot->held[i].fd) == fd)
			return true;
	return false;
}

static void settle_batch(struct gate *gate, struct gate_shared *slot)
{
	struct fanotify_event_metadata *event = (void *)slot->events;
	const char *end = slot->events + sizeof(slot->events);
	uint32_t answered = atomic_load(&slot->answered), index = 0;

	for (; (const char *)(event + 1) <= end &&
	       event->event_len == sizeof(*event);
	     event++, index++) {
		bool held = false;

		if (event->fd < 0 || is_put_aside(slot, event->fd))
			continue; /* closed, or settle_held() answers it */
		if (index >= answered)
			held = settle_event(gate, slot, event);
		if (held)
			leave(gate, event, false);
		if (index >= answered)
			atomic_store(&slot->answered, index + 1);
		if (!held)
			leave(gate, event, true);
	}
	mark_batch(slot);
}

static void settle_held(struct gate *gate, struct gate_shared *slot)
{
	for (int i = 0; i < GATE_HELD_MAX; i++) {
		struct gate_held *held = &slot->held[i];
		struct fanotify_event_metadata event = {
			.event_len = sizeof(event),
			.vers = FANOTIFY_METADATA_VERSION,
			.mask = atomic_load(&held->mask),
			.fd = atomic_load(&held->fd),
			.pid = held->tid,
		};
		bool is_held;

		if (!event.fd)
			continue;
		is_held = settle_event(gate, slot, &event);
		atomic_store(&held->fd, 0);
		if (!is_held)
			close_answered(gate, event.fd);
	}
}

/* Judge what the dead had read, as if we had read it ourselves. */
static void settle(struct gate *gate)
{
	for (int i = 0; i < GATE_SLOTS; i++) {
		struct gate_shared *slot = &gate->ends.table->slots[i];

		if (i == gate->ends.slot || !gate_table_slot_owes(slot))
			continue;
		atomic_fetch_add(&slot->successors, 1);
		settle_batch(gate, slot);
		settle_held(gate, slot);
		atomic_store(&slot->successors, 0);
	}
}

static void begin(struct gate *gate)
{
	const struct message answers = {
		.type = MESSAGE_ANSWERS,
		.about = (uint32_t)getpid(),
		.value = policy_generation(gate->policy),
	};

	gate->active = true;
	ignore_marks_flush(&gate->ignore_marks); /* its predecessor's marks */
	gate->judge.since_ns = clock_monotonic_ns();
	gate->now_ns = clock_realtime_ns();
	mount_table_expire(gate->judge.mounts); /* it followed them so far */
	if (message_send(gate->ends.gatekeeper, &answers, -1))
		log_notice("answering; gatekeeper does not hear of it");
	settle(gate);
}

/* Whose turn is it?  Ours, if the one that has it is gone. */
static void look_at_turn(struct gate *gate)
{
	struct gate_table *table = gate->ends.table;
	int32_t turn = atomic_load(&table->turn);
	const struct pulse_of of = {
		.slot = &table->slots[turn < 0 ? 0 : turn],
		.group = gate->ends.group,
		.proc = gate->ends.proc,
		.patience = STUCK_LOOKS,
	};

	atomic_fetch_add(&gate->shared->looks, 1);
	if (turn == GATE_NOBODY)
		return; /* the main process says when to begin */
	if (turn != gate->ends.slot) {
		if (turn != gate->pulse_of)
			gate->pulse = (struct pulse){.heartbeat = UINT64_MAX};
		gate->pulse_of = turn;
		if (!pulse_is_gone(&gate->pulse, &of, clock_monotonic_ns()) ||
		    !atomic_compare_exchange_strong(&table->turn, &turn,
						    gate->ends.slot))
			return;
	}
	begin(gate);
}

/*
 * Busy polling is for machines on mains power, which gatekeeper tells; while an
 * event is held, poll(2) wakes us when its time has come.
 */
static bool may_look(const struct gate *gate)
{
	return !gate->held_count &&
	       atomic_load_explicit(&gate->ends.table->polling,
				    memory_order_relaxed);
}

/* Answer events until busy_poll says that it is time to sleep. */
static int answer_all(struct gate *gate)
{
	for (unsigned int batches = 1;; batches++) {
		int64_t now_ns;
		int n = answer_batch(gate);

		if (n < 0)
			return n;
		now_ns = clock_monotonic_ns();
		look_at_held(gate, now_ns);
		if (n > 0) {
			busy_poll_found(&gate->busy_poll, now_ns);
			if (batches % BATCHES_PER_CONTROL == 0)
				return 0;
			continue;
		}
		if (!may_look(gate) ||
		    !busy_poll_look_again(&gate->busy_poll, now_ns))
			return 0;
	}
}

/* The death of the gate that has the turn wakes a spare at once. */
static int death_of_turn(const struct gate *gate)
{
	const struct gate_table *table = gate->ends.table;
	int32_t turn = atomic_load(&table->turn);

	if (gate->active || turn < 0 || turn == gate->ends.slot)
		return -1;
	return atomic_load(&table->slots[turn].pidfd);
}

static int wait_ms(const struct gate *gate)
{
	if (!gate->active)
		return gate->closes ? 0 : WATCH_MS;
	return gate->held_count ? 1 : ignore_marks_wait_ms(&gate->ignore_marks);
}

static int take_turn(struct gate *gate)
{
	struct pollfd waiting[] = {
		{.fd = gate->active ? gate->ends.group : -1, .events = POLLIN},
		{.fd = gate->orphaned ? -1 : gate->ends.control,
		 .events = POLLIN},
		{.fd = gate->ends.retire, .events = POLLIN},
		{.fd = death_of_turn(gate), .events = POLLIN},
	};
	int r = 0;

	if (poll(waiting, 4, wait_ms(gate)) < 0)
		return errno == EINTR ? 0 : -errno;
	ignore_marks_age(&gate->ignore_marks,
			 clock_monotonic_ns() / CLOCK_NS_PER_S);
	if (waiting[1].revents)
		r = take_message(gate);
	gate->stopping = waiting[2].revents;
	if (!r && !gate->active && !gate->stopping)
		look_at_turn(gate);
	gate->closes =
		!r && !gate->active && gate_table_close_left(gate->ends.table);
	if (!r && gate->active)
		r = answer_all(gate);
	return r;
}

static int say_loaded(struct gate *gate)
{
	const struct message loaded = {
		.type = MESSAGE_LOADED,
		.value = policy_generation(gate->policy),
	};

	return message_answer(gate->ends.control, &loaded);
}

/* Answer all that is put aside, now, by what is known. */
static void answer_held(struct gate *gate)
{
	const struct judge_time last = {
		.now_s = gate->now_ns / CLOCK_NS_PER_S,
		.last_chance = true,
	};

	for (int i = 0; i < GATE_HELD_MAX; i++) {
		if (!gate->held[i].event.fd)
			continue;
		(void)answer_event(gate, &gate->held[i].event, &last);
		let_go(gate, i);
	}
}

/* Only as many as wait now: what comes meanwhile is for the successor. */
static int answer_queued(struct gate *gate)
{
	int bytes = 0;

	if (ioctl(gate->ends.group, FIONREAD, &bytes) < 0)
		return -errno;
	for (int n = 0, left = bytes / (int)GATE_EVENT_SIZE; left > 0;
	     left -= n) {
		n = answer_batch(gate);
		if (n <= 0)
			return n;
	}
	return 0;
}

int gate_run(struct gate *gate)
{
	int r = say_loaded(gate);

	while (!r && !gate->stopping)
		r = take_turn(gate);
	if (!r && gate->active)
		r = answer_queued(gate);
	answer_held(gate);
	return r;
}
