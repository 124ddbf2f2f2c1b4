/*
 * leash-dns - reads DNS messages for the net gate
 *
 * Started by gatekeeper alone, together with a net gate, and ends with it.
 * Runs as its own user without any capability: what it reads was written by
 * the agent and by whoever answers it.
 */

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns/dns_message.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/wire/helper_fds.h"

struct asked {
	struct dns_link_ask head;
	char bytes[DNS_LINK_MESSAGE_MAX];
};

static int confine(void)
{
	static const int syscalls[] __attribute__((unused)) = {
		SCMP_SYS(poll),	  SCMP_SYS(ppoll),   SCMP_SYS(recvfrom),
		SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	};
	int r = sandbox_keep(NULL, 0);

	if (r)
		return r;
#ifdef LEASH_NO_SECCOMP /* sanitizers make calls of their own */
	return 0;
#else
	return sandbox_enter(syscalls, sizeof(syscalls) / sizeof(syscalls[0]));
#endif
}

/* Wait until the gate's end is readable, or writable. */
static int wait_for(short events)
{
	struct pollfd gate = {.fd = HELPER_FD_DNS_GATE, .events = events};

	return poll(&gate, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* 0, with *ret_length 0 once the gate is gone. */
static int receive(struct asked *asked, size_t *ret_length)
{
	for (;;) {
		ssize_t n = recv(HELPER_FD_DNS_GATE, asked, sizeof(*asked), 0);
		int r;

		if (n >= 0 || errno == ECONNRESET) {
			*ret_length = n > 0 ? (size_t)n : 0;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_for(POLLIN);
		if (r)
			return r;
	}
}

static int tell(const struct dns_link_told *told)
{
	size_t length = offsetof(struct dns_link_told, records) +
			told->count * sizeof(told->records[0]);

	while (send(HELPER_FD_DNS_GATE, told, length, MSG_NOSIGNAL) < 0) {
		int r;

		if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? 0 : -errno;
		r = wait_for(POLLOUT);
		if (r)
			return r;
	}
	return 0;
}

/* Answer until the gate is gone. */
static int answer_gate(struct asked *asked, struct dns_link_told *told)
{
	size_t length = 0;
	int r;

	for (;;) {
		r = receive(asked, &length);
		if (r || length < sizeof(asked->head))
			return r;
		memset(told, 0, offsetof(struct dns_link_told, records));
		r = dns_message_read(asked->bytes, length - sizeof(asked->head),
				     (enum dns_link_kind)asked->head.kind,
				     told);
		if (r < 0)
			return r;
		told->number = asked->head.number;
		told->outcome = r ? DNS_LINK_MALFORMED : DNS_LINK_UNDERSTOOD;
		if (r)
			told->count = 0;
		r = tell(told);
		if (r)
			return r;
	}
}

int main(void)
{
	static struct asked asked;
	static struct dns_link_told told;
	int r;

	log_start("leash-dns");
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r = confine();
	if (!r)
		r = answer_gate(&asked, &told);
	if (r) {
		errno = -r;
		log_error("cannot go on: %m");
		return 1;
	}
	return 0;
}
