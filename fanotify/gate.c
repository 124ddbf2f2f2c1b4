/*
 * Where the time goes: waking (base/patience.h).  It sleeps in poll(), which
 * wakes faster than epoll for so few descriptors.
 *
 * Reply, then record: what only the log wants is gathered after the answer.
 */

#include "fanotify/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fanotify/herd.h"
#include "fanotify/judge.h"
#include "fanotify/kernel_cache.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/base/patience.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/record.h"

/*
 * An event is put aside while its thread has not yet gone to sleep.  Nobody
 * waits for it meanwhile, not even that thread.
 */
#define HELD_LOOK_NS	 (200 * (CLOCK_NS_PER_MS / 1000))
#define HELD_DEADLINE_NS (5 * CLOCK_NS_PER_S)
#define HELD_FULL_NS	 (300 * CLOCK_NS_PER_MS) /* when there is no room */

/* Under load, look at the control socket after so many batches. */
#define BATCHES_PER_CONTROL 16

/* Whoever waits here starts programs; these want the processor for long. */
#define CROWDED_NS (20 * (CLOCK_NS_PER_MS / 1000))

/*
 * Descriptors: the gate's own few, and of what the limit leaves a quarter for
 * threads it knows, a quarter for a batch, half for events put aside.  So it
 * never runs out, and the kernel never has to refuse for want of one.
 */
#define OWN_DESCRIPTORS 32
#define DESCRIPTORS_MIN 64
#define OPENERS_MAX	256

/* Of so many opens of others, one is looked at for the kernel's cache. */
#define OTHERS_SAMPLE 8

/* An event put aside, as the log of what is owed has it in gate_shared. */
struct held {
	struct fanotify_event_metadata event; /* fd 0: free */
	int64_t since_ns;
};

struct gate {
	struct gate_ends ends;
	struct held held[GATE_HELD_MAX];
	int held_count;
	int held_max;
	size_t batch_bytes;
	int64_t held_looked_ns;
	struct judge judge;
	struct kernel_cache cache;
	bool cache_is_of_use;  /* under this policy */
	unsigned int others;   /* opens of theirs, counted for the sample */
	struct policy *policy; /* NULL before the first */
	struct patience patience;
	struct herd herd;
	int64_t now_ns; /* realtime, once a batch */
	int64_t complained_s;
	bool active;
	bool orphaned; /* nobody at the other end of control any more */
	bool stopping;
	char record[RECORD_SIZE_MAX * 2];
};

static int share_descriptors(struct gate *gate, size_t *ret_openers)
{
	struct rlimit limit;
	size_t left;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur < DESCRIPTORS_MIN)
		return -EMFILE;
	left = (limit.rlim_cur > 65536 ? 65536 : limit.rlim_cur) -
	       OWN_DESCRIPTORS;
	*ret_openers = left / 4 < OPENERS_MAX ? left / 4 : OPENERS_MAX;
	gate->batch_bytes =
		(left / 4 < GATE_BATCH_MAX ? left / 4 : GATE_BATCH_MAX) *
		GATE_EVENT_SIZE;
	gate->held_max =
		(int)(left / 2 < GATE_HELD_MAX ? left / 2 : GATE_HELD_MAX);
	return 0;
}

int gate_new(const struct gate_ends *ends, struct gate **ret)
{
	CLEANUP(gate_free) struct gate *gate = calloc(1, sizeof(*gate));
	size_t openers = 0;
	int r;

	if (!gate)
		return -ENOMEM;
	gate->ends = *ends;
	kernel_cache_init(&gate->cache, ends->group, &ends->shared->unasked);
	patience_init(&gate->patience, CROWDED_NS);
	gate->judge.fds_dir = gate->judge.proc = -1;
	r = share_descriptors(gate, &openers);
	if (!r)
		r = judge_init(&gate->judge, openers);
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
		.generation = policy_header(policy)->generation,
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
	    kernel_cache_knows(&gate->cache, target->device, target->inode))
		return;
	if (judgement->of_exec) /* it was not needed until now */
		target_name(gate->judge.fds_dir, fd, target);
	kernel_cache_consider(&gate->cache, gate->policy, target, fd,
			      gate->now_ns / CLOCK_NS_PER_S);
}

/*
 * Others need not have waited for an account, nor for this.  A sample will do:
 * what is opened often comes by again.
 */
