#include "gatekeeper/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/control_job.h"
#include "gatekeeper/explain.h"
#include "gatekeeper/local_edit.h"
#include "gatekeeper/wire/control.h"

#define CLIENTS_EACH	   16 /* on each socket */
#define REQUEST_TIMEOUT_NS (2 * CLOCK_NS_PER_S)
#define RELOAD_TIMEOUT_NS  (90 * CLOCK_NS_PER_S)
#define ACCEPTS_PER_TICK   50 /* of the open socket */

#define MESSAGE_MAX	   (sizeof(struct control_header) + FIELDS_MAX)

enum socket_kind {
	SOCKET_CONTROL,
	SOCKET_EXPLAIN,
	SOCKETS,
};

enum client_state {
	CLIENT_NONE,
	CLIENT_ASKS,   /* its request is awaited */
	CLIENT_QUEUES, /* for the one job */
	CLIENT_WORKS,  /* its job runs */
	CLIENT_WAITS,  /* for the reload */
};

struct client {
	enum client_state state;
	int fd; /* owned */
	uid_t uid;
	int64_t since_ns;
	uint64_t turn;	     /* in the queue */
	struct fields reply; /* owned: what the job said */
	char *request;	     /* owned: the message, for the job */
	size_t request_bytes;
};

#define CLIENTS (SOCKETS * CLIENTS_EACH)

/* epoll's tags: clients from 0 on, then these. */
enum tag {
	TAG_SOCKET = CLIENTS,
	TAG_JOB = TAG_SOCKET + SOCKETS,
};

struct control {
	struct control_owner owner;
	int epoll;	      /* owned */
	int folder;	      /* borrowed */
	int sockets[SOCKETS]; /* owned */
	bool listens[SOCKETS];
	struct client clients[CLIENTS];
	int accepts_left;
	uint64_t turns;
	struct control_job job;
	uint64_t worked_for; /* that client's turn */
	char message[MESSAGE_MAX];
};

static const char *const names[SOCKETS] = {CONTROL_SOCKET, CONTROL_EXPLAIN};

