#include "gatekeeper/wire/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int message_pair(int ret_ends[2])
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, ends))
		return -errno;
	ret_ends[0] = ends[0];
	ret_ends[1] = ends[1];
	return 0;
}

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int) * 4)];
};

int message_send(int end, const struct message *message, int fd)
{
	union control control = {0};
	struct iovec part = {
		.iov_base = (void *)(uintptr_t)message,
		.iov_len = sizeof(*message),
	};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *cmsg = &control.align;

		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	if (sendmsg(end, &header, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int message_answer(int end, const struct message *message)
{
	int r = message_send(end, message, -1);

	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* Take the first descriptor, close any that nobody asked for. */
static int take_fds(struct msghdr *header)
{
	int taken = -1;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg;
	     cmsg = CMSG_NXTHDR(header, cmsg)) {
		size_t count;

		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			       sizeof(fd));
			if (taken < 0)
				taken = fd;
			else
				fd_close(fd);
		}
	}
	return taken;
}

int message_receive(int end, struct message *ret, int *ret_fd)
{
	CLEANUP(fd_close) int fd = -1;
	union control control;
	struct message message;
	struct iovec part = {.iov_base = &message, .iov_len = sizeof(message)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(end, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return MESSAGE_NONE;
	if (n < 0 && errno == ECONNRESET)
		return MESSAGE_CLOSED;
	if (n < 0)
		return -errno;
	fd = take_fds(&header);
	if (n == 0)
		return MESSAGE_CLOSED;
	if (n != sizeof(message) || (header.msg_flags & MSG_TRUNC) ||
	    message.type < MESSAGE_POLICY || message.type >= MESSAGE_TYPES)
		return MESSAGE_MALFORMED;
	*ret = message;
	*ret_fd = STEAL_FD(fd);
	return 0;
}
