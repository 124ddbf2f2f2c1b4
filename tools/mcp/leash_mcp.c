/*
 * leash-mcp - stands between an MCP client and a server; see leash-mcp(1)
 *
 * Lines go both ways through one loop.  Nothing is read from one side while
 * something for the other still waits: memory is bounded by the longest
 * message, and whoever is slow slows the other down as without us.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/options.h"
#include "tools/mcp/mcp_judge.h"

#define MESSAGE_MAX  ((size_t)128 << 20)
#define READ_BYTES   ((size_t)256 << 10)
#define EXIT_PROBLEM 2

/* What comes in, and what waits to go out. */
struct stream {
	int in;	 /* -1: at its end */
	int out; /* -1: nobody takes it any more */
	char *bytes;
	size_t length, room, searched;
	char *waiting; /* for out */
	size_t waiting_length, waiting_sent, waiting_room;
	bool skipping; /* the rest of a line that is too long */
};

enum {
	CLIENT,
	SERVER
};

struct proxy {
	/* By where it comes from: its `out` is the other's input. */
	struct stream from[2];
	struct mcp_judge *judge;
	pid_t child;
};

static volatile sig_atomic_t child_pid, last_signal;

static void pass_signal(int number)
{
	last_signal = number;
	if (child_pid > 0)
		kill((pid_t)child_pid, number);
}

static bool queue(struct stream *stream, const char *text, size_t length)
{
	if (stream->waiting_length + length > stream->waiting_room) {
		size_t room = stream->waiting_length + length + READ_BYTES;
		char *grown = realloc(stream->waiting, room);

		if (!grown)
			return false;
		stream->waiting = grown;
		stream->waiting_room = room;
	}
	memcpy(stream->waiting + stream->waiting_length, text, length);
	stream->waiting_length += length;
	return true;
}

static void send_waiting(struct stream *stream)
{
	while (stream->out >= 0 &&
	       stream->waiting_sent < stream->waiting_length) {
		size_t left = stream->waiting_length - stream->waiting_sent;
		struct pollfd out = {.fd = stream->out, .events = POLLOUT};
		ssize_t n;

		/* What we have not made we may not make non-blocking. */
		if (stream->out == STDOUT_FILENO) {
			if (poll(&out, 1, 0) <= 0)
				return;
			left = left < PIPE_BUF ? left : PIPE_BUF;
		}
		n = write(stream->out, stream->waiting + stream->waiting_sent,
			  left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			stream->out = fd_close(stream->out);
			break;
		}
		stream->waiting_sent += (size_t)n;
	}
	stream->waiting_length = stream->waiting_sent = 0;
	if (stream->waiting_room > READ_BYTES * 8) {
		free(stream->waiting);
		stream->waiting = NULL;
		stream->waiting_room = 0;
	}
}

static bool is_blank(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr(" \t\r", text[i]))
			return false;
	return true;
}

/* Judge one line and put it, or what replaces it, where it goes. */
static bool take_line(struct proxy *proxy, int side, const char *text,
		      size_t length, bool ended)
{
	struct stream *forward = &proxy->from[side];
	struct stream *back = &proxy->from[!side];
	struct mcp_fate fate = {.unchanged = true};
	bool right = true;

	if (!is_blank(text, length)) {
		if (side == CLIENT)
			mcp_judge_from_client(proxy->judge, text, length,
					      &fate);
		else
			mcp_judge_from_server(proxy->judge, text, length,
					      &fate);
	}
	if (fate.unchanged)
		right = queue(forward, text, length) &&
			(!ended || queue(forward, "\n", 1));
	if (fate.forward)
		right = right &&
			queue(forward, fate.forward, strlen(fate.forward));
	if (fate.back)
		right = right && queue(back, fate.back, strlen(fate.back));
	free(fate.forward);
	free(fate.back);
	return right;
}

static bool too_long(struct proxy *proxy, int side)
{
	struct stream *stream = &proxy->from[side];
	char *text;
	bool right;

	if (side == SERVER) {
		fputs("leash-mcp: the server's message is over 128 MiB\n",
		      stderr);
		return false;
	}
	text = mcp_judge_too_long();
	right = text && queue(&proxy->from[SERVER], text, strlen(text));
	free(text);
	stream->length = stream->searched = 0;
	stream->skipping = true;
	return right;
}

/* All whole lines of what has come. */
static bool take_lines(struct proxy *proxy, int side)
{
	struct stream *stream = &proxy->from[side];
	size_t begin = 0;
	char *end;

	while ((end = memchr(stream->bytes + stream->searched, '\n',
			     stream->length - stream->searched))) {
		size_t at = (size_t)(end - stream->bytes);

		if (!stream->skipping &&
		    !take_line(proxy, side, stream->bytes + begin, at - begin,
			       true))
			return false;
		stream->skipping = false;
		begin = stream->searched = at + 1;
	}
	stream->length -= begin;
	memmove(stream->bytes, stream->bytes + begin, stream->length);
	stream->searched = stream->length;
	if (stream->skipping)
		stream->length = stream->searched = 0;
	if (stream->room > READ_BYTES * 8 && stream->length < READ_BYTES) {
		char *smaller = realloc(stream->bytes, READ_BYTES * 2);

		if (smaller) {
			stream->bytes = smaller;
			stream->room = READ_BYTES * 2;
		}
	}
	return stream->length < MESSAGE_MAX || too_long(proxy, side);
}

static bool take_end(struct proxy *proxy, int side)
{
	struct stream *stream = &proxy->from[side];
	bool right = true;

	/* A last line without its end is a message all the same. */
	if (stream->length && !stream->skipping)
		right = take_line(proxy, side, stream->bytes, stream->length,
				  false);
	stream->length = 0;
	stream->in = fd_close(stream->in);
	return right;
}

