#include "tools/lib/tool_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/toolcall.h"

#define REPLY_MAX ((size_t)32 << 20)

void tool_client_done(struct tool_client *client)
{
	client->fd = fd_close(client->fd);
	free(client->bytes);
	client->bytes = NULL;
	client->room = 0;
}

static const char *connect_to(struct tool_client *client)
{
	struct sockaddr_un address = {
		.sun_family = AF_UNIX,
		.sun_path = TOOLCALL_FOLDER "/" TOOLCALL_SOCKET,
	};
	struct ucred peer;
	socklen_t size = sizeof(peer);
	CLEANUP(fd_close)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return "no socket can be made";
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		client->nobody = errno == ENOENT || errno == ECONNREFUSED;
		return "gatekeeper does not run, or cannot be reached";
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    peer.uid != 0)
		return TOOLCALL_FOLDER "/" TOOLCALL_SOCKET
				       " is not root's: somebody else answers "
				       "there";
	client->fd = STEAL_FD(fd);
	return NULL;
}

/* Wait until events; NULL, or why not. */
static const char *wait_for(int fd, short events, int64_t end_ns)
{
	struct pollfd end = {.fd = fd, .events = events};
	int64_t left_ns = end_ns - clock_monotonic_ns();
	int ready;

	do {
		if (left_ns <= 0)
			return "leash-toolcall has not answered in time";
		ready = poll(&end, 1, (int)(left_ns / CLOCK_NS_PER_MS) + 1);
		left_ns = end_ns - clock_monotonic_ns();
	} while (ready < 0 && errno == EINTR);
	return ready > 0 ? NULL : "leash-toolcall has not answered in time";
}

static const char *send_all(const struct tool_client *client, const char *text,
			    size_t length, int64_t end_ns)
{
	while (length) {
		ssize_t n = send(client->fd, text, length,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			const char *problem =
				wait_for(client->fd, POLLOUT, end_ns);

			if (problem)
				return problem;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return "leash-toolcall has hung up";
		text += n;
		length -= (size_t)n;
	}
	return NULL;
}

/* One line. */
static const char *receive(struct tool_client *client, size_t *ret_length,
			   int64_t end_ns)
{
	size_t length = 0;

	for (;;) {
		const char *problem = wait_for(client->fd, POLLIN, end_ns);
		ssize_t n;

		if (problem)
			return problem;
		if (client->room - length < 4096) {
			size_t room = client->room ? client->room * 2 : 65536;
			char *grown = room > REPLY_MAX
					      ? NULL
					      : realloc(client->bytes, room);

			if (!grown)
				return "the answer is too long";
			client->bytes = grown;
			client->room = room;
		}
		n = recv(client->fd, client->bytes + length,
			 client->room - length, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return "leash-toolcall has hung up";
		length += (size_t)n;
		if (client->bytes[length - 1] == '\n') {
			*ret_length = length - 1;
			return NULL;
		}
	}
}

json_t *tool_client_read(const char *text, size_t length)
{
	const size_t flags =
		JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	json_error_t error;
	json_t *json = json_loadb(text, length, flags, &error);

	if (!json && json_error_code(&error) == json_error_numeric_overflow)
		json = json_loadb(text, length, flags | JSON_DECODE_INT_AS_REAL,
				  &error);
	return json;
}

static json_t *ask_once(struct tool_client *client, const char *text,
			size_t length, const char **ret_problem)
{
	int64_t end_ns = clock_monotonic_ns() +
			 TOOL_CLIENT_PATIENCE_MS * CLOCK_NS_PER_MS;
	size_t reply_length = 0;
	json_t *reply;

	*ret_problem = client->fd < 0 ? connect_to(client) : NULL;
	if (!*ret_problem)
		*ret_problem = send_all(client, text, length, end_ns);
	if (!*ret_problem)
		*ret_problem = receive(client, &reply_length, end_ns);
	if (*ret_problem)
		return NULL;
	reply = tool_client_read(client->bytes, reply_length);
	if (!json_string_value(json_object_get(reply, "verdict"))) {
		json_decref(reply);
		*ret_problem = "leash-toolcall's answer makes no sense";
		return NULL;
	}
	return reply;
}

json_t *tool_client_ask(struct tool_client *client, const json_t *request,
			const char **ret_problem)
{
	bool was_connected = client->fd >= 0;
	char *text = json_dumps(request, JSON_COMPACT);
	size_t length = text ? strlen(text) : 0;
	json_t *reply;

	if (!text) {
		*ret_problem = "the request cannot be written";
		return NULL;
	}
	if (length >= TOOLCALL_REQUEST_MAX) {
		free(text);
		*ret_problem = "it is too big to be judged (8 MiB)";
		return NULL;
	}
	text[length] = '\n'; /* in place of the NUL */
	reply = ask_once(client, text, length + 1, ret_problem);
	if (!reply) {
		client->fd = fd_close(client->fd);
		/* The gate may have been replaced since the last time. */
		if (was_connected)
			reply = ask_once(client, text, length + 1, ret_problem);
		if (!reply)
			client->fd = fd_close(client->fd);
	}
	free(text);
	return reply;
}