static void offer_of_others(struct gate *gate,
			    const struct fanotify_event_metadata *event)
{
	struct target *target = &gate->judge.target;
	struct stat st;

	if (!gate->cache_is_of_use || !(event->mask & FAN_OPEN_PERM) ||
	    event->mask & FAN_ONDIR || gate->others++ % OTHERS_SAMPLE)
		return;
	/* Cheap first: most files of others are their own, or known. */
	if (fstat(event->fd, &st) < 0 || st.st_uid != 0 ||
	    st.st_mode & (S_IWGRP | S_IWOTH) ||
	    kernel_cache_knows(&gate->cache, st.st_dev, st.st_ino))
		return;
	target_identify(event->fd, gate->judge.mounts, target);
	target_name(gate->judge.fds_dir, event->fd, target);
	kernel_cache_consider(&gate->cache, gate->policy, target, event->fd,
			      gate->now_ns / CLOCK_NS_PER_S);
}

static int answer_leashed(struct gate *gate, struct opener *opener,
			  const struct fanotify_event_metadata *event,
			  bool last_chance)
{
	struct judgement judgement;
	bool denied;

	if (judge_event(&gate->judge, gate->policy, opener, event,
			gate->now_ns / CLOCK_NS_PER_S, last_chance, &judgement))
		return JUDGE_NOT_YET;
	denied = judgement.answer.verdict == POLICY_DENY;
	/* A refusal may end the process: see what it runs while it waits. */
	if (denied)
		(void)opener_program(gate->judge.openers, opener);
	respond(gate, event->fd, !denied);

	if (judgement.answer.log)
		(void)opener_program(gate->judge.openers, opener);
	judge_remember(&gate->judge, opener, &judgement, event->fd);
	/* Its open may not be asked about, and so not come next. */
	if (kernel_cache_marked(&gate->cache, gate->judge.target.device,
				gate->judge.target.inode))
		opener->expects_open = false;
	if (judgement.answer.log)
		note(gate, opener, &judgement);
	offer_to_kernel(gate, &judgement, event->fd);
	return 0;
}

/* 0 once it is answered, or JUDGE_NOT_YET: ask again later. */
static int answer_event(struct gate *gate,
			const struct fanotify_event_metadata *event,
			bool last_chance)
{
	struct opener *opener;
	int r = opener_identify(gate->judge.openers, event->pid, &opener);

	if (r == OPENER_HIDDEN)
		respond(gate, event->fd, true);
	else if (r) /* gone: nobody hears it; or not to be known: no */
		respond(gate, event->fd, false);
	else if (judge_account(gate->policy, &opener->ids) != POLICY_NONE)
		return answer_leashed(gate, opener, event, last_chance);
	else {
		respond(gate, event->fd, true);
		offer_of_others(gate, event);
	}
	return 0;
}

static void let_go(struct gate *gate, int index)
{
	atomic_store(&gate->ends.shared->held[index].fd, 0);
	close(gate->held[index].event.fd);
	gate->held[index].event.fd = 0;
	gate->held_count--;
}

/* Try again what is held; what has been so for too long, for good. */
static void try_held(struct gate *gate, int64_t now_ns, int64_t deadline_ns)
{
	gate->held_looked_ns = now_ns;
	gate->now_ns = clock_realtime_ns();
	atomic_fetch_add_explicit(&gate->ends.shared->heartbeat, 1,
				  memory_order_relaxed);
	for (int i = 0; i < GATE_HELD_MAX; i++) {
		struct held *held = &gate->held[i];

		if (held->event.fd &&
		    !answer_event(gate, &held->event,
				  now_ns - held->since_ns > deadline_ns))
			let_go(gate, i);
	}
}

static void look_at_held(struct gate *gate, int64_t now_ns)
{
	if (gate->held_count && now_ns - gate->held_looked_ns >= HELD_LOOK_NS)
		try_held(gate, now_ns, HELD_DEADLINE_NS);
}

/* Put an event aside; without room for it, give the threads time to sleep. */
static void hold(struct gate *gate, const struct fanotify_event_metadata *event)
{
	const struct timespec pause = {.tv_nsec = HELD_LOOK_NS};
	int index = 0;

	while (gate->held_count == gate->held_max) {
		nanosleep(&pause, NULL);
		try_held(gate, clock_monotonic_ns(), HELD_FULL_NS);
	}
	while (gate->held[index].event.fd)
		index++;
	gate->held[index] = (struct held){
		.event = *event,
		.since_ns = clock_monotonic_ns(),
	};
	gate->held_count++;
	gate->ends.shared->held[index].tid = event->pid;
	atomic_store(&gate->ends.shared->held[index].fd, event->fd);
}

