/*
 * The tool gate's server: whose turn it is, what it takes of whom, and what
 * gatekeeper says to it.  What is answered is the test's own.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/toolcall.h"
#include "tests/unit/made_policy.h"
#include "toolcall/answers.h"
#include "toolcall/budget.h"
#include "toolcall/reply.h"
#include "toolcall/server.h"

#define PATIENCE_MS 20000
#define LONG_REPLY  ((size_t)1 << 20)

/* ---- what the server asks */

static struct {
	uint32_t uids[1024]; /* of those who connect, in this order */
	int connected, accepted;
	bool holds;	  /* answers wait for `go` */
	sem_t held, go;	  /* one is held; it may go on */
	char served[256]; /* what was asked, in order */
	int policies, recorded;
	int use_r;
} world;

static struct effort effort;

int judge_use(struct judge *judge, const struct policy *policy)
{
	(void)judge;
	assert_non_null(policy);
	world.policies++;
	return world.use_r;
}

void judge_begin(struct judge *judge)
{
	(void)judge;
	effort_begin(&effort, 0);
}

struct effort *judge_effort(struct judge *judge)
{
	(void)judge;
	return &effort;
}

int request_read(const char *text, size_t length, struct request *ret,
		 const char **ret_problem)
{
	*ret = (struct request){.root = NULL};
	*ret_problem = "no request";
	ret->tool[0] = length ? text[0] : '\0';
	return length && text[0] != '?' ? 0 : REQUEST_WRONG;
}

void request_done(struct request *request)
{
	(void)request;
}

char *reply_plain(const char *verdict, const char *reason)
{
	char *reply = NULL;

	return asprintf(&reply, "%s: %s\n", verdict, reason) < 0 ? NULL : reply;
}

/* Who asks and what; `big` is answered at length. */
char *answers_give(struct answers *answers, const struct ucred *peer, int link,
		   struct request *request)
{
	char *reply = NULL;

	assert_true(link >= 0);
	assert_non_null(answers->policy);
	if (world.holds) {
		sem_post(&world.held);
		sem_wait(&world.go);
	}
	world.served[strlen(world.served)] = request->tool[0];
	if (request->tool[0] == 'B') {
		reply = malloc(LONG_REPLY + 1);
		memset(reply, 'x', LONG_REPLY - 1);
		strcpy(reply + LONG_REPLY - 1, "\n");
		return reply;
	}
	return asprintf(&reply, "%c of %u\n", request->tool[0], peer->uid) < 0
		       ? NULL
		       : reply;
}

void answers_record(struct answers *answers)
{
	(void)answers;
	world.recorded++;
}

/* The kernel's word of who has connected. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	(void)fd;
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(name, SO_PEERCRED);
	assert_true(*size >= sizeof(struct ucred));
	*(struct ucred *)value =
		(struct ucred){.uid = world.uids[world.accepted++]};
	return 0;
}

/* ---- a server that runs */

struct bed {
	int control; /* gatekeeper's end */
	int its_control, listener;
	struct sockaddr_un address;
	struct server *server;
	pthread_t thread;
	int returned;
};

static struct bed bed;

static void *run(void *context)
{
	struct bed *of = context;

	of->returned = server_run(of->server);
	return NULL;
}

static void start(void)
{
	struct server_ends ends = {.wake = -1};
	int pair[2];

	memset(&world, 0, sizeof(world));
	sem_init(&world.held, 0, 0);
	sem_init(&world.go, 0, 0);
	memset(&bed, 0, sizeof(bed));
	assert_int_equal(message_pair(pair), 0);
	bed.control = pair[0];
	bed.its_control = ends.control = pair[1];
	bed.listener = ends.listener =
		socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bed.address.sun_family = AF_UNIX; /* the kernel finds a name for it */
	assert_int_equal(bind(bed.listener, (struct sockaddr *)&bed.address,
			      sizeof(sa_family_t)),
			 0);
	assert_int_equal(listen(bed.listener, 1024), 0);
	assert_int_equal(server_new(&ends, NULL, NULL, &bed.server), 0);
	assert_int_equal(pthread_create(&bed.thread, NULL, run, &bed), 0);
}

