/*
 * What a client has said is judged once, but may be sent again, and then be
 * something else: pages that a program has lent to a packet (sendfile(2),
 * MSG_ZEROCOPY) it may write to as long as TCP keeps them.  So a flow that a
 * name allows is let go only when what was heard has arrived: until then each
 * packet comes by here, and may repeat it and no more.
 */

#include "nfqueue/judge_flow.h"

#include <errno.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/flow_record.h"
#include "nfqueue/names/client_host.h"
#include "nfqueue/names/flow_names.h"
#include "nfqueue/names/judge_name.h"
#include "nfqueue/packets/as_read.h"
#include "nfqueue/packets/bare_syn.h"
#include "nfqueue/packets/refusal.h"

#define TLS_HANDSHAKE 22 /* first byte of what TLS clients send */

static const struct policy_answer nobodys = {
	.verdict = POLICY_DENY,
	.reason = POLICY_REASON_OWNER,
	.rule = POLICY_NONE,
	.log = true,
};

static bool is_loopback(const struct packet *packet)
{
	static const uint8_t ipv4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	static const struct policy_address ipv6 = {{[15] = 1}};

	return !memcmp(packet->destination.bytes, ipv4, sizeof(ipv4)) ||
	       !memcmp(&packet->destination, &ipv6, sizeof(ipv6)) ||
	       !memcmp(&packet->destination, &packet->source,
		       sizeof(packet->source));
}

static bool is_tcp(const struct gate_asked *asked)
{
	return asked->flow.understood &&
	       asked->flow.protocol == POLICY_PROTOCOL_TCP;
}

/*
 * Who has sent the packet.  A socket that its process has closed may still have
 * much to send, and the kernel tells no owner any more: so the stream's, known
 * from before, comes first.
 */
static void find_owner(struct net_gate *gate, struct gate_asked *asked)
{
	const struct stream *stream;

	if (!asked->flow.understood)
		return;
	stream = is_tcp(asked) ? streams_find(gate->clients, &asked->packet)
			       : NULL;
	if (stream)
		asked->uid = stream->uid;
	else
		flow_record_find_socket(gate, asked);
}

static void begin(struct net_gate *gate, const struct queue_packet *queued,
		  struct gate_asked *ret)
{
	*ret = (struct gate_asked){
		.queued = *queued,
		.uid = queued->has_uid ? queued->uid : GATE_ASKED_NOBODY,
		.source = "dns",
	};
	ret->flow = (struct policy_flow){
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
	if (!queued->has_uid)
		find_owner(gate, ret);
	ret->flow.account = policy_account_of(gate->policy, ret->uid);
}

static int64_t uptime_s(void)
{
	return clock_boottime_ns() / CLOCK_NS_PER_S;
}

/*
 * The names that its address may stand for: the one by which this flow was
 * allowed (returned), or else those pinned to the address.
 */
static const struct net_named_flow *
find_names(struct net_memory *memory, uint32_t uid, const struct packet *packet,
	   const char **names, struct policy_flow *ret)
{
	const struct net_named_flow *known;

	if (packet->is_syn)
		flow_names_forget(memory, uid, packet);
	known = flow_names_find(memory, uid, packet);
	ret->names = names;
	if (known) {
		names[0] = known->name;
		ret->name_count = 1;
		ret->said = (enum policy_said)known->said;
		ret->said_name = known->name;
		return known;
	}
	ret->name_count =
		pins_find(memory, uid, &ret->address, uptime_s(), names);
	return NULL;
}

/* 0, or POLICY_NEED_SAID. */
static int decide_as(struct net_gate *gate, struct gate_asked *asked,
		     struct policy_answer *ret)
{
	int r;

