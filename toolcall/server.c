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
#include "toolcall/budget.h"
#include "toolcall/reply.h"

#define READ_BYTES  65536
#define CLIENTS_MAX BUDGET_CONNECTIONS_ALL

enum tag {
	TAG_CONTROL = CLIENTS_MAX,
	TAG_LISTENER,
};

struct client {
	int fd; /* owned; -1: a free slot */
	struct ucred peer;
	uint32_t account; /* in the budget */
	char *bytes;	  /* owned: a request, or part of it */
	size_t length, room;
	size_t searched; /* no new line before that */
	size_t line;	 /* bytes of the first line; 0: not all is there */
	char *reply;	 /* owned: not yet taken by it */
	size_t reply_length, reply_sent;
	size_t reply_taken; /* of the budget */
	bool ready;	    /* a whole request waits, or too long a one */
	bool ending;
};

struct server {
	struct server_ends ends;
	struct answers answers;
	struct policy *policy; /* owned; NULL at first */
	int epoll;	       /* owned */
	struct budget *budget; /* owned */
	struct client clients[CLIENTS_MAX];
	size_t first; /* of the clients, to be looked at next */
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
	server->epoll = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		server->clients[i].fd = -1;
	server->ends = *ends;
	server->answers.judge = judge;
	server->answers.pins = pins;
	server->answers.channel = ends->channel;
	server->answers.wake = ends->wake;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	r = budget_new(&server->budget);
	if (!r)
		r = watch(server, ends->control, TAG_CONTROL, EPOLLIN,
			  EPOLL_CTL_ADD);
	if (!r)
		*ret = STEAL(server);
	return r;
}

static void drop_reply(struct server *server, struct client *client)
{
	budget_give_back(server->budget, client->account, client->reply_taken);
	free(client->reply);
	client->reply = NULL;
	client->reply_taken = 0;
}

static void end_client(struct server *server, struct client *client)
{
	fd_close(client->fd);
	drop_reply(server, client);
	budget_give_back(server->budget, client->account, client->room);
	free(client->bytes);
	budget_disconnect(server->budget, client->account);
	*client = (struct client){.fd = -1};
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0)
			end_client(server, &server->clients[i]);
	free(server->answers.kept);
	policy_free(server->policy);
	budget_free(server->budget);
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
	*ret_generation = policy_generation(server->policy);
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
		return message_answer(server->ends.control, &reply);
	case MESSAGE_PING:
		reply = (struct message){.type = MESSAGE_PONG,
					 .value = message.value};
		return message_answer(server->ends.control, &reply);
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
				end_client(server, client);
			return;
		}
		if (n < 0) {
			end_client(server, client);
			return;
		}
		client->reply_sent += (size_t)n;
	}
	drop_reply(server, client);
	if (client->ending ||
	    watch(server, client->fd, tag, EPOLLIN, EPOLL_CTL_MOD))
		end_client(server, client);
}

