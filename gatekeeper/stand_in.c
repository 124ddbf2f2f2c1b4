#include "gatekeeper/stand_in.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/process.h"

static uint32_t account_of_thread(const struct stand_in *stand_in, pid_t tid,
				  uint32_t *ret_uid)
{
	const struct policy *policy = stand_in->policy;
	struct process_ids ids;
	uint32_t account = POLICY_NONE;

	*ret_uid = UINT32_MAX;
	if (!policy || tid <= 0 || process_ids_of(stand_in->proc, tid, &ids))
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

static void answer(const struct stand_in *stand_in,
		   const struct fanotify_event_metadata *event,
		   const char *path)
{
	struct stand_in_event seen = {.tid = event->pid, .path = path};
	struct fanotify_response response = {.fd = event->fd};

	seen.account = account_of_thread(stand_in, event->pid, &seen.uid);
	seen.verdict = verdict_for(stand_in->policy, seen.account);
	response.response = seen.verdict == POLICY_DENY ? FAN_DENY : FAN_ALLOW;
	if (write(stand_in->group, &response, sizeof(response)) < 0)
		return; /* ENOENT: was answered before the gate died */
	if (seen.account != POLICY_NONE)
		stand_in->report(stand_in->context, &seen);
}

int stand_in_settle(const struct stand_in *stand_in, struct gate_shared *shared)
{
	/* A copy: the gate is dead, but the page is not ours to trust. */
	char events[sizeof(shared->events)];
	const struct fanotify_event_metadata *event = (void *)events;
	uint32_t answered = atomic_load(&shared->answered);
	uint32_t index = 0;
	int count = 0;

	memcpy(events, shared->events, sizeof(events));
	for (; (const char *)(event + 1) <= events + sizeof(events) &&
	       event->event_len == sizeof(*event);
	     event++, index++) {
		/* The one being answered may not have been counted yet. */
		if (index < answered || event->fd < 0)
			continue;
		answer(stand_in, event, NULL);
		count++;
	}
	for (int i = 0; i < GATE_HELD_MAX; i++) {
		struct fanotify_event_metadata held = {
			.fd = atomic_load(&shared->held[i].fd),
			.pid = shared->held[i].tid,
		};

		if (!held.fd)
			continue;
		answer(stand_in, &held, NULL);
		count++;
	}
	return count;
}

static void answer_own(const struct stand_in *stand_in,
		       const struct fanotify_event_metadata *event)
{
	char link[64], path[4097];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", event->fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	answer(stand_in, event, n > 0 ? path : NULL);
	close(event->fd);
}

int stand_in_answer(const struct stand_in *stand_in, int limit)
{
	int count = 0;

	while (count < limit) {
		struct fanotify_event_metadata event;
		ssize_t n = read(stand_in->group, &event, sizeof(event));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			return -errno;
		if (n == 0 || event.fd < 0)
			continue;
		answer_own(stand_in, &event);
		count++;
	}
	return count;
}
