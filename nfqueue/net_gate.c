/*
 * Verdict, then record: whose process it was is looked for once the packet is
 * on its way, except where a rule names a program.
 *
 * Nothing here waits but for packets and for gatekeeper.
 */

#include "nfqueue/net_gate.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/base/patience.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/net_queue.h"
#include "gatekeeper/wire/record.h"
#include "nfqueue/packet.h"
#include "nfqueue/queue.h"
#include "nfqueue/refusal.h"
#include "nfqueue/socket_owner.h"

/* The predecessor's queues are free once it is dead. */
#define BIND_RETRY_NS	(10 * CLOCK_NS_PER_MS)
#define BIND_TIMEOUT_NS (15 * CLOCK_NS_PER_S)

/* The other end of a connection may be on this machine: that work is short. */
#define CROWDED_NS (60 * (CLOCK_NS_PER_MS / 1000))

/* Under load, look at the control socket after so many packets. */
#define PACKETS_PER_TURN 64

struct net_gate {
	struct net_gate_ends ends;
	struct queue *queue;
	struct socket_owner *owner;
	struct patience patience;
	struct policy *policy; /* NULL before the first */
	bool orphaned;
	bool stopping;
	int64_t complained_s;
	struct socket_process process; /* large, so not on a stack */
	char record[RECORD_SIZE_MAX * 2];
};

/* All that is known of one packet. */
struct asked {
	struct queue_packet queued;
	struct packet packet;
	struct policy_flow flow;
	uint32_t uid;
	uint64_t inode;
	bool inode_known;
	bool process_known;
};

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
	patience_init(&gate->patience, CROWDED_NS);
	r = queue_new(&gate->queue);
	if (!r)
		r = socket_owner_new(&gate->owner);
	if (!r)
		r = bind_queue(gate, NET_QUEUE_OUT);
	if (!r)
		r = bind_queue(gate, NET_QUEUE_IN);
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
	policy_free(gate->policy);
	free(gate);
	return NULL;
}

/* Into the channel; a full one counts its losses itself. */
static void put(struct net_gate *gate, const struct record *record)
{
	size_t length = record_encode(record, gate->record);
	uint64_t one = 1;

	if (channel_put(gate->ends.channel, gate->record, length,
			record_is_important(record)) == 0 &&
	    channel_wants_wake(gate->ends.channel) &&
	    write(gate->ends.wake, &one, sizeof(one)) < 0)
		log_warning("cannot wake the store: %m");
}

static void find_socket(struct net_gate *gate, struct asked *asked)
{
	struct socket_found found;

	if (asked->inode_known)
		return;
	asked->inode_known = true;
	if (socket_owner_find(gate->owner, &asked->packet, &found))
		return;
	asked->inode = found.inode;
	if (!asked->queued.has_uid)
		asked->uid = found.uid;
}

static void find_process(struct net_gate *gate, struct asked *asked, bool all)
{
	find_socket(gate, asked);
	socket_owner_process(gate->owner, gate->policy, asked->flow.account,
			     asked->inode, all, &gate->process);
	asked->process_known = true;
}

static bool is_loopback(const struct packet *packet)
{
	static const uint8_t ipv4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	static const struct policy_address ipv6 = {{[15] = 1}};

	return !memcmp(packet->destination.bytes, ipv4, sizeof(ipv4)) ||
	       !memcmp(&packet->destination, &ipv6, sizeof(ipv6)) ||
	       !memcmp(&packet->destination, &packet->source,
		       sizeof(packet->source));
}

static void begin(struct net_gate *gate, const struct queue_packet *queued,
		  struct asked *ret)
{
	*ret = (struct asked){.queued = *queued, .uid = queued->uid};
	ret->flow = (struct policy_flow){
		.account = POLICY_NONE,
		.kind = queued->queue == NET_QUEUE_IN ? POLICY_KIND_ACCEPT
						      : POLICY_KIND_CONNECT,
		.understood =
			packet_parse(queued->payload, queued->payload_length,
				     &ret->packet) == 0,
		.protocol = ret->packet.protocol,
		.address = ret->packet.destination,
		.port = ret->packet.destination_port,
		.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
	};
	ret->flow.loopback = is_loopback(&ret->packet);
	if (!queued->has_uid && ret->flow.understood)
		find_socket(gate, ret);
	if (queued->has_uid || ret->inode_known)
		ret->flow.account = policy_account_of(gate->policy, ret->uid);
}

static void decide_as(struct net_gate *gate, struct asked *asked,
		      struct policy_answer *ret)
{
	int r = policy_decide_flow(gate->policy, &asked->flow, ret);

	if (r == 0)
		return;
	find_process(gate, asked, true);
	asked->flow.program_known = true;
	/* A socket that several programs hold is none of theirs alone. */
	if (gate->process.pid && !gate->process.several)
		asked->flow.program = gate->process.program;
	if (policy_decide_flow(gate->policy, &asked->flow, ret))
		*ret = (struct policy_answer){
			.verdict = POLICY_DENY,
			.reason = POLICY_REASON_OWNER,
			.rule = POLICY_NONE,
			.log = true,
		};
}

/* Nobody knows whose it is: allowed if every account is. */
static void decide_for_all(struct net_gate *gate, struct asked *asked,
			   struct policy_answer *ret)
{
	uint32_t count = policy_header(gate->policy)->accounts.count;