	asked->flow.program_known = false;
	asked->flow.program = NULL;
	r = policy_decide_flow(gate->policy, &asked->flow, ret);
	if (r != POLICY_NEED_PROGRAM)
		return r;
	flow_record_find_process(gate, asked, true);
	asked->flow.program_known = true;
	/* A socket that several programs hold is none of theirs alone. */
	if (gate->process.program_known && !gate->process.several)
		asked->flow.program = gate->process.program;
	r = policy_decide_flow(gate->policy, &asked->flow, ret);
	if (r == POLICY_NEED_PROGRAM) {
		*ret = nobodys;
		return 0;
	}
	return r;
}

/*
 * Nobody knows whose packet it is: allowed only if it is allowed to every
 * account.
 */
static void decide_for_all(struct net_gate *gate, struct gate_asked *asked,
			   struct policy_answer *ret)
{
	uint32_t count = policy_account_count(gate->policy);

	*ret = nobodys;
	for (uint32_t i = 0; i < count; i++) {
		asked->flow.account = i;
		if (decide_as(gate, asked, ret)) {
			*ret = nobodys;
			return;
		}
		if (ret->verdict == POLICY_DENY) {
			if (count > 1)
				*ret = nobodys; /* no one account's rule */
			return;
		}
	}
}

static void check(int r)
{
	if (!r)
		return;
	errno = -r;
	log_warning("the kernel does not take a verdict: %m");
}

static void pass(struct net_gate *gate, const struct gate_asked *asked,
		 uint32_t mark)
{
	mark |= asked->queued.mark & ~NET_MARK_MASK;
	check(asked->is_heard ? as_read_pass(gate->queue, &asked->queued,
					     &asked->packet, mark)
			      : queue_pass(gate->queue, &asked->queued, mark));
}

static void refuse(struct net_gate *gate, const struct gate_asked *asked)
{
	const struct queue_packet *queued = &asked->queued;
	char refusal[REFUSAL_SIZE_MAX];
	size_t length;

	if (asked->flow.kind == POLICY_KIND_ACCEPT && asked->flow.understood &&
	    refusal_make(queued->payload, queued->payload_length, refusal,
			 &length) == 0)
		check(queue_replace(gate->queue, queued, refusal, length,
				    queued->mark));
	else
		pass(gate, asked, NET_MARK_DENIED);
}

/* Remember by which name it was allowed, and how far that was said. */
static void remember(struct net_gate *gate, const struct gate_asked *asked,
		     const char *host, const struct stream *stream)
{
	const struct flow_said said = {
		.said = asked->flow.said,
		.name = host,
		.arriving = stream != NULL,
		.heard_to =
			stream ? stream->first + (uint32_t)stream->length : 0,
	};

	flow_names_put(gate->ends.memory, asked->memory_uid, &asked->packet,
		       &said, uptime_s());
}

static void finish(struct net_gate *gate, struct gate_asked *asked,
		   const struct policy_answer *answer)
{
	bool allowed = answer->verdict != POLICY_DENY;
	uint64_t generation = policy_generation(gate->policy);

	if (allowed && answer->host && is_tcp(asked))
		remember(gate, asked, answer->host, NULL);
	/* A refusal closes the socket, so the process is looked for before. */
	if (!allowed && answer->log && asked->uid != GATE_ASKED_NOBODY)
		flow_record_find_process(gate, asked, false);
	if (allowed)
		pass(gate, asked,
		     net_queue_mark(generation, asked->flow.account));
	else
		refuse(gate, asked);
	if (answer->log)
		flow_record_put(gate, asked, answer);
}

/* What the client has said, as far as it has. */
static void listen_to(struct gate_asked *asked, const struct stream *stream)
{
	struct policy_flow *flow = &asked->flow;

	flow->said = client_host_read(stream->bytes, stream->length,
				      asked->said_name);
	if (flow->said == POLICY_SAID_OTHER &&
	    client_host_is_demanded(flow->port))
		flow->said = POLICY_SAID_NOTHING;
	if (flow->said != POLICY_SAID_NAME) {
		asked->said_name[0] = '\0';
		return;
	}
	flow->said_name = *asked->said_name ? asked->said_name : NULL;
	asked->source = stream->bytes[0] == TLS_HANDSHAKE ? "sni" : "http";
}

/*
 * Add what the segment carries to what was heard.  False: it must be dropped,
 * unseen by the server.
 */
static bool hear(struct net_gate *gate, struct gate_asked *asked,
		 struct stream *stream)
{
	const struct packet *packet = &asked->packet;
	int r = STREAMS_DIFFERENT;

