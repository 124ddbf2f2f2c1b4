/*
 * A question does not say whether the file is opened to be read, as logind
 * does for everybody who asks it, or written.  The call that the opener is in
 * does, once it sleeps there; until then it is looked at again.  What is no
 * plain open counts as writing.
 */

#include "gatekeeper/sleep/sleep_askers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"

#define ASKERS_MAX	16
#define EVENTS_PER_TURN 64
#define LOOKS_MAX	5
#define EVENTS		(FAN_OPEN_PERM | FAN_MODIFY | FAN_CLOSE)

struct asker {
	pid_t tid, tgid; /* tid 0: nobody */
	int fd;		 /* of the question; -1: it was answered */
	int64_t asked_ns;
	int looks;
	bool writes; /* known to */
};

struct sleep_askers {
	int group, proc; /* owned */
	struct asker all[ASKERS_MAX];
};

bool sleep_askers_are_needed(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return true;
	return major < 6 || (major == 6 && minor < 9);
}

bool sleep_askers_is_reading(const char *text)
{
	unsigned long long arguments[3], flags;
	long number;

	if (sscanf(text, "%ld %llx %llx %llx", &number, &arguments[0],
		   &arguments[1], &arguments[2]) != 4)
		return false;
	/* No 32-bit call of the same number opens anything. */
	if (number == SYS_openat)
		flags = arguments[2];
#ifdef SYS_open
	else if (number == SYS_open)
		flags = arguments[1];
#endif
	else
		return false;
	return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC);
}

int sleep_askers_new(struct sleep_askers **ret)
{
	CLEANUP(sleep_askers_free)
	struct sleep_askers *askers = calloc(1, sizeof(*askers));

	if (!askers)
		return -ENOMEM;
	askers->group = -1;
	askers->proc = process_open_proc();
	if (askers->proc < 0)
		return askers->proc;
	askers->group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC |
					      FAN_NONBLOCK | FAN_REPORT_TID,
				      O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (askers->group < 0 ||
	    fanotify_mark(askers->group, FAN_MARK_ADD, EVENTS, AT_FDCWD,
			  SLEEP_ASKERS_FILE) < 0)
		return -errno;
	*ret = STEAL(askers);
	return 0;
}

struct sleep_askers *sleep_askers_free(struct sleep_askers *askers)
{
	if (!askers)
		return NULL;
	fd_close(askers->group);
	fd_close(askers->proc);
	free(askers);
	return NULL;
}

int sleep_askers_fd(const struct sleep_askers *askers)
{
	return askers->group;
}

/* False: nobody has heard it. */
static bool respond(const struct sleep_askers *askers, int fd)
{
	const struct fanotify_response response = {
		.fd = fd,
		.response = FAN_ALLOW,
	};
	bool heard = write(askers->group, &response, sizeof(response)) ==
		     (ssize_t)sizeof(response);

	close(fd);
	return heard;
}

/* One who was killed while he waited does not close what he never had. */
void sleep_askers_answer(struct sleep_askers *askers)
{
	for (int i = 0; i < ASKERS_MAX; i++) {
		struct asker *asker = &askers->all[i];

		if (!asker->tid || !asker->writes || asker->fd < 0)
			continue;
		if (!respond(askers, asker->fd))
			asker->tid = 0;
		asker->fd = -1;
	}
}

static size_t count(const struct sleep_askers *askers, bool answered)
{
	size_t count = 0;

	for (int i = 0; i < ASKERS_MAX; i++) {
		const struct asker *asker = &askers->all[i];

		count += asker->tid && asker->writes &&
			 (asker->fd < 0) == answered;
	}
	return count;
}

size_t sleep_askers_waiting(const struct sleep_askers *askers)
{
	return count(askers, false);
}

size_t sleep_askers_inside(const struct sleep_askers *askers)
{
	return count(askers, true);
}

