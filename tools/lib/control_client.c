#include "tools/lib/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "tools/lib/complaint.h"

#define RUN_DIR	    "/run/leash/"
#define SHORT_S	    1
#define LONG_S	    100 /* a change is compiled, and waits for its turn */
#define MESSAGE_MAX (sizeof(struct control_header) + FIELDS_MAX)

static int open_socket(int seconds)
{
	struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = RUN_DIR CONTROL_SOCKET,
	};
	struct timeval limit = {.tv_sec = SHORT_S};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		fd_close(fd);
		return r;
	}
	limit.tv_sec = seconds;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static int connect_for(enum control_what what)
{
	int seconds = what == CONTROL_ASK_RELOAD || what == CONTROL_ASK_EDIT
			      ? LONG_S
			      : SHORT_S;
	int fd = open_socket(seconds);

	if (fd >= 0)
		return fd;
	switch (-fd) {
	case ENOENT:
	case ECONNREFUSED:
		complaint_print(CONTROL_CLIENT_NOBODY);
		break;
	case EACCES:
		complaint_print("only root and the group " CONTROL_GROUP
				" may");
		break;
	case EAGAIN:
		complaint_print("gatekeeper does not answer");
		break;
	default:
		complaint_print("cannot reach gatekeeper: %s", strerror(-fd));
	}
	return -1;
}

static bool send_request(int fd, enum control_what what,
			 const struct fields *request)
{
	struct control_header header = {
		.magic = CONTROL_MAGIC,
		.version = CONTROL_VERSION,
		.what = (uint16_t)what,
	};
	struct iovec parts[] = {
		{&header, sizeof(header)},
		{request->bytes, request->length},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (request->failed) {
		complaint_print("the request is too long");
		return false;
	}
	/* Who is refused is not listened to: the reply is there already. */
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0 && errno != EPIPE) {
		complaint_print("gatekeeper does not listen: %s",
				strerror(errno));
		return false;
	}
	return true;
}

static int ask_once(enum control_what what, const struct fields *request,
		    struct control_client_reply *ret)
{
	CLEANUP(fd_close) int fd = connect_for(what);
	CLEANUP_FREE char *message = malloc(MESSAGE_MAX);
	const struct control_header *header = (void *)message;
	ssize_t bytes;

	if (fd < 0 || !message || !send_request(fd, what, request))
		return EXIT_ERROR;
	bytes = recv(fd, message, MESSAGE_MAX, 0);
	if (bytes < 0 && errno == ECONNRESET) /* not listened to, likewise */
		bytes = recv(fd, message, MESSAGE_MAX, 0);
	if (bytes <= 0) {
		complaint_print(bytes < 0 && errno == EAGAIN
					? "gatekeeper does not answer"
					: "gatekeeper has hung up");
		return EXIT_ERROR;
	}
	if (bytes < (ssize_t)sizeof(*header) ||
	    header->magic != CONTROL_MAGIC ||
	    header->version != CONTROL_VERSION ||
	    !fields_view(message + sizeof(*header),
			 (size_t)bytes - sizeof(*header), &ret->fields)) {
		complaint_print(
			"leash and gatekeeper are of different versions");
		return EXIT_ERROR;
	}
	ret->what = (enum control_what)header->what;
	ret->message = STEAL(message);
	if (fields_get(&ret->fields, FIELDS_CUT))
		complaint_print("the answer was too long, and a part of it is "
				"missing");
	return EXIT_DONE;
}

int control_client_ask(enum control_what what, const struct fields *request,
		       struct control_client_reply *ret)
{
	/* What may take long must not hide that nobody is there. */
	if (what == CONTROL_ASK_RELOAD || what == CONTROL_ASK_EDIT) {
		struct fields nothing = {NULL, 0, 0, false};
		struct control_client_reply alive;

		if (ask_once(CONTROL_ASK_STATUS, &nothing, &alive))
			return EXIT_ERROR;
		control_client_free(&alive);
	}
	return ask_once(what, request, ret);
}

void control_client_free(struct control_client_reply *reply)
{
	free(reply->message);
	reply->message = NULL;
}

void control_client_complain(const struct control_client_reply *reply)
{
	const char *text = fields_get(&reply->fields, "text");

	complaint_print("%s", text ? text : "gatekeeper could not do it");
}