static struct message hear(void)
{
	struct pollfd waiting = {.fd = bed.control, .events = POLLIN};
	struct message message;
	int fd = -1;

	assert_int_equal(poll(&waiting, 1, PATIENCE_MS), 1);
	assert_int_equal(message_receive(bed.control, &message, &fd), 0);
	return message;
}

static void say(uint32_t type, uint64_t value, int fd)
{
	const struct message message = {.type = type, .value = value};

	assert_int_equal(message_send(bed.control, &message, fd), 0);
}

/* puppy (1000 and 2000 to 2009) and kitten (1001). */
static void send_policy(uint64_t generation)
{
	CLEANUP(fd_close) int fd = -1;
	struct message answer;
	struct made_policy made;

	made_policy_begin(&made);
	made_policy_account(&made, "kitten", 1001);
	fd = made_policy_end_fd(&made, generation);
	say(MESSAGE_POLICY, 0, fd);
	answer = hear();
	assert_int_equal(answer.type, MESSAGE_LOADED);
	assert_int_equal(answer.value, generation);
}

static int begin(void **state)
{
	(void)state;
	start();
	send_policy(3);
	return 0;
}

static int end(void **state)
{
	(void)state;
	say(MESSAGE_STOP, 0, -1);
	assert_int_equal(pthread_join(bed.thread, NULL), 0);
	assert_int_equal(bed.returned, 0);
	server_free(bed.server);
	fd_close(bed.control);
	fd_close(bed.its_control);
	fd_close(bed.listener);
	return 0;
}

static int connect_as(uint32_t uid)
{
	socklen_t size = sizeof(bed.address);
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(bed.listener,
				     (struct sockaddr *)&bed.address, &size),
			 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	world.uids[world.connected++] = uid;
	assert_int_equal(connect(fd, (struct sockaddr *)&bed.address, size), 0);
	return fd;
}

static void ask(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
}

/* One line, without its end; "" once the connection is closed. */
static const char *reply_to(int fd)
{
	static char line[256];
	size_t length = 0;

	while (length < sizeof(line) - 1 &&
	       recv(fd, line + length, 1, 0) == 1 && line[length] != '\n')
		length++;
	line[length] = '\0';
	return line;
}