	/*
	 * Whether an urgent byte is part of the data depends on how the server
	 * reads, so what was heard would not be what it reads.
	 */
	if (!packet->data_is_cut && !packet->is_urgent)
		r = streams_add(gate->clients, stream, packet->sequence,
				packet->data, packet->data_length);
	switch (r) {
	case 0:
		asked->is_heard = true;
		listen_to(asked, stream);
		return true;
	case STREAMS_GAP:
		return false; /* it comes again, once the rest has */
	default:
		asked->flow.said = POLICY_SAID_GARBLED;
		return true;
	}
}

/*
 * What the client has said before is not known any more (a gate has died, or
 * there was no room), so nothing can be told.
 */
static void refuse_lost(struct net_gate *gate, struct gate_asked *asked,
			struct policy_answer *answer)
{
	answer->verdict = POLICY_DENY;
	answer->reason = POLICY_REASON_LOST_FLOW;
	answer->rule = POLICY_NONE;
	answer->log = true;
	policy_observe(gate->policy, asked->flow.account, answer);
	finish(gate, asked, answer);
}

/*
 * Has the other side received all that is before heard_to?  What is counted as
 * unacknowledged may lie behind this packet, written and not yet sent: then the
 * answer is no although it has, which is the safe mistake.
 */
static bool has_arrived(struct net_gate *gate, const struct packet *packet,
			uint32_t heard_to)
{
	uint32_t end = packet->sequence + (uint32_t)packet->data_length;
	struct socket_found found;

	return socket_owner_find(gate->owner, packet, &found) == 0 &&
	       (int32_t)(end - found.unacknowledged - heard_to) >= 0;
}

/*
 * The flow was allowed by what its client has said: see to it that the very
 * same bytes arrive, and let go of it once they have.
 */
static void let_arrive(struct net_gate *gate, struct gate_asked *asked,
		       struct policy_answer *answer, uint32_t heard_to)
{
	const struct packet *packet = &asked->packet;
	struct stream *stream = streams_find(gate->clients, packet);

	/* Said before: is it the same? */
	asked->is_heard = packet->data_length &&
			  (int32_t)(heard_to - packet->sequence) > 0;
	if (asked->is_heard && !stream) {
		refuse_lost(gate, asked, answer);
		return;
	}
	if (asked->is_heard &&
	    (packet->data_is_cut || packet->is_urgent ||
	     !streams_agree(stream, packet->sequence, packet->data,
			    packet->data_length))) {
		asked->flow.said = POLICY_SAID_GARBLED;
		if (decide_as(gate, asked, answer))
			*answer = nobodys;
		streams_end(gate->clients, stream);
		finish(gate, asked, answer);
		return;
	}
	if (asked->is_heard || !has_arrived(gate, packet, heard_to)) {
		pass(gate, asked, NET_MARK_PENDING);
		return;
	}
	if (stream)
		streams_end(gate->clients, stream);
	flow_names_arrived(gate->ends.memory, asked->memory_uid, packet);
	answer->log = false; /* as it was when it was said */
	finish(gate, asked, answer);
}

/*
 * A name allows the connection, if the client says that it wants that name: let
 * packets by until it has.
 */
static void wait_for_name(struct net_gate *gate, struct gate_asked *asked,
			  struct policy_answer *answer)
{
	struct packet *packet = &asked->packet;
	struct stream *stream =
		packet->is_syn ? streams_begin(gate->clients, packet,
					       asked->uid, clock_monotonic_ns())
			       : streams_find(gate->clients, packet);