	*ret = (struct policy_answer){
		.verdict = POLICY_DENY,
		.reason = POLICY_REASON_OWNER,
		.rule = POLICY_NONE,
		.log = true,
	};
	for (uint32_t i = 0; i < count; i++) {
		struct policy_answer answer;

		asked->flow.account = i;
		decide_as(gate, asked, &answer);
		if (answer.verdict == POLICY_DENY) {
			if (count == 1)
				*ret = answer;
			return;
		}
		if (i == count - 1)
			*ret = answer;
	}
}

static void note(struct net_gate *gate, struct asked *asked,
		 const struct policy_answer *answer)
{
	const struct policy *policy = gate->policy;
	char address[PACKET_TEXT_MAX], target[PACKET_TEXT_MAX];
	struct record record = {
		.time_ns = clock_realtime_ns(),
		.generation = policy_header(policy)->generation,
		.kind = asked->flow.kind,
		.verdict = answer->verdict,
		.reason = answer->reason,
		.uid = asked->uid,
	};

	if (asked->flow.account == POLICY_NONE)
		return; /* no account at all */
	if (!asked->process_known)
		find_process(gate, asked, false);
	packet_address_text(&asked->flow.address, address);
	packet_peer_text(asked->flow.protocol, address, asked->flow.port,
			 target);
	record.protocol = asked->flow.protocol;
	record.port = asked->flow.port;
	record.host = (struct record_bytes){address, strlen(address)};
	record.pid = (uint32_t)gate->process.pid;
	record.parent_pid = gate->process.parent_pid;
	record_set(
		&record, RECORD_TEXT_ACCOUNT,
		policy_text(policy,
			    policy_account(policy, asked->flow.account)->name));
	record_set(&record, RECORD_TEXT_PROGRAM,
		   gate->process.program[0] ? gate->process.program : NULL);
	record_set(&record, RECORD_TEXT_TARGET, target);
	if (answer->rule != POLICY_NONE) {
		const struct policy_rule *rule =
			policy_rule(policy, answer->rule);

		record_set(&record, RECORD_TEXT_RULE,
			   policy_text(policy, rule->name));
		record_set(&record, RECORD_TEXT_NOTE,
			   policy_text(policy, rule->reason));
	}
	put(gate, &record);
}

static int give_verdict(struct net_gate *gate, const struct asked *asked,
			const struct policy_answer *answer)
{
	const struct queue_packet *queued = &asked->queued;
	uint32_t mark = queued->mark & ~NET_MARK_MASK;
	char refusal[REFUSAL_SIZE_MAX];
	size_t length;

	if (answer->verdict != POLICY_DENY)
		return queue_pass(
			gate->queue, queued,
			mark | net_queue_mark(
				       policy_header(gate->policy)->generation,
				       asked->flow.account));
	if (asked->flow.kind == POLICY_KIND_ACCEPT && asked->flow.understood &&
	    refusal_make(queued->payload, queued->payload_length, refusal,
			 &length) == 0)
		return queue_replace(gate->queue, queued, refusal, length);
	return queue_pass(gate->queue, queued, mark | NET_MARK_DENIED);
}

static void answer_packet(struct net_gate *gate,
			  const struct queue_packet *queued)
{
	uint32_t mark = queued->mark & ~NET_MARK_MASK;
	struct policy_answer answer;
	struct asked asked;
	int r;

	begin(gate, queued, &asked);
	if (queued->has_uid && asked.flow.account == POLICY_NONE) {
		/* Rules of an older policy: its owner is leashed no more. */
		r = queue_pass(gate->queue, queued, mark | NET_MARK_CLEAR);
		if (r) {
			errno = -r;
			log_warning("the kernel does not take a verdict: %m");
		}
		return;
	}
	if (asked.flow.account == POLICY_NONE)
		decide_for_all(gate, &asked, &answer);
	else
		decide_as(gate, &asked, &answer);
	/* A refusal closes the socket: see whose it is while it waits. */
	if (answer.verdict == POLICY_DENY && answer.log &&
	    asked.flow.account != POLICY_NONE && !asked.process_known)
		find_process(gate, &asked, false);
	r = give_verdict(gate, &asked, &answer);
	if (r) {
		errno = -r;
		log_warning("the kernel does not take a verdict: %m");
	}
	if (answer.log)
		note(gate, &asked, &answer);
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
		int r = queue_receive(gate->queue, &queued);

		switch (r) {
		case 0:
			answer_packet(gate, &queued);
			patience_found(&gate->patience, clock_monotonic_ns());
			i++;
			break;
		case QUEUE_EMPTY:
			if (!patience_look_again(&gate->patience,
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
	}
	return 0;
}

/* May a socket that is connected already stay so? */
static bool must_cut(void *context, uint32_t uid, const struct packet *packet)
{
	const struct net_gate *gate = context;
	const struct policy_flow flow = {
		.account = policy_account_of(gate->policy, uid),
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = packet->protocol,
		.address = packet->destination,
		.port = packet->destination_port,
		.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
	};
	struct policy_answer answer;

	/* Where the program matters, its next packet will tell. */
	return flow.account != POLICY_NONE &&
	       policy_decide_flow(gate->policy, &flow, &answer) == 0 &&
	       answer.verdict == POLICY_DENY;
}

static int load_policy(struct net_gate *gate, int fd, uint64_t *ret_generation)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	bool first = !gate->policy;
	int r = policy_map(fd, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	*ret_generation = policy_header(policy)->generation;
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
	return message_send(gate->ends.control, &reply, -1);
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
		return message_send(gate->ends.control,
				    &(struct message){.type = MESSAGE_PONG,
						      .value = message.value},
				    -1);
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
		};

		if (poll(waiting, 2, -1) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (waiting[1].revents)
			r = take_message(gate);
		if (!r && waiting[0].revents)
			r = answer_packets(gate);
	}
	return r;
}
