/*
 * One loop, which waits for packets, for leash-dns and for gatekeeper, and for
 * nothing else.
 */

#include "nfqueue/net_gate.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/gate_state.h"
#include "nfqueue/judge_flow.h"
#include "nfqueue/names/judge_name.h"

/* The predecessor's queues are free once it is dead. */
#define BIND_RETRY_NS	(10 * CLOCK_NS_PER_MS)
#define BIND_TIMEOUT_NS (15 * CLOCK_NS_PER_S)

/* The other end of a connection may be on this machine: that work is short. */
#define CROWDED_NS (60 * (CLOCK_NS_PER_MS / 1000))

/* Under load, look at the control socket after so many packets. */
#define PACKETS_PER_TURN 64

/* How long a wait may be while leash-dns has something to tell. */
#define WAIT_FOR_DNS_MS	   500

#define CLIENT_BYTES_MAX   (32 * 1024) /* of what has yet to say a name */
#define RESOLVER_BYTES_MAX (2 * 65537) /* a message, and the next */

static int bind_queue(struct net_gate *gate, uint16_t number)
{
	const struct timespec pause = {.tv_nsec = BIND_RETRY_NS};
	int64_t deadline_ns = clock_monotonic_ns() + BIND_TIMEOUT_NS;
	int r;

	for (;;) {
		r = queue_bind(gate->queue, number, PACKET_COPY_BYTES);
		if (r != QUEUE_TAKEN)
			return r;
		if (clock_monotonic_ns() > deadline_ns)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
}

int net_gate_new(const struct net_gate_ends *ends, struct net_gate **ret)
{
	CLEANUP(net_gate_free) struct net_gate *gate = calloc(1, sizeof(*gate));
	int r;

	if (!gate)
		return -ENOMEM;
	gate->ends = *ends;
	busy_poll_init(&gate->busy_poll, CROWDED_NS);
	r = queue_new(&gate->queue);
	if (!r)
		r = socket_owner_new(ends->proc, &gate->owner);
	if (!r)
		r = streams_new(CLIENT_BYTES_MAX, &gate->clients);
	if (!r)
		r = streams_new(RESOLVER_BYTES_MAX, &gate->resolvers);
	if (!r)
		r = streams_new(RESOLVER_BYTES_MAX, &gate->askers);
	if (!r)
		r = questions_new(&gate->questions);
	if (!r)
		r = name_limits_new(&gate->limits);
	if (!r)
		r = dns_asker_new(ends->dns, &gate->asker);
	if (!r)
		r = bind_queue(gate, NET_QUEUE_OUT);
	if (!r)
		r = bind_queue(gate, NET_QUEUE_IN);
	if (!r)
		r = bind_queue(gate, NET_QUEUE_DNS);
	if (r)
		return r;
	*ret = STEAL(gate);
	return 0;
}

struct net_gate *net_gate_free(struct net_gate *gate)
{
	if (!gate)
		return NULL;
	queue_free(gate->queue);
	socket_owner_free(gate->owner);
	streams_free(gate->clients);
	streams_free(gate->resolvers);
	streams_free(gate->askers);
	questions_free(gate->questions);
	name_limits_free(gate->limits);
	dns_asker_free(gate->asker);
	policy_free(gate->policy);
	free(gate);
	return NULL;
}

static void answer_packet(struct net_gate *gate,
			  const struct queue_packet *queued)
{
	if (queued->queue == NET_QUEUE_DNS)
		judge_name_answer(gate, queued);
	else
		judge_flow_packet(gate, queued);
}

static void complain(struct net_gate *gate, const char *what)
{
	int64_t now_s = clock_monotonic_ns() / CLOCK_NS_PER_S;

	if (now_s != gate->complained_s)
		log_warning("%s", what);
	gate->complained_s = now_s;
}

/* Answer packets until none has come for as long as is worth waiting. */
static int answer_packets(struct net_gate *gate)
{
	for (int i = 0; i < PACKETS_PER_TURN;) {
		struct queue_packet queued;
		int r = dns_asker_is_waiting(gate->asker)
				? judge_name_told(gate)
				: 0;

		if (r)
			return r;
		r = queue_receive(gate->queue, &queued);
		switch (r) {
		case 0:
			answer_packet(gate, &queued);
			busy_poll_found(&gate->busy_poll, clock_monotonic_ns());
			break;
		case QUEUE_EMPTY:
			if (!busy_poll_look_again(&gate->busy_poll,
						  clock_monotonic_ns()))
				return 0;
			break;
		case QUEUE_LOST:
			complain(gate, "packets came faster than they could "
				       "be judged; the kernel has refused "
				       "some");
			break;
		case QUEUE_MALFORMED:
			complain(gate, "the kernel sent a message that is no "
				       "packet");
			break;
		default:
			return r;
		}
		i += r != QUEUE_EMPTY;
	}
	return 0;
}

static bool must_cut(void *context, uint32_t uid, const struct packet *packet)
{
	return judge_flow_must_cut(context, uid, packet);
}

static int load_policy(struct net_gate *gate, int fd, uint64_t *ret_generation)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	bool first = !gate->policy;
	int r = policy_map(fd, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	*ret_generation = policy_generation(policy);
	policy_free(gate->policy);
	gate->policy = STEAL(policy);
	r = socket_owner_cut(gate->owner, must_cut, gate);
	if (r < 0) {
		errno = -r;
		log_warning("cannot look through open connections: %m; each "
			    "is judged again at its next packet");
	} else if (r > 0) {
		log_notice("%d open connection(s) cut that %s", r,
			   first ? "the policy does not allow"
				 : "the new policy no longer allows");
	}
	return 0;
}

static int take_policy(struct net_gate *gate, int fd)
{
	struct message reply = {.type = MESSAGE_LOADED};
	int r = load_policy(gate, fd, &reply.value);

	if (r) {
		reply.type = MESSAGE_FAILED;
		reply.value = (uint64_t)-r;
	}
	return message_answer(gate->ends.control, &reply);
}

static int take_message(struct net_gate *gate)
{
	CLEANUP(fd_close) int fd = -1;
	struct message message;
	int r = message_receive(gate->ends.control, &message, &fd);

	if (r == MESSAGE_NONE)
		return 0;
	if (r == MESSAGE_CLOSED) {
		log_error("gatekeeper is gone; going on with the policy in "
			  "force");
		gate->orphaned = true;
		gate->stopping = !gate->policy;
		return 0;
	}
	if (r)
		return r < 0 ? r : -EPROTO;
	switch (message.type) {
	case MESSAGE_POLICY:
		return take_policy(gate, fd);
	case MESSAGE_PING:
		return message_answer(
			gate->ends.control,
			&(struct message){.type = MESSAGE_PONG,
					  .value = message.value});
	case MESSAGE_STOP:
		gate->stopping = true;
		return 0;
	default:
		return -EPROTO;
	}
}

int net_gate_run(struct net_gate *gate)
{
	int r = 0;

	while (!r && !gate->stopping) {
		struct pollfd waiting[] = {
			{.fd = gate->policy ? queue_fd(gate->queue) : -1,
			 .events = POLLIN},
			{.fd = gate->orphaned ? -1 : gate->ends.control,
			 .events = POLLIN},
			{.fd = gate->ends.dns, .events = POLLIN},
		};

		if (poll(waiting, 3, WAIT_FOR_DNS_MS) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (waiting[1].revents)
			r = take_message(gate);
		if (!r &&
		    (waiting[2].revents || dns_asker_is_waiting(gate->asker)))
			r = judge_name_told(gate);
		if (!r && waiting[0].revents)
			r = answer_packets(gate);
	}
	return r;
}