static bool is_closed(int fd)
{
	char byte;
	ssize_t n;

	do
		n = recv(fd, &byte, 1, 0);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

/* ---- tests */

static void requests(void **state)
{
	int fd = connect_as(1000), other = connect_as(5);

	(void)state;
	ask(fd, "a");
	ask(other, "b\n");
	assert_string_equal(reply_to(other), "b of 5");
	ask(fd, " request\nc\n?\nd\n"); /* in parts, and several at once */
	assert_string_equal(reply_to(fd), "a of 1000");
	assert_string_equal(reply_to(fd), "c of 1000");
	assert_string_equal(reply_to(fd), "deny: no request");
	assert_string_equal(reply_to(fd), "d of 1000");
	fd_close(fd);
	ask(other, "e\n");
	assert_string_equal(reply_to(other), "e of 5");
	say(MESSAGE_PING, 0, -1); /* a record comes after its reply */
	(void)hear();
	assert_int_equal(world.recorded, 6);
	fd_close(other);
}

/* One that is known to be served. */
static int connect_and_ask(uint32_t uid)
{
	int fd = connect_as(uid);

	ask(fd, "x\n");
	assert_int_equal(reply_to(fd)[0], 'x');
	return fd;
}

/* While one is judged, others ask: who has taken least is next. */
static void turns(void **state)
{
	int busy[3], other, again;

	(void)state;
	for (int i = 0; i < 3; i++)
		busy[i] = connect_and_ask(i == 2 ? 2005 : 1000);
	other = connect_and_ask(1001);
	again = connect_and_ask(7);
	memset(world.served, 0, sizeof(world.served));
	world.holds = true;
	ask(busy[0], "1\n2\n");
	sem_wait(&world.held);
	ask(busy[1], "3\n4\n");
	ask(busy[2], "5\n");
	ask(other, "k\n");
	ask(again, "z\n");
	for (volatile int i = 0; i < 3000000; i++)
		; /* what is judged costs puppy, whatever the others cost */
	world.holds = false;
	sem_post(&world.go);
	for (int i = 0; i < 2; i++)
		assert_int_equal(strlen(reply_to(busy[0])),
				 strlen("1 of 1000"));
	for (int i = 0; i < 2; i++)
		reply_to(busy[1]);
	assert_string_equal(reply_to(busy[2]), "5 of 2005");
	assert_string_equal(reply_to(other), "k of 1001");
	assert_string_equal(reply_to(again), "z of 7");
	/* Two that ask for little come before the rest of one that asks for
	 * much; and its connections take turns. */
	assert_int_equal(strlen(world.served), 7);
	assert_int_equal(world.served[0], '1');
	assert_in_range(strcspn(world.served, "k"), 1, 2);
	assert_in_range(strcspn(world.served, "z"), 1, 2);
	assert_string_equal(world.served + 3, "2354");
	for (int i = 0; i < 3; i++)
		fd_close(busy[i]);
	fd_close(other);
	fd_close(again);
}

/* An account has so many connections, by whichever of its uids, and others
 * have theirs. */
static void connections(void **state)
{
	int fds[BUDGET_CONNECTIONS], more, other;

	(void)state;
	for (int i = 0; i < BUDGET_CONNECTIONS; i++)
		fds[i] = connect_as(i % 2 ? 2000 : 1000);
	more = connect_as(2001);
	assert_true(is_closed(more));
	other = connect_as(1001);
	ask(other, "a\n");
	assert_string_equal(reply_to(other), "a of 1001");
	fd_close(more);
	fd_close(fds[0]);
	ask(fds[1], "b\n"); /* by then the other's end has been seen */
	assert_string_equal(reply_to(fds[1]), "b of 2000");
	more = connect_as(1000);
	ask(more, "c\n");
	assert_string_equal(reply_to(more), "c of 1000");
	fd_close(more);
	fd_close(other);
	for (int i = 1; i < BUDGET_CONNECTIONS; i++)
		fd_close(fds[i]);
}

static void send_much(int fd, size_t bytes)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	while (bytes) {
		size_t some = bytes < sizeof(block) ? bytes : sizeof(block);
		ssize_t n = send(fd, block, some, MSG_NOSIGNAL);

		if (n < 0)
			return; /* it was told no already */
		bytes -= (size_t)n;
	}
}

static void long_requests(void **state)
{
	int fd = connect_as(1000);

	(void)state;
	/* As long as it may be, with its end; and one byte more. */
	send_much(fd, TOOLCALL_REQUEST_MAX - 1);
	ask(fd, "\n");
	assert_string_equal(reply_to(fd), "x of 1000");
	send_much(fd, TOOLCALL_REQUEST_MAX);
	ask(fd, "\n");
	assert_string_equal(reply_to(fd), "deny: the request is over 8 MiB");
	assert_true(is_closed(fd));
	fd_close(fd);
}

/* What is kept of an account's requests has a bound, which is not others'. */
static void many_bytes(void **state)
{
	enum {
		FULL = BUDGET_BYTES / TOOLCALL_REQUEST_MAX
	};
	int fds[FULL], more, other;

	(void)state;
	for (int i = 0; i < FULL; i++) {
		fds[i] = connect_as(1000);
		send_much(fds[i], TOOLCALL_REQUEST_MAX - 100000);
	}
	more = connect_as(2000);
	other = connect_as(1001);
	/* All that was sent has been read once these are answered. */
	ask(other, "a\n");
	assert_string_equal(reply_to(other), "a of 1001");
	ask(more, "b");
	assert_non_null(strstr(reply_to(more), "deny: the account's "));
	assert_true(is_closed(more));
	fd_close(more);
	for (int i = 0; i < FULL; i++)
		fd_close(fds[i]);
	ask(other, "c\n");
	assert_string_equal(reply_to(other), "c of 1001");
	more = connect_as(1000);
	ask(more, "d\n");
	assert_string_equal(reply_to(more), "d of 1000");
	fd_close(more);
	fd_close(other);
}

