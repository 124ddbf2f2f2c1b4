#include "toolcall/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/toolcall.h"
#include "toolcall/answers.h"
#include "toolcall/reply.h"

#define READ_BYTES 65536

enum tag {
	TAG_CONTROL = SERVER_CLIENTS_MAX,
	TAG_LISTENER,
};

struct client {
	int fd; /* owned; -1: a free slot */
	struct ucred peer;
	char *bytes; /* owned: a request, or part of it */
	size_t length, room;
	size_t searched; /* no new line before that */
	char *reply;	 /* owned: not yet taken by it */
	size_t reply_length, reply_sent;
	bool ready; /* a whole request waits */
	bool ending;
};

struct server {
	struct server_ends ends;
	struct answers answers;
	struct policy *policy; /* owned; NULL at first */
	int epoll;	       /* owned */
	struct client clients[SERVER_CLIENTS_MAX];
	size_t first; /* of the clients, to be served next */
	bool listens;
	bool stopping;
};

static int watch(struct server *server, int fd, uint32_t tag, uint32_t events,
		 int how)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(server->epoll, how, fd, &event) ? -errno : 0;
}

int server_new(const struct server_ends *ends, struct judge *judge,
	       struct pins *pins, struct server **ret)
{
	CLEANUP(server_free) struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->ends = *ends;
	server->answers.judge = judge;
	server->answers.pins = pins;
	server->answers.channel = ends->channel;
	server->answers.wake = ends->wake;
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		server->clients[i].fd = -1;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	r = watch(server, ends->control, TAG_CONTROL, EPOLLIN, EPOLL_CTL_ADD);
	if (!r)
		*ret = STEAL(server);
	return r;
}

static void end_client(struct client *client)
{
	fd_close(client->fd);
	free(client->bytes);
	free(client->reply);
	*client = (struct client){.fd = -1};
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0)
			end_client(&server->clients[i]);
	free(server->answers.kept);
	policy_free(server->policy);
	fd_close(server->epoll);
	free(server);
	return NULL;
}

/* ---- what gatekeeper says */

static int load_policy(struct server *server, int fd, uint64_t *ret_generation)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	int r = policy_map(fd, &policy);

	if (!r)
		r = judge_use(server->answers.judge, policy);
	if (r)
		return r < 0 ? r : -EINVAL;
	policy_free(server->policy);
	server->policy = STEAL(policy);
	server->answers.policy = server->policy;
	*ret_generation = policy_header(server->policy)->generation;
	if (!server->listens) {
		server->listens = true;
		return watch(server, server->ends.listener, TAG_LISTENER,
			     EPOLLIN, EPOLL_CTL_ADD);
	}
	return 0;
}

static int take_message(struct server *server)
{
	CLEANUP(fd_close) int fd = -1;
	struct message message, reply = {.type = MESSAGE_LOADED};
	int r = message_receive(server->ends.control, &message, &fd);

	if (r == MESSAGE_NONE)
		return 0;
	if (r == MESSAGE_CLOSED) {
		log_error("gatekeeper is gone; going on with the policy in "
			  "force");
		epoll_ctl(server->epoll, EPOLL_CTL_DEL, server->ends.control,
			  NULL);
		server->stopping = !server->policy;
		return 0;
	}
	if (r)
		return r < 0 ? r : -EPROTO;
	switch (message.type) {
	case MESSAGE_POLICY:
		r = load_policy(server, fd, &reply.value);
		if (r) {
			reply.type = MESSAGE_FAILED;
			reply.value = (uint64_t)-r;
		}
		return message_send(server->ends.control, &reply, -1);
	case MESSAGE_PING:
		reply = (struct message){.type = MESSAGE_PONG,
					 .value = message.value};
		return message_send(server->ends.control, &reply, -1);
	case MESSAGE_STOP:
		server->stopping = true;
		return 0;
	default:
		return -EPROTO;
	}
}

/* ---- requests */

/* Send what there is; what is not taken waits. */
static void send_reply(struct server *server, struct client *client)
{
	uint32_t tag = (uint32_t)(client - server->clients);

	while (client->reply && client->reply_sent < client->reply_length) {
		ssize_t n = send(client->fd, client->reply + client->reply_sent,
				 client->reply_length - client->reply_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (watch(server, client->fd, tag, EPOLLOUT,
				  EPOLL_CTL_MOD))
				end_client(client);
			return;
		}
		if (n < 0) {
			end_client(client);
			return;
		}
		client->reply_sent += (size_t)n;
	}
	free(client->reply);
	client->reply = NULL;
	if (client->ending ||
	    watch(server, client->fd, tag, EPOLLIN, EPOLL_CTL_MOD))
		end_client(client);
}

/* reply is taken over; NULL: there was no memory for one. */
static void give(struct server *server, struct client *client, char *reply)
{
	if (!reply) {
		end_client(client);
		return;
	}
	client->reply = reply;
	client->reply_length = strlen(reply);
	client->reply_sent = 0;
	send_reply(server, client);
}

static void refuse(struct server *server, struct client *client,
		   const char *reason)
{
	client->ending = true;
	give(server, client, reply_plain("deny", reason));
}

