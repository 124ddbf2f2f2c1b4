#include "nfqueue/names/dns_asker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "gatekeeper/base/clock.h"

#define ASKS_MAX   2048 /* a power of two */
#define BYTES_MAX  (8 << 20)
#define OVERDUE_NS (2 * CLOCK_NS_PER_S)

struct ask {
	struct dns_held *held;
	const uint8_t *message;
	size_t length;
	int64_t asked_ns;
};

struct dns_asker {
	int fd;
	uint64_t asked; /* numbers given out */
	uint64_t told;	/* numbers come back, in the same order */
	size_t bytes;	/* of payloads held */
	struct ask asks[ASKS_MAX];
	struct dns_link_told answer;
};

int dns_asker_new(int fd, struct dns_asker **ret)
{
	struct dns_asker *asker = calloc(1, sizeof(*asker));

	if (!asker)
		return -ENOMEM;
	asker->fd = fd;
	*ret = asker;
	return 0;
}

static struct ask *ask_of(struct dns_asker *asker, uint64_t number)
{
	return &asker->asks[number % ASKS_MAX];
}

struct dns_asker *dns_asker_free(struct dns_asker *asker)
{
	while (asker && asker->told < asker->asked) {
		struct dns_held *held = ask_of(asker, asker->told++)->held;

		if (!--held->pending)
			dns_asker_release(asker, held);
	}
	free(asker);
	return NULL;
}

int dns_asker_hold(struct dns_asker *asker, const struct queue_packet *queued,
		   struct dns_held **ret)
{
	struct dns_held *held;

	if (asker->bytes + queued->payload_length > BYTES_MAX)
		return DNS_ASKER_FULL;
	held = calloc(1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	held->payload = malloc(queued->payload_length + 1);
	if (!held->payload) {
		free(held);
		return -ENOMEM;
	}
	memcpy(held->payload, queued->payload, queued->payload_length);
	held->queued = *queued;
	held->queued.payload = held->payload;
	if (packet_parse(held->payload, queued->payload_length,
			 &held->packet)) {
		free(held->payload);
		free(held);
		return -EINVAL; /* it was understood a moment ago */
	}
	asker->bytes += queued->payload_length;
	*ret = held;
	return 0;
}

void dns_asker_release(struct dns_asker *asker, struct dns_held *held)
{
	asker->bytes -= held->queued.payload_length;
	free(held->payload);
	free(held);
}

int dns_asker_ask(struct dns_asker *asker, struct dns_held *held,
		  const uint8_t *message, size_t length, int64_t now_ns)
{
	struct dns_link_ask head = {
		.number = asker->asked,
		.kind = held->kind,
	};
	struct iovec parts[] = {
		{&head, sizeof(head)},
		{(void *)(uintptr_t)message, length},
	};
	struct msghdr datagram = {.msg_iov = parts, .msg_iovlen = 2};
	bool is_held = message >= held->packet.data &&
		       message < held->packet.data + held->packet.data_length;

	if (asker->asked - asker->told == ASKS_MAX)
		return DNS_ASKER_FULL;
	if (sendmsg(asker->fd, &datagram, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == EAGAIN || errno == ENOBUFS ? DNS_ASKER_FULL
							   : -errno;
	*ask_of(asker, asker->asked++) = (struct ask){
		.held = held,
		.message = is_held ? message : NULL,
		.length = length,
		.asked_ns = now_ns,
	};
	held->pending++;
	return 0;
}

static bool is_sound(const struct dns_link_told *told, size_t length,
		     const struct ask *ask)
{
	size_t fixed = offsetof(struct dns_link_told, records);

	return length >= fixed && told->count <= DNS_LINK_RECORDS_MAX &&
	       length == fixed + told->count * sizeof(told->records[0]) &&
	       told->question_end <= ask->length &&
	       (told->outcome == DNS_LINK_MALFORMED ||
		(told->outcome == DNS_LINK_UNDERSTOOD &&
		 told->question_end > 12)) &&
	       memchr(told->name, '\0', sizeof(told->name));
}

int dns_asker_take(struct dns_asker *asker, struct dns_asker_told *ret)
{
	const struct dns_link_told *told = &asker->answer;
	ssize_t n = recv(asker->fd, &asker->answer, sizeof(asker->answer),
			 MSG_DONTWAIT);
	const struct ask *ask = ask_of(asker, asker->told);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? DNS_ASKER_EMPTY
							 : -errno;
	if (n == 0)
		return -ECONNRESET;
	if (asker->told == asker->asked || told->number != asker->told ||
	    !is_sound(told, (size_t)n, ask))
		return -EPROTO;
	asker->told++;
	ask->held->pending--;
	*ret = (struct dns_asker_told){ask->held, ask->message, told};
	return 0;
}

bool dns_asker_is_waiting(const struct dns_asker *asker)
{
	return asker->told < asker->asked;
}

bool dns_asker_is_overdue(const struct dns_asker *asker, int64_t now_ns)
{
	return dns_asker_is_waiting(asker) &&
	       now_ns - asker->asks[asker->told % ASKS_MAX].asked_ns >
		       OVERDUE_NS;
}