static int watch(struct control *control, int fd, unsigned int tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

	return epoll_ctl(control->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno
								    : 0;
}

static void unwatch(struct control *control, int fd)
{
	epoll_ctl(control->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* Hear those who knock, or let them wait. */
static void listen_at(struct control *control, enum socket_kind kind,
		      bool listens)
{
	if (control->listens[kind] == listens)
		return;
	if (!listens)
		unwatch(control, control->sockets[kind]);
	else if (watch(control, control->sockets[kind],
		       TAG_SOCKET + (unsigned int)kind))
		return;
	control->listens[kind] = listens;
}

static int make_socket(struct control *control, enum socket_kind kind)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct group *group = getgrnam(CONTROL_GROUP);
	gid_t gid = group ? group->gr_gid : 0;
	mode_t mode = kind == SOCKET_CONTROL ? 0660 : 0666;
	char path[64];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (fd < 0)
		return -errno;
	control->sockets[kind] = fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", control->folder,
		 names[kind]);
	strcpy(address.sun_path, path);
	unlinkat(control->folder, names[kind], 0); /* of one that died */
	/* Nobody else can reach it before its mode is right. */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchownat(control->folder, names[kind], 0, gid,
		     AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(control->folder, names[kind], mode, 0) < 0 ||
	    listen(fd, CLIENTS_EACH) < 0)
		return -errno;
	listen_at(control, kind, true);
	return 0;
}

int control_new(const struct control_owner *owner, int run_folder,
		struct control **ret)
{
	CLEANUP(control_free)
	struct control *control = calloc(1, sizeof(*control));
	int r = 0;

	if (!control)
		return -ENOMEM;
	control->owner = *owner;
	control->folder = run_folder;
	control->job = CONTROL_JOB_NONE;
	control->accepts_left = ACCEPTS_PER_TICK;
	for (int i = 0; i < SOCKETS; i++)
		control->sockets[i] = -1;
	control->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (control->epoll < 0)
		return -errno;
	for (int i = 0; !r && i < SOCKETS; i++)
		r = make_socket(control, (enum socket_kind)i);
	if (!r)
		*ret = STEAL(control);
	return r;
}

static void end_client(struct client *client)
{
	if (client->state == CLIENT_NONE)
		return;
	fd_close(client->fd);
	fields_free(&client->reply);
	free(client->request);
	*client = (struct client){.state = CLIENT_NONE};
}

struct control *control_free(struct control *control)
{
	if (!control)
		return NULL;
	control_job_end(&control->job);
	for (size_t i = 0; i < CLIENTS; i++)
		end_client(&control->clients[i]);
	for (int i = 0; i < SOCKETS; i++) {
		if (control->sockets[i] >= 0)
			unlinkat(control->folder, names[i], 0);
		fd_close(control->sockets[i]);
	}
	fd_close(control->epoll);
	free(control);
	return NULL;
}

int control_fd(const struct control *control)
{
	return control->epoll;
}

/* One message, and goodbye.  Who does not take it at once goes without. */
static void answer(struct client *client, enum control_what what,
		   const struct fields *reply)
{
	struct control_header header = {
		.magic = CONTROL_MAGIC,
		.version = CONTROL_VERSION,
		.what = (uint16_t)what,
	};
	struct iovec parts[] = {
		{&header, sizeof(header)},
		{reply->bytes, reply->length},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_info("a reply was not taken: %m");
	end_client(client);
}

static void answer_text(struct client *client, enum control_what what,
			const char *text)
{
	struct fields reply = {NULL, 0, 0, false};

	fields_put(&reply, "text", text);
	answer(client, what, &reply);
	fields_free(&reply);
}

static struct client *free_slot(struct control *control, enum socket_kind kind)
{
	for (size_t i = 0; i < CLIENTS_EACH; i++) {
		struct client *client =
			&control->clients[(size_t)kind * CLIENTS_EACH + i];

		if (client->state == CLIENT_NONE)
			return client;
	}
	return NULL;
}

static void take_client(struct control *control, enum socket_kind kind)
{
	struct client *client = free_slot(control, kind);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd;

	if (!client ||
	    (kind == SOCKET_EXPLAIN && control->accepts_left-- <= 0)) {
		listen_at(control, kind, false); /* until the next tick */
		return;
	}
	fd = accept4(control->sockets[kind], NULL, NULL,
		     SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	*client = (struct client){
		.state = CLIENT_ASKS,
		.fd = fd,
		.since_ns = clock_monotonic_ns(),
	};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    watch(control, fd, (unsigned int)(client - control->clients))) {
		end_client(client);
		return;
	}
	client->uid = peer.uid;
}

/* Which account's rules may be asked about; POLICY_NONE: answered. */
static uint32_t asked_account(struct control *control, struct client *client,
			      bool privileged, const struct fields *request)
{
	const struct policy *policy =
		control->owner.policy(control->owner.context);
	const char *name = fields_get(request, "account");
	uint32_t own = policy_account_of(policy, client->uid), account = own;
	struct fields reply = {NULL, 0, 0, false};

	if (own == POLICY_NONE && privileged)
		account = local_edit_account(policy, name, &reply);
	else if (own == POLICY_NONE)
		fields_put(&reply, "text",
			   "you are not leashed; only root and the "
			   "group " CONTROL_GROUP " may ask about others");
	else if (name &&
		 strcmp(name,
			policy_text(policy, policy_account(policy, own)->name)))
		account = POLICY_NONE;
	if (account == POLICY_NONE && !reply.length)
		fields_put(&reply, "text",
			   "an account may ask about itself, not others");
	if (account == POLICY_NONE)
		answer(client,
		       own == POLICY_NONE && privileged ? CONTROL_WRONG
							: CONTROL_REFUSED,
		       &reply);
	fields_free(&reply);
	return account;
}

static void serve_explain(struct control *control, struct client *client,
			  bool privileged, const struct fields *request)
{
	const struct policy *policy =
		control->owner.policy(control->owner.context);
	struct fields reply = {NULL, 0, 0, false};
	uint32_t account = asked_account(control, client, privileged, request);
	int r;

	if (account == POLICY_NONE)
		return;
	fields_put(&reply, "account",
		   policy_text(policy, policy_account(policy, account)->name));
	fields_put(&reply, "mode",
		   policy_is_observed(policy, account) ? "observe" : "enforce");
	r = explain(policy, account, request, &reply);
	answer(client, r ? CONTROL_WRONG : CONTROL_DONE, &reply);
	fields_free(&reply);
}

static void serve_status(struct control *control, struct client *client)
{
	struct fields reply = {NULL, 0, 0, false};

	control->owner.status(control->owner.context, &reply);
	answer(client, CONTROL_DONE, &reply);
	fields_free(&reply);
}

static void start_job(struct control *control, struct client *client)
{
	const struct control_job_task task = {
		.source = control->owner.source,
		.policy = control->owner.policy(control->owner.context),
		.uid = client->uid,
		.message = client->request,
		.bytes = client->request_bytes,
	};
	int r = control_job_start(&task, &control->job);

	if (!r)
		r = watch(control, control->job.end, TAG_JOB);
	if (r) {
		control_job_end(&control->job);
		answer_text(client, CONTROL_WRONG, strerror(-r));
		return;
	}
	client->state = CLIENT_WORKS;
	control->worked_for = client->turn;
}

static void start_next_job(struct control *control)
{
	struct client *next = NULL;

	if (control->job.pid > 0)
		return;
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];

		if (client->state == CLIENT_QUEUES &&
		    (!next || client->turn < next->turn))
			next = client;
	}
	if (next)
		start_job(control, next);
}

static void queue_job(struct control *control, struct client *client,
		      size_t bytes)
{
	client->request = malloc(bytes);
	if (!client->request) {
		answer_text(client, CONTROL_WRONG, "out of memory");
		return;
	}
	memcpy(client->request, control->message, bytes);
	client->request_bytes = bytes;
	client->state = CLIENT_QUEUES;
	client->turn = ++control->turns;
	client->since_ns = clock_monotonic_ns();
	start_next_job(control);
}

