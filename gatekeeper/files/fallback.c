#include "gatekeeper/files/fallback.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/event_log.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/gate_table.h"
#include "gatekeeper/wire/helper_fds.h"
#include "gatekeeper/wire/message.h"

struct fallback {
	int proc;
	int group; /* -1 until it is handed over */
	struct gate_table *table;
	struct gate_shared *own; /* its slot */
	struct policy *policy;	 /* who is leashed; NULL before the first */
	struct event_log log;
	bool going;
	bool orphaned;
	bool stopping;
};

static uint32_t account_of_thread(const struct fallback *fallback, pid_t tid,
				  uint32_t *ret_uid)
{
	const struct policy *policy = fallback->policy;
	struct process_ids ids;
	uint32_t account = POLICY_NONE;

	*ret_uid = UINT32_MAX;
	if (!policy || tid <= 0 || process_ids_of(fallback->proc, tid, &ids))
		return POLICY_NONE; /* gone: nobody hears the answer */
	*ret_uid = ids.uids[0];
	for (int i = 0; account == POLICY_NONE && i < 4; i++)
		account = policy_account_of(policy, ids.uids[i]);
	return account;
}

static enum policy_verdict verdict_for(const struct policy *policy,
				       uint32_t account)
{
	if (account == POLICY_NONE)
		return POLICY_ALLOW;
	return policy_is_observed(policy, account) ? POLICY_OBSERVE
						   : POLICY_DENY;
}

static void answer(struct fallback *fallback, int fd, pid_t tid,
		   const char *path)
{
	struct event_log_verdict seen = {
		.reason = POLICY_REASON_GATE_LOST,
		.tid = tid,
		.path = path,
	};
	struct fanotify_response response = {.fd = fd};

	seen.account = account_of_thread(fallback, tid, &seen.uid);
	seen.verdict = verdict_for(fallback->policy, seen.account);
	response.response = seen.verdict == POLICY_DENY ? FAN_DENY : FAN_ALLOW;
	if (write(fallback->group, &response, sizeof(response)) < 0)
		return; /* ENOENT: was answered before the gate died */
	if (seen.account != POLICY_NONE)
		event_log_verdict(&fallback->log, fallback->policy, &seen);
}

static int settle_slot(struct fallback *fallback,
		       const struct gate_shared *slot)
{
	/* A copy: its writer is dead, but the page is not ours to trust. */
	char events[sizeof(slot->events)];
	const struct fanotify_event_metadata *event = (void *)events;
	uint32_t answered = atomic_load(&slot->answered);
	uint32_t index = 0;
	int count = 0;

	memcpy(events, slot->events, sizeof(events));
	for (; (const char *)(event + 1) <= events + sizeof(events) &&
	       event->event_len == sizeof(*event);
	     event++, index++) {
		/*
		 * The dead gate may have answered one more than it had counted:
		 * then answering it again fails with ENOENT, which does no
		 * harm.
		 */
		if (index < answered || event->fd < 0)
			continue;
		answer(fallback, event->fd, event->pid, NULL);
		count++;
	}
	for (int i = 0; i < GATE_HELD_MAX; i++) {
		int fd = atomic_load(&slot->held[i].fd);

		if (!fd)
			continue;
		answer(fallback, fd, slot->held[i].tid, NULL);
		count++;
	}
	return count;
}

static int settle(struct fallback *fallback, int fd)
{
	struct gate_table *table = gate_table_map(fd);
	int count = 0;

	if (!table)
		return -errno;
	for (int i = 0; i < GATE_SLOTS; i++)
		count += settle_slot(fallback, &table->slots[i]);
	gate_table_unmap(table);
	if (count)
		event_log_warn(&fallback->log,
			       "%d open(s) that a file gate left behind were "
			       "answered for it",
			       count);
	return 0;
}

