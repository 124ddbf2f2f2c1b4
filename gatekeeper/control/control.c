#include "gatekeeper/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/control/control_job.h"
#include "gatekeeper/control/local_edit.h"
#include "gatekeeper/wire/control.h"

#define CLIENTS		   16
#define REQUEST_TIMEOUT_NS (2 * CLOCK_NS_PER_S)
#define RELOAD_TIMEOUT_NS  (90 * CLOCK_NS_PER_S)
#define REFUSED_PER_TICK   50 /* accounts that knock */

#define FOR_OTHERS	   "only root and the group " CONTROL_GROUP " may"

#define MESSAGE_MAX	   (sizeof(struct control_header) + FIELDS_MAX)

enum client_state {
	CLIENT_NONE,
	CLIENT_ASKS,   /* its request is awaited */
	CLIENT_QUEUES, /* for the one job */
	CLIENT_WORKS,  /* its job runs */
	CLIENT_WAITS,  /* for the reload */
};

struct client {
	enum client_state state;
	struct control *control; /* whose it is */
	int fd;			 /* owned */
	struct loop_source source;
	uid_t uid;
	int64_t since_ns;
	uint64_t turn;	     /* in the queue */
	struct fields reply; /* owned: what the job said */
	char *request;	     /* owned: the message, for the job */
	size_t request_bytes;
};

struct control {
	struct control_owner owner;
	struct loop *loop; /* borrowed */
	int folder;	   /* likewise */
	int socket;	   /* owned */
	struct loop_source source;
	struct client clients[CLIENTS];
	int refusals_left;
	uint64_t turns;
	struct control_job job;
	uint64_t worked_for; /* that client's turn */
	char message[MESSAGE_MAX];
};

static void take_client(void *context);

static int make_socket(struct control *control)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct group *group = getgrnam(CONTROL_GROUP);
	gid_t gid = group ? group->gr_gid : 0;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (fd < 0)
		return -errno;
	control->socket = fd;
	control->source = (struct loop_source){
		.fd = fd,
		.happened = take_client,
		.context = control,
	};
	snprintf(address.sun_path, sizeof(address.sun_path),
		 "/proc/self/fd/%d/" CONTROL_SOCKET, control->folder);
	unlinkat(control->folder, CONTROL_SOCKET, 0); /* of one that died */
	/* Nobody else can reach it before its mode is right. */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchownat(control->folder, CONTROL_SOCKET, 0, gid,
		     AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(control->folder, CONTROL_SOCKET, 0660, 0) < 0 ||
	    listen(fd, CLIENTS) < 0)
		return -errno;
	return loop_add(control->loop, &control->source);
}

int control_new(const struct control_owner *owner, struct loop *loop,
		int run_folder, struct control **ret)
{
	CLEANUP(control_free)
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return -ENOMEM;
	control->owner = *owner;
	control->loop = loop;
	control->folder = run_folder;
	control->refusals_left = REFUSED_PER_TICK;
	control->socket = -1;
	r = make_socket(control);
	if (!r)
		*ret = STEAL(control);
	return r;
}

static void end_client(struct client *client)
{
	if (client->state == CLIENT_NONE)
		return;
	loop_remove(&client->source);
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
	loop_remove(&control->source);
	if (control->socket >= 0)
		unlinkat(control->folder, CONTROL_SOCKET, 0);
	fd_close(control->socket);
	free(control);
	return NULL;
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

static struct client *free_slot(struct control *control)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (control->clients[i].state == CLIENT_NONE)
			return &control->clients[i];
	return NULL;
}

static void hear_client(void *context);

/*
 * Whatever group it is in, an account is told so and not listened to: nothing
 * that it writes is for this process to read.
 */
static bool is_refused(struct control *control, struct client *client)
{
	const struct policy *policy =
		control->owner.policy(control->owner.context);

	if (policy_account_of(policy, client->uid) == POLICY_NONE)
		return false;
	answer_text(client, CONTROL_REFUSED, FOR_OTHERS);
	if (--control->refusals_left <= 0)
		loop_remove(&control->source); /* until the next tick */
	return true;
}

static void take_client(void *context)
{
	struct control *control = context;
	struct client *client = free_slot(control);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd;

	if (!client) {
		loop_remove(&control->source); /* until the next tick */
		return;
	}
	fd = accept4(control->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	*client = (struct client){
		.state = CLIENT_ASKS,
		.control = control,
		.fd = fd,
		.since_ns = clock_monotonic_ns(),
		.source = {.fd = fd,
			   .happened = hear_client,
			   .context = client},
	};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		end_client(client);
		return;
	}
	client->uid = peer.uid;
	if (!is_refused(control, client) &&
	    loop_add(control->loop, &client->source))
		end_client(client);
}

static void serve_status(struct control *control, struct client *client)
{
	struct fields reply = {NULL, 0, 0, false};

	control->owner.status(control->owner.context, &reply);
	answer(client, CONTROL_DONE, &reply);
	fields_free(&reply);
}

static void hear_job(void *context);

static void start_job(struct control *control, struct client *client)
{
	const struct control_job_order order = {
		.source = control->owner.source,
		.policy = control->owner.policy(control->owner.context),
		.uid = client->uid,
		.message = client->request,
		.bytes = client->request_bytes,
	};
	int r;

	control->job.heard = hear_job;
	control->job.context = control;
	r = control_job_start(control->loop, &order, &control->job);
	if (r) {
		answer_text(client, CONTROL_WRONG, strerror(-r));
		return;
	}
	client->state = CLIENT_WORKS;
	control->worked_for = client->turn;
}

static void start_next_job(struct control *control)
{
	struct client *next = NULL;

	if (control_job_runs(&control->job))
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

static void serve(struct control *control, struct client *client, size_t bytes)
{
	const struct control_header *header = (void *)control->message;
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
	if (header->what == CONTROL_ASK_STATUS)
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

static void hear_client(void *context)
{
	struct client *client = context;
	struct control *control = client->control;
	ssize_t bytes;

	/* A reload may have leashed it since. */
	if (is_refused(control, client))
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
		serve(control, client, (size_t)bytes);
}

static void hear_job(void *context)
{
	struct control *control = context;
	struct client *client = NULL;
	struct control_job_result result;

	if (!control_job_finish(&control->job, control->message,
				sizeof(control->message), &result))
		return;
	control_job_end(&control->job);
	if (result.reload)
		control->owner.reload(control->owner.context);
	if (result.wrong)
		control->owner.wrong(control->owner.context);
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
	control->refusals_left = REFUSED_PER_TICK;
	if (!control->source.loop && loop_add(control->loop, &control->source))
		log_error("cannot listen for who asks: %m");
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
