#include "tools/talk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"

#define RUN_DIR	    "/run/leash/"
#define SHORT_S	    1
#define LONG_S	    100 /* a change is compiled, and waits for its turn */
#define MESSAGE_MAX (sizeof(struct control_header) + FIELDS_MAX)

void talk_error(const char *format, ...)
{
	char text[4096], shown[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Several lines are several mistakes. */
	for (char *line = text, *end; *line; line = end) {
		size_t length = strcspn(line, "\n");

		end = line + length + (line[length] == '\n');
		escape_text(shown, sizeof(shown), line, length);
		fprintf(stderr, "leash: %s\n", shown);
	}
}

static int open_socket(const char *name, int seconds)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = SHORT_S};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), RUN_DIR "%s",
		 name);
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

/* Whoever may not use the one socket has the other. */
static int connect_for(enum control_what what)
{
	int seconds = what == CONTROL_ASK_RELOAD || what == CONTROL_ASK_EDIT
			      ? LONG_S
			      : SHORT_S;
	int fd = open_socket(CONTROL_SOCKET, seconds);

	if (fd == -EACCES && what == CONTROL_ASK_EXPLAIN)
		fd = open_socket(CONTROL_EXPLAIN, seconds);
	if (fd >= 0)
		return fd;
	switch (-fd) {
	case ENOENT:
	case ECONNREFUSED:
		talk_error("gatekeeper is not running; nobody is leashed "
			   "unless an older gate still is at work");
		break;
	case EACCES:
		talk_error("only root and the group " CONTROL_GROUP " may");
		break;
	case EAGAIN:
		talk_error("gatekeeper does not answer");
		break;
	default:
		talk_error("cannot reach gatekeeper: %s", strerror(-fd));
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
		talk_error("the request is too long");
		return false;
	}
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) {
		talk_error("gatekeeper does not listen: %s", strerror(errno));
		return false;
	}
	return true;
}

static int ask_once(enum control_what what, const struct fields *request,
		    struct talk_reply *ret)
{
	CLEANUP(fd_close) int fd = connect_for(what);
	CLEANUP_FREE char *message = malloc(MESSAGE_MAX);
	const struct control_header *header = (void *)message;
	ssize_t bytes;

	if (fd < 0 || !message || !send_request(fd, what, request))
		return EXIT_ERROR;
	bytes = recv(fd, message, MESSAGE_MAX, 0);
	if (bytes <= 0) {
		talk_error(bytes < 0 && errno == EAGAIN
				   ? "gatekeeper does not answer"
				   : "gatekeeper has hung up");
		return EXIT_ERROR;
	}
	if (bytes < (ssize_t)sizeof(*header) ||
	    header->magic != CONTROL_MAGIC ||
	    header->version != CONTROL_VERSION ||
	    !fields_view(message + sizeof(*header),
			 (size_t)bytes - sizeof(*header), &ret->fields)) {
		talk_error("leash and gatekeeper are of different versions");
		return EXIT_ERROR;
	}
	ret->what = (enum control_what)header->what;
	ret->message = STEAL(message);
	return EXIT_DONE;
}

int talk_ask(enum control_what what, const struct fields *request,
	     struct talk_reply *ret)
{
	/* What may take long must not hide that nobody is there. */
	if (what == CONTROL_ASK_RELOAD || what == CONTROL_ASK_EDIT) {
		struct fields nothing = {NULL, 0, 0, false};
		struct talk_reply alive;

		if (ask_once(CONTROL_ASK_STATUS, &nothing, &alive))
			return EXIT_ERROR;
		talk_free(&alive);
	}
	return ask_once(what, request, ret);
}

void talk_free(struct talk_reply *reply)
{
	free(reply->message);
	reply->message = NULL;
}

void talk_complain(const struct talk_reply *reply)
{
	const char *text = fields_get(&reply->fields, "text");

	talk_error("%s", text ? text : "gatekeeper could not do it");
}