	if (!stream) {
		refuse_lost(gate, asked, answer);
		return;
	}
	if (packet->is_syn && packet->data_length && !packet->is_urgent) {
		/*
		 * Its data is left out, and read when it is sent again
		 * (bare_syn.h).
		 */
		check(bare_syn_pass(gate->queue, &asked->queued, packet,
				    (asked->queued.mark & ~NET_MARK_MASK) |
					    NET_MARK_PENDING));
		return;
	}
	if ((packet->data_length || packet->is_urgent) &&
	    !hear(gate, asked, stream)) {
		check(queue_drop(gate->queue, &asked->queued));
		return;
	}
	if (asked->flow.said == POLICY_SAID_UNSEEN) {
		if (packet->is_end && !packet->data_length) {
			/*
			 * It ends without having said a name: that is written
			 * down, too.
			 */
			streams_end(gate->clients, stream);
			if (answer->log)
				flow_record_put(gate, asked, answer);
		}
		pass(gate, asked, NET_MARK_PENDING);
		return;
	}
	if (decide_as(gate, asked, answer))
		*answer = nobodys; /* cannot be: it has said its name */
	if (answer->verdict == POLICY_ALLOW && answer->host) {
		remember(gate, asked, answer->host, stream);
		pass(gate, asked, NET_MARK_PENDING);
		if (answer->log)
			flow_record_put(gate, asked, answer);
		return;
	}
	streams_end(gate->clients, stream);
	finish(gate, asked, answer);
}

void judge_flow_packet(struct net_gate *gate, const struct queue_packet *queued)
{
	const struct net_named_flow *known = NULL;
	struct policy_answer answer;
	struct gate_asked asked;

	begin(gate, queued, &asked);
	if (queued->has_uid && asked.flow.account == POLICY_NONE) {
		/*
		 * The firewall's rules still are an older policy's: the
		 * packet's owner is not leashed any more.
		 */
		pass(gate, &asked, NET_MARK_CLEAR);
		return;
	}
	if (asked.flow.account == POLICY_NONE) {
		decide_for_all(gate, &asked, &answer);
		finish(gate, &asked, &answer);
		return;
	}
	asked.memory_uid =
		policy_account(gate->policy, asked.flow.account)->uid;
	if (judge_name_is_for_resolver(gate, &asked)) {
		judge_name_question(gate, &asked);
		return;
	}
	if (asked.flow.understood && asked.flow.kind == POLICY_KIND_CONNECT)
		known = find_names(gate->ends.memory, asked.memory_uid,
				   &asked.packet, asked.names, &asked.flow);
	if (decide_as(gate, &asked, &answer) == POLICY_NEED_SAID)
		wait_for_name(gate, &asked, &answer);
	else if (known && known->arriving && answer.verdict == POLICY_ALLOW &&
		 answer.host)
		let_arrive(gate, &asked, &answer, known->heard_to);
	else
		finish(gate, &asked, &answer);
}

bool judge_flow_must_cut(struct net_gate *gate, uint32_t uid,
			 const struct packet *packet)
{
	struct gate_asked asked = {
		.packet = *packet,
		.flow =
			{
				.account = policy_account_of(gate->policy, uid),
				.kind = POLICY_KIND_CONNECT,
				.understood = true,
				.protocol = packet->protocol,
				.address = packet->destination,
				.port = packet->destination_port,
				.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
			},
	};
	struct policy_answer answer;

	if (asked.flow.account == POLICY_NONE ||
	    judge_name_is_for_resolver(gate, &asked))
		return false;
	find_names(gate->ends.memory,
		   policy_account(gate->policy, asked.flow.account)->uid,
		   packet, asked.names, &asked.flow);
	/*
	 * Where a rule names a program, POLICY_NEED_PROGRAM: not cut now, but
	 * judged again at its next packet.
	 */
	return policy_decide_flow(gate->policy, &asked.flow, &answer) == 0 &&
	       answer.verdict == POLICY_DENY;
}
