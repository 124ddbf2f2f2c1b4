#include "gatekeeper/helpers/tool_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/toolcall.h"

#define BACKLOG 64

enum {
	FD_WAKE,
	FD_CHANNEL,
	FD_LISTENER,
	FD_PINS, /* opened once, before anything is watched */
	FDS,
};

struct tool_keeper {
	int run_folder;
	struct keeper *gate; /* owned */
	int fds[FDS];	     /* the last two owned */
};

static int make_socket(struct tool_keeper *keeper)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int folder = keeper->run_folder;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	keeper->fds[FD_LISTENER] = fd;
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

/* The folder of pinned definitions, beside the log: the gate's own. */
static int open_pins(const struct policy *policy)
{
	const struct policy_general *general = policy_general(policy);
	char path[4096], folder[4200];
	int fd;

	snprintf(path, sizeof(path), "%s",
		 policy_text(policy, general->database));
	snprintf(folder, sizeof(folder), "%s/pins", dirname(path));
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fchown(fd, general->user_uid, general->user_gid) < 0) {
		fd_close(fd);
		return -errno;
	}
	return fd;
}

static int prepare(void *context, struct helper_given *ret)
{
	struct tool_keeper *keeper = context;

	ret->fds = keeper->fds;
	ret->fd_count = FDS;
	return 0;
}

int tool_keeper_new(const struct tool_keeper_setup *setup,
		    struct tool_keeper **ret)
{
	CLEANUP(tool_keeper_free)
	struct tool_keeper *keeper = calloc(1, sizeof(*keeper));
	const struct keeper_setup of_gate = {
		.house = setup->house,
		.row = helper_row(HELPER_TOOL_GATE),
		.context = keeper,
		.prepare = prepare,
	};
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->run_folder = setup->run_folder;
	keeper->fds[FD_WAKE] = setup->house->wake;
	keeper->fds[FD_CHANNEL] = setup->channel_fd;
	keeper->fds[FD_LISTENER] = -1;
	keeper->fds[FD_PINS] = open_pins(setup->policy);
	r = keeper->fds[FD_PINS] < 0 ? keeper->fds[FD_PINS]
				     : make_socket(keeper);
	if (!r)
		r = keeper_new(&of_gate, &keeper->gate);
	if (!r)
		*ret = STEAL(keeper);
	return r;
}

struct tool_keeper *tool_keeper_free(struct tool_keeper *keeper)
{
	if (!keeper)
		return NULL;
	keeper_free(keeper->gate);
	if (keeper->fds[FD_LISTENER] >= 0)
		unlinkat(keeper->run_folder, TOOLCALL_SOCKET, 0);
	fd_close(keeper->fds[FD_PINS]);
	fd_close(keeper->fds[FD_LISTENER]);
	free(keeper);
	return NULL;
}

void tool_keeper_set_policy(struct tool_keeper *keeper,
			    const struct policy *policy, int fd)
{
	keeper_set_policy(keeper->gate, policy, fd);
}

void tool_keeper_tick(struct tool_keeper *keeper, int64_t now_ns)
{
	keeper_tick(keeper->gate, now_ns);
}

pid_t tool_keeper_pid(const struct tool_keeper *keeper)
{
	return keeper_pid(keeper->gate);
}

bool tool_keeper_has(const struct tool_keeper *keeper, uint64_t generation)
{
	uint64_t has = keeper_generation(keeper->gate);

	return !has || has == generation;
}