/* Turning off what holds the accounts is for root alone. */
static bool is_for_root(const struct fields *request)
{
	const char *what = fields_get(request, "do");

	return what && !strcmp(what, "mode");
}

static void serve(struct control *control, struct client *client,
		  bool privileged, size_t bytes)
{
	const struct control_header *header = (void *)control->message;
	const struct policy *policy =
		control->owner.policy(control->owner.context);
	struct fields request;

	if (bytes < sizeof(*header) || header->magic != CONTROL_MAGIC ||
	    !fields_view(control->message + sizeof(*header),
			 bytes - sizeof(*header), &request)) {
		answer_text(client, CONTROL_WRONG, "not a request");
		return;
	}
	if (header->version != CONTROL_VERSION) {
		answer_text(client, CONTROL_WRONG,
			    "leash and gatekeeper are of different versions");
		return;
	}
	if (policy_account_of(policy, client->uid) != POLICY_NONE)
		privileged = false; /* whatever group it is in */
	if (header->what == CONTROL_ASK_EXPLAIN)
		serve_explain(control, client, privileged, &request);
	else if (!privileged)
		answer_text(client, CONTROL_REFUSED,
			    "only root and the group " CONTROL_GROUP " may");
	else if (header->what == CONTROL_ASK_STATUS)
		serve_status(control, client);
	else if (header->what == CONTROL_ASK_EDIT && client->uid != 0 &&
		 is_for_root(&request))
		answer_text(client, CONTROL_REFUSED, "only root may");
	else if (header->what == CONTROL_ASK_EDIT ||
		 header->what == CONTROL_ASK_RELOAD)
		queue_job(control, client, bytes);
	else
		answer_text(client, CONTROL_WRONG, "not a request");
}

static void hear_client(struct control *control, size_t index)
{
	struct client *client = &control->clients[index];
	ssize_t bytes;

	if (client->state == CLIENT_NONE)
		return;
	bytes = recv(client->fd, control->message, sizeof(control->message),
		     MSG_DONTWAIT | MSG_TRUNC);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Gone, or it speaks where it has nothing more to say. */
	if (bytes <= 0 || client->state != CLIENT_ASKS)
		end_client(client);
	else if (bytes > (ssize_t)sizeof(control->message))
		answer_text(client, CONTROL_WRONG, "the request is too long");
	else
		serve(control, client, index / CLIENTS_EACH == SOCKET_CONTROL,
		      (size_t)bytes);
}

static void hear_job(struct control *control)
{
	struct client *client = NULL;
	struct control_job_result result;

	if (!control_job_finish(&control->job, control->message,
				sizeof(control->message), &result))
		return;
	if (result.reload)
		control->owner.reload(control->owner.context);
	for (size_t i = 0; i < CLIENTS; i++)
		if (control->clients[i].state == CLIENT_WORKS &&
		    control->clients[i].turn == control->worked_for)
			client = &control->clients[i];
	if (client && result.reload) {
		fields_copy(&client->reply, &result.reply);
		client->state = CLIENT_WAITS;
		client->since_ns = clock_monotonic_ns();
	} else if (client) {
		answer(client, result.what, &result.reply);
	}
	start_next_job(control);
}

void control_dispatch(struct control *control)
{
	struct epoll_event events[8];
	int count = epoll_wait(control->epoll, events, 8, 0);

	for (int i = 0; i < count; i++) {
		unsigned int tag = events[i].data.u32;

		if (tag < CLIENTS)
			hear_client(control, tag);
		else if (tag == TAG_JOB)
			hear_job(control);
		else
			take_client(control,
				    (enum socket_kind)(tag - TAG_SOCKET));
	}
}

static bool is_late(const struct client *client, int64_t now_ns)
{
	int64_t age_ns = now_ns - client->since_ns;

	return (client->state == CLIENT_ASKS && age_ns > REQUEST_TIMEOUT_NS) ||
	       (client->state == CLIENT_WAITS && age_ns > RELOAD_TIMEOUT_NS);
}

void control_tick(struct control *control, int64_t now_ns)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (is_late(&control->clients[i], now_ns))
			answer_text(&control->clients[i], CONTROL_BUSY,
				    control->clients[i].state == CLIENT_ASKS
					    ? "nothing was asked"
					    : "not in force yet; see leash "
					      "status");
	control_job_check(&control->job, now_ns);
	control->accepts_left = ACCEPTS_PER_TICK;
	for (int i = 0; i < SOCKETS; i++)
		listen_at(control, (enum socket_kind)i, true);
}

void control_reloaded(struct control *control, uint64_t generation,
		      const char *problem)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];
		struct fields reply;

		if (client->state != CLIENT_WAITS)
			continue;
		reply = client->reply;
		client->reply = (struct fields){NULL, 0, 0, false};
		fields_format(&reply, "generation", "%" PRIu64, generation);
		if (problem)
			fields_put(&reply, "text", problem);
		answer(client, problem ? CONTROL_WRONG : CONTROL_DONE, &reply);
		fields_free(&reply);
	}
}
