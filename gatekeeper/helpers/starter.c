/*
 * One request is one datagram: a struct of fixed size, the texts in it one
 * behind the other, and the descriptors.  Both sides are this very program, so
 * a function's address means the same to both.
 */

#include "gatekeeper/helpers/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/system/task.h"
#include "gatekeeper/wire/helper_fds.h"

#define TEXT_MAX	 9000
#define ARGUMENTS_MAX	 8
#define CAPABILITIES_MAX 8
#define FDS_MAX		 (HELPER_FDS_MAX + 1)
#define FD_PARKING	 64 /* above every number that is to be given out */
#define ANSWER_MS	 300
#define MEMORY_MAX	 ((rlim_t)4 << 30) /* of address space */

struct request {
	helper_fn run;
	uid_t uid;
	gid_t gid;
	int priority;
	bool is_spared;
	uint32_t capability_count;
	int capabilities[CAPABILITIES_MAX];
	uint32_t argument_count; /* after the program's path */
	char text[TEXT_MAX];
};

struct starter {
	pid_t pid;
	int end; /* owned */
};

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

/* ---- in the starter */

/* Move fds to their places; all at once, since one may sit on another's. */
static int place_fds(const int *fds, size_t count)
{
	int parked[FDS_MAX];

	for (size_t i = 0; i < count; i++) {
		parked[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_PARKING);
		if (parked[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++)
		if (dup2(parked[i], HELPER_FD_CONTROL + (int)i) < 0)
			return -errno;
	if (syscall(SYS_close_range, HELPER_FD_CONTROL + (unsigned int)count,
		    ~0u, 0) < 0)
		return -errno;
	return 0;
}

/*
 * gatekeeper's own value is inherited (it dies last of all).  Lowering takes
 * CAP_SYS_RESOURCE; without it this fails, and must not matter.
 */
static void set_oom_score(bool is_spared)
{
	const char *score = is_spared ? "-900" : "0";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, score, strlen(score)) < 0)
		errno = 0;
	fd_close(fd);
}

/* Whatever is wrong with a helper, it does not take the machine's memory. */
static void bound_memory(void)
{
#ifndef LEASH_NO_SECCOMP /* sanitizers map terabytes */
	const struct rlimit limit = {MEMORY_MAX, MEMORY_MAX};

	if (setrlimit(RLIMIT_AS, &limit) < 0)
		errno = 0; /* a lower one is in force */
#endif
}

static void split_text(const struct request *request,
		       char *ret[static ARGUMENTS_MAX + 2])
{
	char *at = (char *)(uintptr_t)request->text;

	for (uint32_t i = 0; i <= request->argument_count; i++) {
		ret[i] = at;
		at += strlen(at) + 1;
	}
	ret[request->argument_count + 1] = NULL;
}

__attribute__((noreturn)) static void
become_helper(const struct request *request, const int *fds, size_t fd_count)
{
	char *texts[ARGUMENTS_MAX + 2];
	sigset_t none;
	int r;

	prctl(PR_SET_PDEATHSIG, 0); /* it is to outlive us, and gatekeeper */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	split_text(request, texts);
	set_oom_score(request->is_spared);
	bound_memory();
	if (setpriority(PRIO_PROCESS, 0, request->priority))
		errno = 0; /* not worth failing for */
	r = place_fds(fds, fd_count);
	if (!r)
		r = sandbox_become(request->uid, request->gid,
				   request->capabilities,
				   request->capability_count);
	if (!r && request->run)
		_exit(request->run());
	if (!r) {
		execv(texts[0], texts + 1);
		r = -errno;
	}
	errno = -r;
	log_error("cannot start %s: %m", texts[0]);
	_exit(127);
}