/* reply is taken over; NULL: there was no memory for one. */
static void give(struct server *server, struct client *client, char *reply)
{
	size_t length = reply ? strlen(reply) : 0;

	if (reply && budget_take(server->budget, client->account, length)) {
		/* A short one needs no room: there is one a connection. */
		free(reply);
		reply = reply_plain("deny", "the account's answers that nobody "
					    "has taken take too much memory");
		length = 0;
		client->ending = true;
	}
	if (!reply) {
		budget_give_back(server->budget, client->account, length);
		end_client(server, client);
		return;
	}
	client->reply = reply;
	client->reply_taken = length;
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

/* Is the first line there, or more than a request may be? */
static void look_for_line(struct client *client)
{
	char *end = memchr(client->bytes + client->searched, '\n',
			   client->length - client->searched);

	client->searched = client->length;
	client->line = end ? (size_t)(end + 1 - client->bytes) : 0;
	client->ready = end || client->length >= TOOLCALL_REQUEST_MAX;
}

/* Forget the line; what it said may be a secret. */
static void drop_line(struct server *server, struct client *client)
{
	explicit_bzero(client->bytes, client->line);
	client->length -= client->line;
	memmove(client->bytes, client->bytes + client->line, client->length);
	client->searched = 0;
	look_for_line(client);
	if (client->room > READ_BYTES * 16 && client->length < READ_BYTES) {
		char *smaller = realloc(client->bytes, READ_BYTES);

		if (smaller) {
			budget_give_back(server->budget, client->account,
					 client->room - READ_BYTES);
			client->bytes = smaller;
			client->room = READ_BYTES;
		}
	}
}

/* Its turn is over before a connection of its can be. */
static void end_turn(struct server *server, const struct client *client)
{
	const struct effort *effort = judge_effort(server->answers.judge);

	budget_served(server->budget, client->account, effort_taken_ns(effort),
		      clock_monotonic_ns());
}

/* The first line of what there is. */
static void serve(struct server *server, struct client *client)
{
	struct request request;
	const char *problem;
	char *reply;
	int r;

	judge_begin(server->answers.judge);
	if (!client->line || client->line > TOOLCALL_REQUEST_MAX) {
		end_turn(server, client);
		refuse(server, client, "the request is over 8 MiB");
		return;
	}
	r = request_read(client->bytes, client->line - 1, &request, &problem);
	reply = r ? reply_plain("deny", r > 0 ? problem : "no memory")
		  : answers_give(&server->answers, &client->peer, client->fd,
				 &request);
	if (!r)
		request_done(&request);
	drop_line(server, client);
	end_turn(server, client);
	give(server, client, reply);
	answers_record(&server->answers);
}

static bool make_room(struct server *server, struct client *client)
{
	size_t room = client->room ? client->room * 2 : READ_BYTES;
	char *grown = NULL;

	if (client->room - client->length >= READ_BYTES / 2)
		return true;
	if (budget_take(server->budget, client->account, room - client->room)) {
		refuse(server, client,
		       "the account's requests take too much memory at once");
		return false;
	}
	grown = realloc(client->bytes, room);
	if (!grown) {
		budget_give_back(server->budget, client->account,
				 room - client->room);
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
		end_client(server, client);
		return;
	}
	client->length += (size_t)n;
	if (!client->ready)
		look_for_line(client);
}

/* All of an account's uids are one. */
static uint32_t budget_account(const struct server *server, uid_t uid)
{
	uint32_t account = policy_account_of(server->policy, uid);

	return account == POLICY_NONE
		       ? uid
		       : policy_account(server->policy, account)->uid;
}

static struct client *free_slot(struct server *server)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (server->clients[i].fd < 0)
			return &server->clients[i];
	return NULL;
}

static void take_client(struct server *server)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct client *slot = free_slot(server);
	uint32_t account;
	int fd = accept4(server->ends.listener, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!slot ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		fd_close(fd);
		return;
	}
	account = budget_account(server, peer.uid);
	if (budget_connect(server->budget, account)) {
		fd_close(fd); /* it blocks what it asked about: that is no */
		return;
	}
	*slot = (struct client){.fd = fd, .peer = peer, .account = account};
	if (watch(server, fd, (uint32_t)(slot - server->clients), EPOLLIN,
		  EPOLL_CTL_ADD))
		end_client(server, slot);
}

static bool waits(const struct client *client)
{
	return client->fd >= 0 && client->ready && !client->reply;
}

static struct client *find_waiting(struct server *server, uint32_t account)
{
	for (size_t n = 0; n < CLIENTS_MAX; n++) {
		size_t i = (server->first + n) % CLIENTS_MAX;

		if (waits(&server->clients[i]) &&
		    server->clients[i].account == account)
			return &server->clients[i];
	}
	return NULL;
}

/*
 * One request, of the account whose turn it is; its connections take turns,
 * too.  True: somebody still waits.
 */
static bool serve_next(struct server *server)
{
	struct client *client;
	uint32_t account;
	bool more = false;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (waits(&server->clients[i]))
			budget_wait(server->budget, server->clients[i].account);
	if (!budget_next(server->budget, clock_monotonic_ns(), &account))
		return false;
	client = find_waiting(server, account);
	if (client) {
		server->first = (size_t)(client - server->clients) + 1;
		serve(server, client);
	} else { /* who had waited has hung up */
		budget_served(server->budget, account, 0, clock_monotonic_ns());
	}
	for (size_t i = 0; !more && i < CLIENTS_MAX; i++)
		more = waits(&server->clients[i]);
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
		more = serve_next(server);
	}
	return r;
}