void sleep_askers_forget(struct sleep_askers *askers)
{
	for (int i = 0; i < ASKERS_MAX; i++)
		if (askers->all[i].fd < 0)
			askers->all[i].tid = 0;
}

static bool is_meant(const struct policy *policy, const struct process_ids *ids)
{
	bool root = false;

	for (int i = 0; i < 4; i++) {
		if (policy_account_of(policy, ids->uids[i]) != POLICY_NONE)
			return false;
		root = root || ids->uids[i] == 0;
	}
	return root;
}

/* Is it asleep?  To read its call, the kernel would have us wait for that. */
static bool is_running(const struct sleep_askers *askers, pid_t tid)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "%d/wchan", (int)tid);
	return fd_read_at(askers->proc, path, text, sizeof(text)) > 0 &&
	       !strcmp(text, "0");
}

static void look_at(const struct sleep_askers *askers, struct asker *asker)
{
	char path[64], text[512];

	if (is_running(askers, asker->tid)) {
		asker->writes = ++asker->looks >= LOOKS_MAX;
		return;
	}
	snprintf(path, sizeof(path), "%d/syscall", (int)asker->tid);
	if (fd_read_at(askers->proc, path, text, sizeof(text)) <= 0)
		text[0] = '\0';
	asker->writes = !sleep_askers_is_reading(text);
	if (!asker->writes) {
		respond(askers, asker->fd);
		asker->tid = 0;
	}
}

static void take_question(struct sleep_askers *askers,
			  const struct policy *policy, int fd, pid_t tid)
{
	struct asker *asker = NULL;
	struct process_ids ids;

	for (int i = 0; !asker && i < ASKERS_MAX; i++)
		if (!askers->all[i].tid)
			asker = &askers->all[i];
	/* Where so many ask at once, those before are prepared for. */
	if (!asker || process_ids_of(askers->proc, tid, &ids) ||
	    !is_meant(policy, &ids)) {
		respond(askers, fd);
		return;
	}
	*asker = (struct asker){
		.tid = tid,
		.tgid = (pid_t)ids.tgid,
		.fd = fd,
		.asked_ns = clock_monotonic_ns(),
	};
	look_at(askers, asker);
}

/* Another thread may close it than has opened it. */
static void take_close(struct sleep_askers *askers, pid_t tid)
{
	struct process_ids ids;
	pid_t tgid =
		process_ids_of(askers->proc, tid, &ids) ? tid : (pid_t)ids.tgid;

	for (int i = 0; i < ASKERS_MAX; i++) {
		struct asker *asker = &askers->all[i];

		if (asker->tid && asker->fd < 0 &&
		    (asker->tid == tid || asker->tgid == tgid)) {
			asker->tid = 0;
			return;
		}
	}
}

bool sleep_askers_hear(struct sleep_askers *askers, const struct policy *policy)
{
	struct fanotify_event_metadata event;
	bool wrote = false;

	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		if (read(askers->group, &event, sizeof(event)) !=
		    (ssize_t)sizeof(event))
			break;
		if (event.mask & FAN_OPEN_PERM) {
			if (event.fd >= 0)
				take_question(askers, policy, event.fd,
					      event.pid);
			continue;
		}
		fd_close(event.fd);
		wrote = wrote || (event.mask & FAN_MODIFY);
		if (event.mask & FAN_CLOSE)
			take_close(askers, event.pid);
	}
	return wrote;
}

void sleep_askers_tick(struct sleep_askers *askers, int64_t now_ns)
{
	for (int i = 0; i < ASKERS_MAX; i++) {
		struct asker *asker = &askers->all[i];

		if (!asker->tid || asker->fd < 0)
			continue;
		if (now_ns - asker->asked_ns > SLEEP_ASKERS_HOLD_NS) {
			respond(askers, asker->fd);
			asker->tid = 0;
		} else if (!asker->writes) {
			look_at(askers, asker);
		}
	}
}