/* As fork(), but the child is our parent's. */
static pid_t fork_sibling(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

static int receive(int end, struct request *ret, int *ret_fds,
		   size_t *ret_count)
{
	union control control;
	struct iovec part = {.iov_base = ret, .iov_len = sizeof(*ret)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *cmsg;

	if (recvmsg(end, &header, MSG_CMSG_CLOEXEC) != sizeof(*ret))
		return -EPIPE; /* gatekeeper is gone */
	cmsg = CMSG_FIRSTHDR(&header);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	*ret_count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(ret_fds, CMSG_DATA(cmsg), *ret_count * sizeof(int));
	return 0;
}

static int serve(void *context)
{
	int end = *(const int *)context;

	prctl(PR_SET_NAME, "leash-starter");
	/* Ctrl-C is for gatekeeper. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		struct request request;
		int fds[FDS_MAX];
		size_t count = 0;
		pid_t pid;

		if (receive(end, &request, fds, &count))
			return 0;
		pid = fork_sibling();
		if (pid == 0)
			become_helper(&request, fds, count);
		if (pid < 0)
			pid = -errno;
		for (size_t i = 0; i < count; i++)
			fd_close(fds[i]);
		if (send(end, &pid, sizeof(pid), MSG_NOSIGNAL) < 0)
			return 0;
	}
}

/* ---- in gatekeeper */

static void stop(struct starter *starter)
{
	task_collect(starter->pid);
	starter->end = fd_close(starter->end);
	starter->pid = -1;
}

static int start(struct starter *starter)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pid = task_fork(&ends[1], 1, serve, &ends[1]);
	fd_close(ends[1]);
	if (pid < 0) {
		fd_close(ends[0]);
		return (int)pid;
	}
	starter->pid = pid;
	starter->end = ends[0];
	return 0;
}

int starter_new(struct starter **ret)
{
	CLEANUP(starter_free)
	struct starter *starter = calloc(1, sizeof(*starter));
	int r;

	if (!starter)
		return -ENOMEM;
	starter->pid = starter->end = -1;
	r = start(starter);
	if (!r)
		*ret = STEAL(starter);
	return r;
}

struct starter *starter_free(struct starter *starter)
{
	if (!starter)
		return NULL;
	stop(starter);
	free(starter);
	return NULL;
}

static int write_text(struct request *request, const struct helper_spec *spec)
{
	size_t at = 0;

	for (int i = -1; i < 0 || spec->arguments[i]; i++) {
		const char *text = i < 0 ? spec->program : spec->arguments[i];
		size_t length = strlen(text) + 1;

		if (at + length > sizeof(request->text) || i >= ARGUMENTS_MAX)
			return -E2BIG;
		memcpy(request->text + at, text, length);
		at += length;
		request->argument_count = (uint32_t)(i + 1);
	}
	return 0;
}

static int write_request(struct request *request,
			 const struct helper_spec *spec)
{
	if (spec->capability_count > CAPABILITIES_MAX)
		return -E2BIG;
	*request = (struct request){
		.run = spec->run,
		.uid = spec->uid,
		.gid = spec->gid,
		.priority = spec->priority,
		.is_spared = spec->is_spared,
		.capability_count = (uint32_t)spec->capability_count,
	};
	if (spec->capability_count)
		memcpy(request->capabilities, spec->capabilities,
		       spec->capability_count * sizeof(int));
	return write_text(request, spec);
}

static int send_request(int end, struct request *request, const int *fds,
			size_t count)
{
	union control control = {0};
	struct iovec part = {.iov_base = request, .iov_len = sizeof(*request)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * count),
	};
	struct cmsghdr *cmsg = &control.align;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);
	return sendmsg(end, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno
								      : 0;
}

static int receive_pid(int end, pid_t *ret)
{
	struct pollfd answered = {.fd = end, .events = POLLIN};
	pid_t pid;
	int r;

	do
		r = poll(&answered, 1, ANSWER_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	if (recv(end, &pid, sizeof(pid), MSG_DONTWAIT) != sizeof(pid))
		return -EPIPE;
	*ret = pid;
	return 0;
}

int starter_start(struct starter *starter, const struct helper_spec *spec,
		  const int *fds, size_t fd_count, pid_t *ret)
{
	struct request request;
	pid_t pid = -1;
	int r = write_request(&request, spec);

	if (r || fd_count > FDS_MAX)
		return r ? r : -E2BIG;
	r = starter->end < 0 ? start(starter) : 0;
	if (!r)
		r = send_request(starter->end, &request, fds, fd_count);
	if (r == -EPIPE || r == -ECONNRESET) { /* dead: another */
		stop(starter);
		r = start(starter);
		if (!r)
			r = send_request(starter->end, &request, fds, fd_count);
	}
	if (!r)
		r = receive_pid(starter->end, &pid);
	/*
	 * One that took the request and does not answer may have carried it
	 * out: to ask again would make two of what is one.  The caller closes
	 * its end of the control socket, and that one ends.
	 */
	if (r) {
		log_warning("the starter of helpers does not answer; "
			    "replacing it");
		stop(starter);
	}
	if (r)
		return r;
	if (pid < 0)
		return (int)pid;
	*ret = pid;
	return 0;
}
