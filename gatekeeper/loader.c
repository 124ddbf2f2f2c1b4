#include "gatekeeper/loader.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/last_policy.h"
#include "gatekeeper/wire/message.h"

#define TIMEOUT_NS (60 * CLOCK_NS_PER_S)

static int compile(const struct config_source *source, uint64_t generation,
		   const char *keep, int end)
{
	struct report report = {.out = stderr};
	struct message message = {.type = MESSAGE_POLICY, .value = generation};
	CLEANUP(fd_close) int image = -1;
	int r = config_compile(source, generation, &report, &image);

	if (r) {
		if (r < 0) {
			errno = -r;
			log_error("cannot load %s: %m", source->path);
		}
		message.type = MESSAGE_FAILED;
	} else if (keep && (r = last_policy_keep(keep, image)) < 0) {
		errno = -r;
		log_warning("cannot keep the policy in %s: %m", keep);
	}
	return message_send(end, &message, image);
}

int loader_start(const struct config_source *source, uint64_t generation,
		 const char *keep, struct loader *ret)
{
	int ends[2];
	pid_t pid;
	int r = message_pair(ends);

	if (r)
		return r;
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		_exit(compile(source, generation, keep, ends[1]) ? 1 : 0);
	}
	r = -errno;
	fd_close(ends[1]);
	if (pid < 0) {
		fd_close(ends[0]);
		return r;
	}
	*ret = (struct loader){
		.pid = pid,
		.end = ends[0],
		.started_ns = clock_monotonic_ns(),
	};
	return 0;
}

void loader_check(struct loader *loader, int64_t now_ns)
{
	if (loader->pid <= 0 || now_ns - loader->started_ns < TIMEOUT_NS)
		return;
	log_error("reading the configuration takes over a minute; ending it");
	kill(loader->pid, SIGKILL);
	loader->started_ns = now_ns; /* say so again in a minute */
}

int loader_finish(struct loader *loader, int *ret_fd)
{
	struct message message;
	int fd = -1;
	int r = message_receive(loader->end, &message, &fd);

	kill(loader->pid, SIGKILL); /* it has nothing left to do */
	waitpid(loader->pid, NULL, 0);
	fd_close(loader->end);
	*loader = LOADER_EMPTY;
	if (r)
		return r < 0 ? r : -EPIPE;
	if (message.type != MESSAGE_POLICY || fd < 0) {
		fd_close(fd);
		return LOADER_WRONG;
	}
	*ret_fd = fd;
	return 0;
}
