#include "gatekeeper/tool_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/helper.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/toolcall.h"

#define BACKLOG	   64
#define PAUSE_NS   (250 * CLOCK_NS_PER_MS)
#define SHORT_NS   (2 * CLOCK_NS_PER_S) /* a life that proves nothing */
#define PAUSE_MAX  (30 * CLOCK_NS_PER_S)
#define PING_NS	   CLOCK_NS_PER_S
#define SILENCE_NS (5 * CLOCK_NS_PER_S) /* one big request takes a tenth */

enum tag {
	TAG_CONTROL,
	TAG_DEATH,
};

struct tool_keeper {
	struct tool_keeper_setup setup;
	struct helper gate;
	int epoll;    /* owned */
	int listener; /* owned */
	const struct policy *policy;
	int policy_fd;
	int64_t start_after_ns;
	int64_t pause_ns;
	int64_t heard_ns;
	int64_t pinged_ns;
};

static int make_socket(struct tool_keeper *keeper)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int folder = keeper->setup.run_folder;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	keeper->listener = fd;
	snprintf(address.sun_path, sizeof(address.sun_path),
		 "/proc/self/fd/%d/%s", folder, TOOLCALL_SOCKET);
	unlinkat(folder, TOOLCALL_SOCKET, 0); /* of one that died */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(folder, TOOLCALL_SOCKET, 0666, 0) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

int tool_keeper_new(const struct tool_keeper_setup *setup,
		    struct tool_keeper **ret)
{
	CLEANUP(tool_keeper_free)
	struct tool_keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->setup = *setup;
	keeper->gate = HELPER_EMPTY;
	keeper->listener = -1;
	keeper->pause_ns = PAUSE_NS;
	keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (keeper->epoll < 0)
		return -errno;
	r = make_socket(keeper);
	if (!r)
		*ret = STEAL(keeper);
	return r;
}

struct tool_keeper *tool_keeper_free(struct tool_keeper *keeper)
{
	if (!keeper)
		return NULL;
	helper_kill(&keeper->gate);
	helper_reap(&keeper->gate);
	if (keeper->listener >= 0)
		unlinkat(keeper->setup.run_folder, TOOLCALL_SOCKET, 0);
	fd_close(keeper->listener);
	fd_close(keeper->epoll);
	free(keeper);
	return NULL;
}

int tool_keeper_fd(const struct tool_keeper *keeper)
{
	return keeper->epoll;
}

pid_t tool_keeper_pid(const struct tool_keeper *keeper)
{
	return keeper->gate.pid;
}