/* The kernel has denied an event for which it found no descriptor. */
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
	struct fanotify_event_metadata *first = (void *)shared->events;

	first->event_len = 0;
	atomic_store(&shared->answered, 0);
	atomic_fetch_add_explicit(&shared->heartbeat, 1, memory_order_relaxed);
}

/* Read and answer one batch.  The number of events, 0 if none waited. */
static int answer_batch(struct gate *gate)
{
	struct gate_shared *shared = gate->ends.shared;
	const struct fanotify_event_metadata *event;
	ssize_t left;
	int count = 0;

	mark_batch(shared);
	left = read(gate->ends.group, shared->events, gate->batch_bytes);
	herd_saw(&gate->herd,
		 left > (ssize_t)(gate->batch_bytes - GATE_EVENT_SIZE));
	if (left < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
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
			bool held = answer_event(gate, event, false);

			/* After an exec, its open is what counts. */
			if (!(event->mask & FAN_OPEN_EXEC_PERM))
				opener_tidy(gate->judge.openers);
			if (held)
				hold(gate, event);
			atomic_fetch_add(&shared->answered, 1);
			if (!held)
				close(event->fd);
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
	*ret_generation = policy_header(policy)->generation;
	policy_free(gate->policy);
	gate->policy = STEAL(policy);
	gate->cache_is_of_use = kernel_cache_is_of_use(gate->policy);
	if (gate->active)
		kernel_cache_flush(&gate->cache);
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
	return message_send(gate->ends.control, &reply, -1);
}

static int go(struct gate *gate)
{
	if (!gate->policy)
		return -EPROTO;
	gate->active = true;
	kernel_cache_flush(&gate->cache); /* its predecessor's marks */
	gate->judge.since_ns = clock_monotonic_ns();
	return 0;
}

/*
 * gatekeeper is gone.  A spare is of no use without it; the gate at work goes
 * on by the policy it has, until a new gatekeeper has its own in place.
 */
static int orphaned(struct gate *gate)
{
	if (!gate->active) {
		gate->stopping = true;
		return 0;
	}
	log_error("gatekeeper is gone; going on with the policy in force");
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
	case MESSAGE_GO:
		return go(gate);
	case MESSAGE_STOP:
		gate->stopping = true;
		return 0;
	default:
		return -EPROTO;
	}
}

/* gatekeeper says whether power is plentiful; what is held, time will tell. */
static bool may_look(const struct gate *gate)
{
	return !gate->held_count &&
	       atomic_load_explicit(&gate->ends.shared->polling,
				    memory_order_relaxed);
}

/* Answer events until none has come for as long as is worth waiting. */
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
			patience_found(&gate->patience, now_ns);
			if (batches % BATCHES_PER_CONTROL == 0)
				return 0;
			continue;
		}
		if (!may_look(gate) ||
		    !patience_look_again(&gate->patience, now_ns))
			return 0;
	}
}

static int take_turn(struct gate *gate)
{
	struct pollfd waiting[] = {
		{.fd = gate->active ? gate->ends.group : -1, .events = POLLIN},
		{.fd = gate->orphaned ? -1 : gate->ends.control,
		 .events = POLLIN},
	};
	int r = 0;

	if (poll(waiting, 2,
		 gate->held_count ? 1 : kernel_cache_wait_ms(&gate->cache)) < 0)
		return errno == EINTR ? 0 : -errno;
	kernel_cache_age(&gate->cache, clock_monotonic_ns() / CLOCK_NS_PER_S);
	if (waiting[1].revents)
		r = take_message(gate);
	if (!r && gate->active)
		r = answer_all(gate);
	return r;
}

int gate_run(struct gate *gate)
{
	int r = 0;

	while (!r && !gate->stopping)
		r = take_turn(gate);
	while (!r && gate->active) {
		r = answer_batch(gate);
		if (r <= 0)
			break;
		r = 0;
	}
	for (int i = 0; i < GATE_HELD_MAX; i++) {
		if (!gate->held[i].event.fd)
			continue;
		(void)answer_event(gate, &gate->held[i].event, true);
		let_go(gate, i);
	}
	return r;
}