/* Who does not take its answers waits for nobody, and nobody for it. */
static void answers_not_taken(void **state)
{
	int fds[BUDGET_CONNECTIONS], other = connect_as(1001);
	int refused = 0;

	(void)state;
	/* Each asks for 1 MiB; its request takes 64 KiB. */
	for (int i = 0; i < BUDGET_CONNECTIONS; i++) {
		fds[i] = connect_as(1000);
		ask(fds[i], "B\n");
		ask(other, "o\n");
		assert_string_equal(reply_to(other), "o of 1001");
	}
	for (int i = 0; i < BUDGET_CONNECTIONS; i++) {
		char first;

		assert_int_equal(recv(fds[i], &first, 1, 0), 1);
		refused += first == 'd';
		/* One that is taken after all is taken whole. */
		for (size_t n = 1; i == 0 && n < LONG_REPLY; n++)
			assert_int_equal(recv(fds[i], &first, 1, 0), 1);
	}
	assert_in_range(refused, 1, BUDGET_CONNECTIONS / 8);
	ask(fds[0], "e\n");
	assert_string_equal(reply_to(fds[0]), "e of 1000");
	for (int i = 0; i < BUDGET_CONNECTIONS; i++)
		fd_close(fds[i]);
	fd_close(other);
}

/* Nobody is heard before there is a policy, and a bad one changes nothing. */
static void policies(void **state)
{
	CLEANUP(fd_close) int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct message answer;
	struct made_policy made;
	int fd, image;

	(void)state;
	start();
	fd = connect_as(1000);
	ask(fd, "a\n");
	say(MESSAGE_PING, 77, -1);
	answer = hear();
	assert_int_equal(answer.type, MESSAGE_PONG);
	assert_int_equal(answer.value, 77);
	assert_int_equal(world.accepted, 0);
	say(MESSAGE_POLICY, 0, none);
	assert_int_equal(hear().type, MESSAGE_FAILED);
	assert_int_equal(world.accepted, 0);
	send_policy(4);
	assert_string_equal(reply_to(fd), "a of 1000");
	send_policy(5);
	world.use_r = -ENOMEM; /* one by which cannot be judged */
	made_policy_begin(&made);
	image = made_policy_end_fd(&made, 6);
	say(MESSAGE_POLICY, 0, image);
	answer = hear();
	assert_int_equal(answer.type, MESSAGE_FAILED);
	assert_int_equal(answer.value, ENOMEM);
	ask(fd, "b\n");
	assert_string_equal(reply_to(fd), "b of 1000");
	fd_close(image);
	fd_close(fd);
	end(NULL);
}

/* gatekeeper gone: it goes on with its policy, and ends without one. */
static void orphans(void **state)
{
	int fd;

	(void)state;
	start();
	bed.control = fd_close(bed.control);
	assert_int_equal(pthread_join(bed.thread, NULL), 0);
	assert_int_equal(bed.returned, 0);
	server_free(bed.server);
	fd_close(bed.its_control);
	fd_close(bed.listener);

	start();
	send_policy(1);
	say(MESSAGE_PING, 1, -1); /* nobody will hear the answer */
	bed.control = fd_close(bed.control);
	fd = connect_as(1000);
	ask(fd, "a\n");
	assert_string_equal(reply_to(fd), "a of 1000");
	fd_close(fd);
	pthread_cancel(bed.thread); /* waits for whom it may serve */
	assert_int_equal(pthread_join(bed.thread, NULL), 0);
	server_free(bed.server);
	fd_close(bed.its_control);
	fd_close(bed.listener);
}

static void odd_messages(void **state)
{
	(void)state;
	start();
	say(MESSAGE_GO, 0, -1);
	assert_int_equal(pthread_join(bed.thread, NULL), 0);
	assert_int_equal(bed.returned, -EPROTO);
	server_free(bed.server);
	fd_close(bed.control);
	fd_close(bed.its_control);
	fd_close(bed.listener);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(requests),
		CASE(turns),
		CASE(connections),
		CASE(long_requests),
		CASE(many_bytes),
		CASE(answers_not_taken),
		cmocka_unit_test(policies),
		cmocka_unit_test(orphans),
		cmocka_unit_test(odd_messages),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