static int watch(struct tool_keeper *keeper, int fd, enum tag tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

	return epoll_ctl(keeper->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* The folder of pinned definitions, beside the log: the gate's own. */
static int open_pins(const struct policy *policy)
{
	const struct policy_header *header = policy_header(policy);
	char path[4096], folder[4200];
	int fd;

	snprintf(path, sizeof(path), "%s",
		 policy_text(policy, header->database));
	snprintf(folder, sizeof(folder), "%s/pins", dirname(path));
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fchown(fd, header->user_uid, header->user_gid) < 0) {
		fd_close(fd);
		return -errno;
	}
	return fd;
}

static void start(struct tool_keeper *keeper, int64_t now_ns)
{
	const struct policy_header *header = policy_header(keeper->policy);
	CLEANUP(fd_close) int pins = open_pins(keeper->policy);
	char program[4096];
	char *arguments[] = {(char *)"leash-toolcall", NULL};
	const int fds[] = {
		keeper->setup.wake,
		keeper->setup.channel_fd,
		keeper->listener,
		pins,
	};
	const struct helper_spec spec = {
		.program = program,
		.arguments = arguments,
		.uid = header->user_uid,
		.gid = header->user_gid,
		.fds = fds,
		.fd_count = sizeof(fds) / sizeof(fds[0]),
	};
	int r;

	keeper->start_after_ns = now_ns + CLOCK_NS_PER_S;
	snprintf(program, sizeof(program), "%s/leash-toolcall",
		 keeper->setup.helpers_dir);
	r = pins < 0 ? pins : helper_start(&spec, &keeper->gate);
	if (!r)
		r = watch(keeper, keeper->gate.control, TAG_CONTROL);
	if (!r)
		r = watch(keeper, keeper->gate.pidfd, TAG_DEATH);
	keeper->heard_ns = now_ns;
	if (r) {
		errno = -r;
		log_error("cannot start the tool gate: %m");
		helper_kill(&keeper->gate);
	}
}

static void give_policy(struct tool_keeper *keeper)
{
	const struct message message = {.type = MESSAGE_POLICY};

	if (keeper->gate.state < HELPER_LOADING)
		return;
	if (message_send(keeper->gate.control, &message, keeper->policy_fd)) {
		log_error("cannot hand the policy to the tool gate: %m");
		helper_kill(&keeper->gate);
	}
}

void tool_keeper_set_policy(struct tool_keeper *keeper,
			    const struct policy *policy, int fd)
{
	keeper->policy = policy;
	keeper->policy_fd = fd;
	give_policy(keeper);
}

bool tool_keeper_has(const struct tool_keeper *keeper, uint64_t generation)
{
	return keeper->gate.state != HELPER_READY ||
	       keeper->gate.generation == generation;
}

static void take_message(struct tool_keeper *keeper)
{
	struct message message;
	int fd = -1;
	int r = message_receive(keeper->gate.control, &message, &fd);

	fd_close(fd);
	if (r)
		return; /* its death will tell */
	keeper->heard_ns = clock_monotonic_ns();
	switch (message.type) {
	case MESSAGE_READY:
		keeper->gate.state = HELPER_LOADING;
		give_policy(keeper);
		break;
	case MESSAGE_LOADED:
		if (keeper->gate.state != HELPER_READY)
			life_note(keeper->setup.life, "tool gate %d answers",
				  (int)keeper->gate.pid);
		keeper->gate.state = HELPER_READY;
		keeper->gate.generation = message.value;
		break;
	case MESSAGE_FAILED:
		log_error("the tool gate cannot load the policy: %s",
			  strerror((int)message.value));
		helper_kill(&keeper->gate);
		break;
	default:
		break;
	}
}

static void take_death(struct tool_keeper *keeper)
{
	int64_t now_ns = clock_monotonic_ns();
	char fate[64];
	bool was_short;
	int status;

	if (keeper->gate.pid < 0 || !helper_wait(&keeper->gate, 0))
		return;
	/* Not only closed: a child that has yet to exec holds a copy. */
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->gate.control, NULL);
	epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, keeper->gate.pidfd, NULL);
	was_short = now_ns - keeper->gate.started_ns < SHORT_NS;
	status = helper_reap(&keeper->gate);
	/* Ever more slowly: one that cannot start would fill the log. */
	keeper->pause_ns = !was_short ? PAUSE_NS
			   : keeper->pause_ns * 2 > PAUSE_MAX
				   ? PAUSE_MAX
				   : keeper->pause_ns * 2;
	keeper->start_after_ns = now_ns + keeper->pause_ns;
	life_warn(keeper->setup.life,
		  "the tool gate %s; until the next answers, no tool is "
		  "called",
		  helper_fate(status, fate));
}

void tool_keeper_dispatch(struct tool_keeper *keeper)
{
	struct epoll_event events[2];
	int count = epoll_wait(keeper->epoll, events, 2, 0);

	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 == TAG_CONTROL)
			take_message(keeper);
		else
			take_death(keeper);
	}
}

static void check_pulse(struct tool_keeper *keeper, int64_t now_ns)
{
	const struct message ping = {.type = MESSAGE_PING};

	if (keeper->gate.state == HELPER_READY &&
	    now_ns - keeper->pinged_ns >= PING_NS) {
		keeper->pinged_ns = now_ns;
		if (message_send(keeper->gate.control, &ping, -1))
			errno = 0; /* its silence will tell */
	}
	if (now_ns - keeper->heard_ns < SILENCE_NS)
		return;
	keeper->heard_ns = now_ns;
	life_warn(keeper->setup.life,
		  "the tool gate stands still; replacing it");
	helper_kill(&keeper->gate);
}

void tool_keeper_tick(struct tool_keeper *keeper, int64_t now_ns)
{
	if (keeper->gate.pid > 0)
		check_pulse(keeper, now_ns);
	else if (keeper->policy && now_ns >= keeper->start_after_ns)
		start(keeper, now_ns);
}