static bool take_bytes(struct proxy *proxy, int side)
{
	struct stream *stream = &proxy->from[side];
	ssize_t n;

	if (stream->room - stream->length < READ_BYTES) {
		size_t room = stream->room ? stream->room * 2 : READ_BYTES * 2;
		char *grown = realloc(stream->bytes, room);

		if (!grown)
			return false;
		stream->bytes = grown;
		stream->room = room;
	}
	n = read(stream->in, stream->bytes + stream->length,
		 stream->room - stream->length);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return take_end(proxy, side);
	stream->length += (size_t)n;
	return take_lines(proxy, side);
}

/* Both ends: -1 where there is nothing to wait for. */
static void list_polls(const struct proxy *proxy, struct pollfd polls[4])
{
	for (int side = 0; side < 2; side++) {
		const struct stream *stream = &proxy->from[side];
		bool waiting = stream->waiting_length > 0;
		bool other = proxy->from[!side].waiting_length > 0;

		polls[side] = (struct pollfd){
			.fd = waiting || other ? -1 : stream->in,
			.events = POLLIN,
		};
		polls[2 + side] = (struct pollfd){
			.fd = waiting ? stream->out : -1,
			.events = POLLOUT,
		};
	}
}

/* False: there is no going on. */
static bool take_turn(struct proxy *proxy)
{
	struct pollfd polls[4];

	list_polls(proxy, polls);
	if (poll(polls, 4, -1) < 0)
		return errno == EINTR;
	for (int side = 0; side < 2; side++) {
		if (polls[side].revents && proxy->from[side].in >= 0 &&
		    !take_bytes(proxy, side))
			return false;
		send_waiting(&proxy->from[side]);
	}
	/* The client has nothing more to say: the server is to know. */
	for (int side = 0; side < 2; side++)
		if (proxy->from[side].in < 0 &&
		    !proxy->from[side].waiting_length)
			proxy->from[side].out = fd_close(proxy->from[side].out);
	return true;
}

static int run(struct proxy *proxy)
{
	/* Until the server has said its last word. */
	while (proxy->from[SERVER].in >= 0 ||
	       (proxy->from[SERVER].out >= 0 &&
		proxy->from[SERVER].waiting_length))
		if (!take_turn(proxy)) {
			kill(proxy->child, SIGTERM);
			return EXIT_PROBLEM;
		}
	proxy->from[CLIENT].out = fd_close(proxy->from[CLIENT].out);
	return 0;
}

static int end_like(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_PROBLEM;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	/* Whoever started us sees what the server died of. */
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static void be_server(const int to[2], const int from[2], char **command)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(to[0], STDIN_FILENO) < 0 || dup2(from[1], STDOUT_FILENO) < 0)
		_exit(126);
	execvp(command[0], command);
	fprintf(stderr, "leash-mcp: %s cannot be started: %s\n", command[0],
		strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static int start(struct proxy *proxy, char **command)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return -errno;
	proxy->child = fork();
	if (proxy->child < 0)
		return -errno;
	if (proxy->child == 0)
		be_server(to, from, command);
	child_pid = proxy->child;
	close(to[0]);
	close(from[1]);
	proxy->from[CLIENT].in = STDIN_FILENO;
	proxy->from[CLIENT].out = to[1];
	proxy->from[SERVER].in = from[0];
	proxy->from[SERVER].out = STDOUT_FILENO;
	if (fcntl(to[1], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(from[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static void take_signals(void)
{
	static const int passed[] = {SIGTERM, SIGINT,  SIGHUP,
				     SIGUSR1, SIGUSR2, SIGQUIT};
	struct sigaction action = {.sa_handler = pass_signal};

	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		sigaction(passed[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Letters, digits, - and _: it is part of tools' names. */
static void make_name(const char *path, char ret[static 65])
{
	const char *slash = strrchr(path, '/');
	size_t n = 0;

	for (path = slash ? slash + 1 : path; *path && n < 64; path++)
		ret[n++] = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQR"
				  "STUVWXYZ0123456789_-",
				  *path)
				   ? *path
				   : '-';
	ret[n] = '\0';
}

int main(int argc, char **argv)
{
	const char *name = NULL;
	const struct options_row rows[] = {
		{"name", 0, "NAME", "what the server is called in rules",
		 .text = &name},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash-mcp",
		.version = LEASH_VERSION,
		.synopsis = "[OPTION...] -- SERVER [ARGUMENT...]",
		.rows = rows,
		.least = 1,
		.most = OPTIONS_ANY,
		.stops = true,
	};
	CLEANUP(mcp_judge_free) struct mcp_judge *judge = NULL;
	struct proxy proxy = {.child = -1};
	char own_name[65], **server;
	int r;

	r = options_read(&command, argc, argv, &server);
	if (r >= 0)
		return r;
	make_name(name ? name : server[0], own_name);
	if (!own_name[0] || (name && strcmp(name, own_name)))
		return options_wrong(command.name,
				     "a name is made of letters, digits, - "
				     "and _, at most 64");
	take_signals();
	/* What passes here must not end in a core dump. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return EXIT_PROBLEM;
	r = mcp_judge_new(own_name, &judge);
	proxy.judge = judge;
	if (!r)
		r = start(&proxy, server);
	if (r) {
		fprintf(stderr, "leash-mcp: %s\n", strerror(-r));
		return EXIT_PROBLEM;
	}
	r = run(&proxy);
	return r ? r : end_like(proxy.child);
}