/* The first line of what there is. */
static void serve(struct server *server, struct client *client)
{
	char *end = memchr(client->bytes + client->searched, '\n',
			   client->length - client->searched);
	size_t length;
	struct request request;
	const char *problem;
	char *reply;
	int r;

	client->ready = false;
	if (!end) {
		client->searched = client->length;
		if (client->length >= TOOLCALL_REQUEST_MAX)
			refuse(server, client, "the request is over 8 MiB");
		return;
	}
	length = (size_t)(end - client->bytes);
	if (length >= TOOLCALL_REQUEST_MAX) {
		refuse(server, client, "the request is over 8 MiB");
		return;
	}
	r = request_read(client->bytes, length, &request, &problem);
	reply = r ? reply_plain("deny", r > 0 ? problem : "no memory")
		  : answers_give(&server->answers, &client->peer, &request);
	if (!r)
		request_done(&request);
	/* What it said may be a secret. */
	explicit_bzero(client->bytes, length);
	client->length -= length + 1;
	memmove(client->bytes, end + 1, client->length);
	client->searched = 0;
	client->ready = client->length > 0;
	if (client->room > READ_BYTES * 16 && client->length < READ_BYTES) {
		char *smaller = realloc(client->bytes, READ_BYTES);

		if (smaller) {
			client->bytes = smaller;
			client->room = READ_BYTES;
		}
	}
	give(server, client, reply);
	answers_record(&server->answers);
}

static size_t bytes_of(const struct server *server, uid_t uid)
{
	size_t bytes = 0;

	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0 &&
		    server->clients[i].peer.uid == uid)
			bytes += server->clients[i].room;
	return bytes;
}

static bool make_room(struct server *server, struct client *client)
{
	size_t room = client->room ? client->room * 2 : READ_BYTES;
	char *grown;

	if (client->room - client->length >= READ_BYTES / 2)
		return true;
	if (bytes_of(server, client->peer.uid) + room > SERVER_BYTES_UID) {
		refuse(server, client,
		       "the account's requests take too much memory at once");
		return false;
	}
	grown = realloc(client->bytes, room);
	if (!grown) {
		refuse(server, client, "no memory");
		return false;
	}
	client->bytes = grown;
	client->room = room;
	return true;
}

static void take_bytes(struct server *server, struct client *client)
{
	ssize_t n;

	if (client->reply) {
		send_reply(server, client);
		return;
	}
	if (!make_room(server, client))
		return;
	n = recv(client->fd, client->bytes + client->length,
		 client->room - client->length, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_client(client);
		return;
	}
	client->length += (size_t)n;
	client->ready = true;
}

static void take_client(struct server *server)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct client *slot = NULL;
	size_t same = 0;
	int fd = accept4(server->ends.listener, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		fd_close(fd);
		return;
	}
	for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
		if (server->clients[i].fd < 0)
			slot = slot ? slot : &server->clients[i];
		else
			same += server->clients[i].peer.uid == peer.uid;
	}
	if (!slot || same >= SERVER_CLIENTS_UID) {
		fd_close(fd); /* it blocks what it asked about: that is no */
		return;
	}
	*slot = (struct client){.fd = fd, .peer = peer};
	if (watch(server, fd, (uint32_t)(slot - server->clients), EPOLLIN,
		  EPOLL_CTL_ADD))
		end_client(slot);
}

/* Has somebody of that uid had a turn already? */
static bool has_been_served(const uid_t *served, size_t count, uid_t uid)
{
	for (size_t i = 0; i < count; i++)
		if (served[i] == uid)
			return true;
	return false;
}

/*
 * One request of each uid, beginning behind who was first the last time: an
 * account that asks much waits for itself.  True: somebody still waits.
 */
static bool serve_ready(struct server *server)
{
	uid_t served[SERVER_CLIENTS_MAX];
	size_t count = 0, first = server->first;
	bool more = false;

	for (size_t n = 0; n < SERVER_CLIENTS_MAX; n++) {
		size_t i = (first + n) % SERVER_CLIENTS_MAX;
		struct client *client = &server->clients[i];
		uid_t uid = client->peer.uid;

		if (client->fd >= 0 && client->ready && !client->reply &&
		    !has_been_served(served, count, uid)) {
			if (!count)
				server->first = i + 1;
			served[count++] = uid;
			serve(server, client);
		}
		more = more ||
		       (client->fd >= 0 && client->ready && !client->reply);
	}
	return more;
}

int server_run(struct server *server)
{
	bool more = false;
	int r = 0;

	while (!r && !server->stopping) {
		struct epoll_event events[32];
		int count =
			epoll_wait(server->epoll, events, 32, more ? 0 : -1);

		if (count < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		for (int i = 0; !r && i < count; i++) {
			uint32_t tag = events[i].data.u32;

			if (tag == TAG_CONTROL)
				r = take_message(server);
			else if (tag == TAG_LISTENER)
				take_client(server);
			else if (server->clients[tag].fd >= 0)
				take_bytes(server, &server->clients[tag]);
		}
		more = serve_ready(server);
	}
	return r;
}