static void answer_event(struct fallback *fallback,
			 const struct fanotify_event_metadata *event)
{
	char link[64], path[4097];
	ssize_t n;

	snprintf(link, sizeof(link), "self/fd/%d", event->fd);
	n = readlinkat(fallback->proc, link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	answer(fallback, event->fd, event->pid, n > 0 ? path : NULL);
	atomic_store(&fallback->own->answered, 1);
	close(event->fd);
}

/*
 * Read one event at a time, so that whoever comes after us, should we die, has
 * one at most to answer in our place.
 */
static int answer_next(struct fallback *fallback)
{
	struct fanotify_event_metadata *event = (void *)fallback->own->events;
	ssize_t n;

	atomic_fetch_add(&fallback->own->heartbeat, 1);
	atomic_store(&fallback->own->answered, 0);
	n = read(fallback->group, event, sizeof(*event));
	if (n < 0 && (errno == EBADF || errno == EINVAL || errno == EFAULT))
		return -errno;
	if (n < 0) /* else the kernel has denied one whose file fails it */
		return errno == EAGAIN || errno == EINTR ? 0 : 1;
	if (n > 0 && event->fd >= 0)
		answer_event(fallback, event);
	event->event_len = 0;
	return 1;
}

/*
 * Answer what waits, but no more than so many, so that the control end gets its
 * turn.
 */
static int answer_some(struct fallback *fallback)
{
	int r = 1;

	for (int i = 0; r > 0 && i < 64; i++)
		r = answer_next(fallback);
	return r;
}

static int use_policy(struct fallback *fallback, int fd)
{
	struct policy *policy = NULL;
	int r = policy_map(fd, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	policy_free(fallback->policy);
	fallback->policy = policy;
	fallback->log.generation = policy_generation(policy);
	return 0;
}

/* gatekeeper is gone: if we answer we go on, until its successor ends us. */
static int closed(struct fallback *fallback)
{
	fallback->orphaned = true;
	fallback->stopping = !fallback->going;
	return 0;
}

static int handle_message(struct fallback *fallback)
{
	CLEANUP(fd_close) int fd = -1;
	struct message message;
	int r = message_receive(HELPER_FD_CONTROL, &message, &fd);

	if (r == MESSAGE_NONE)
		return 0;
	if (r == MESSAGE_CLOSED)
		return closed(fallback);
	if (r)
		return r < 0 ? r : -EPROTO;
	switch (message.type) {
	case MESSAGE_POLICY:
		return use_policy(fallback, fd);
	case MESSAGE_GROUP:
		fallback->group = STEAL_FD(fd);
		return 0;
	case MESSAGE_SETTLE:
		return settle(fallback, fd);
	case MESSAGE_GO:
		fallback->going = true;
		return 0;
	case MESSAGE_STOP:
		fallback->stopping = true;
		return 0;
	default:
		return -EPROTO;
	}
}

static int take_turn(struct fallback *fallback)
{
	struct pollfd waiting[] = {
		{.fd = fallback->going ? fallback->group : -1,
		 .events = POLLIN},
		{.fd = fallback->orphaned ? -1 : HELPER_FD_CONTROL,
		 .events = POLLIN},
	};
	int r = 0;

	if (poll(waiting, 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (waiting[1].revents)
		r = handle_message(fallback);
	if (!r && fallback->going)
		r = answer_some(fallback);
	return r < 0 ? r : 0;
}

static int confine(void)
{
	static const int capabilities[] = {CAP_SYS_PTRACE};
	static const int syscalls[] __attribute__((unused)) = {
		SANDBOX_OPENAT_READ, SCMP_SYS(readlinkat), SCMP_SYS(pread64),
		SCMP_SYS(poll),	     SCMP_SYS(ppoll),	   SCMP_SYS(recvmsg),
		SCMP_SYS(sendmsg),   SCMP_SYS(fstat),	   SCMP_SYS(newfstatat),
		SCMP_SYS(fcntl),
	};
	int r = sandbox_keep(capabilities, 1);

	if (r)
		return r;
#ifdef LEASH_NO_SECCOMP /* sanitizers make calls of their own */
	return 0;
#else
	return sandbox_enter(syscalls, sizeof(syscalls) / sizeof(syscalls[0]));
#endif
}

static int set_up(struct fallback *fallback)
{
	const struct message ready = {.type = MESSAGE_READY};
	int r;

	fallback->table = gate_table_map(HELPER_FD_TABLE);
	if (!fallback->table)
		return -errno;
	fallback->own = &fallback->table->slots[0];
	r = channel_map(HELPER_FD_CHANNEL, &fallback->log.channel);
	if (!r)
		r = confine();
	return r ? r : message_send(HELPER_FD_CONTROL, &ready, -1);
}

int fallback_run(void)
{
	struct fallback fallback = {
		.proc = HELPER_FD_PROC,
		.group = -1,
		.log = {.wake = HELPER_FD_WAKE},
	};
	int r;

	prctl(PR_SET_NAME, "leash-fallback");
	log_start("leash-fallback");
	r = set_up(&fallback);
	while (!r && !fallback.stopping)
		r = take_turn(&fallback);
	while (!r && fallback.going) {
		r = answer_next(&fallback);
		if (r <= 0)
			break;
		r = 0;
	}
	if (r) {
		errno = -r;
		log_error("cannot go on: %m");
	}
	return r ? 1 : 0;
}
