#include "nfqueue/names/judge_name.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_host.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/packets/as_read.h"
#include "nfqueue/packets/bare_syn.h"
#include "nfqueue/flow_record.h"

#define DNS_PORT	 53
#define CLASS_IN	 1
#define LENGTH_SIZE	 2    /* before each message over TCP */
#define ASKED_KEPT_BYTES 8192 /* of questions, should they come again */
#define PIN_SECONDS_MAX	 86400

/*
 * The types that may be asked for.  Of all others there is no data: the answers
 * of some would hide names (ECH in HTTPS and SVCB) or bring addresses that
 * nobody has looked at (ANY), and 65,536 numbers are two more letters to write
 * with behind each name.
 */
static const enum __ns_type types[] = {
	ns_t_a,	     ns_t_ns,	  ns_t_cname,	ns_t_soa,	 ns_t_ptr,
	ns_t_hinfo,  ns_t_mx,	  ns_t_txt,	ns_t_rp,	 ns_t_afsdb,
	ns_t_aaaa,   ns_t_loc,	  ns_t_srv,	ns_t_naptr,	 ns_t_cert,
	ns_t_dname,  ns_t_ds,	  ns_t_sshfp,	ns_t_ipseckey,	 ns_t_rrsig,
	ns_t_nsec,   ns_t_dnskey, ns_t_nsec3,	ns_t_nsec3param, ns_t_tlsa,
	ns_t_smimea, ns_t_cds,	  ns_t_cdnskey, ns_t_openpgpkey, ns_t_csync,
	ns_t_spf,    ns_t_uri,	  ns_t_caa,
};

static void check(int r)
{
	if (!r)
		return;
	errno = -r;
	log_warning("the kernel does not take a verdict: %m");
}

static void drop(struct net_gate *gate, const struct queue_packet *queued)
{
	check(queue_drop(gate->queue, queued));
}

static bool is_tcp(const struct packet *packet)
{
	return packet->protocol == POLICY_PROTOCOL_TCP;
}

bool judge_name_is_for_resolver(const struct net_gate *gate,
				const struct gate_asked *asked)
{
	const struct policy_flow *flow = &asked->flow;
	struct policy_answer answer;

	return flow->understood && flow->kind == POLICY_KIND_CONNECT &&
	       flow->port == DNS_PORT &&
	       (flow->protocol == POLICY_PROTOCOL_UDP ||
		flow->protocol == POLICY_PROTOCOL_TCP) &&
	       policy_is_resolver(gate->policy, flow->account,
				  &flow->address) &&
	       /* A rule that denies the resolver's address denies asking it. */
	       (policy_decide_flow(gate->policy, flow, &answer) ||
		answer.verdict != POLICY_DENY ||
		answer.reason != POLICY_REASON_RULE);
}

/* Give a held packet its verdict, once all in it is known. */
static void finish_question(struct net_gate *gate, struct dns_held *held)
{
	const struct queue_packet *queued = &held->queued;
	uint32_t mark = queued->mark & ~NET_MARK_MASK;
	char reply[DNS_REPLY_SIZE_MAX];
	size_t length;

	if (held->fate == DNS_FATE_REPLY &&
	    dns_reply_make(&held->reply, reply, &length) == 0)
		check(queue_replace(gate->queue, queued, reply, length,
				    mark | NET_MARK_REPLY));
	else if (held->fate == DNS_FATE_PASS)
		check(as_read_pass(gate->queue, queued, &held->packet,
				   mark | NET_MARK_DNS));
	else
		check(queue_pass(gate->queue, queued, mark | NET_MARK_DENIED));
}

static void forget_resolver(struct net_gate *gate, const struct packet *packet)
{
	struct stream *stream = streams_find(gate->resolvers, packet);

	if (stream)
		streams_end(gate->resolvers, stream);
}

static void finish_answer(struct net_gate *gate, struct dns_held *held)
{
	const struct queue_packet *queued = &held->queued;
	char reply[DNS_REPLY_SIZE_MAX];
	size_t length;

	/* What was kept from the receiver must not come in a second copy. */
	if (held->fate != DNS_FATE_PASS && is_tcp(&held->packet))
		forget_resolver(gate, &held->packet);
	if (held->fate == DNS_FATE_PASS)
		check(queue_pass(gate->queue, queued, queued->mark));
	else if (held->fate == DNS_FATE_REPLY &&
		 dns_reply_make(&held->reply, reply, &length) == 0)
		check(queue_replace(gate->queue, queued, reply, length,
				    queued->mark));
	else
		drop(gate, queued);
}

static void finish_if_told(struct net_gate *gate, struct dns_held *held)
{
	if (held->pending)
		return;
	if (held->kind == DNS_LINK_QUESTION)
		finish_question(gate, held);
	else
		finish_answer(gate, held);
}

static void release_if_told(struct net_gate *gate, struct dns_held *held)
{
	if (!held->pending)
		dns_asker_release(gate->asker, held);
}

/* Hold a packet.  NULL: there was no room, and it is dropped. */
static struct dns_held *hold(struct net_gate *gate,
			     const struct queue_packet *queued,
			     enum dns_link_kind kind, uint32_t uid)
{
	struct dns_held *held;

	if (dns_asker_hold(gate->asker, queued, &held)) {
		drop(gate, queued);
		return NULL;
	}
	held->kind = kind;
	held->uid = uid;
	held->reply.packet = &held->packet;
	held->reply.turned = kind == DNS_LINK_QUESTION;
	return held;
}

static void ask(struct net_gate *gate, struct dns_held *held,
		const uint8_t *message, size_t length)
{
	if (dns_asker_ask(gate->asker, held, message, length,
			  clock_monotonic_ns()))
		held->fate = DNS_FATE_DROP;
}

/*
 * Will the receiver read something else than stands here?  A datagram that the
 * kernel still cuts becomes several, and a byte that is urgent is not among the
 * others.
 */
static bool is_read_otherwise(const struct packet *packet,
			      const struct queue_packet *queued)
{
	return packet->data_is_cut || packet->is_urgent ||
	       (!is_tcp(packet) && queued->is_to_be_cut);
}

/* Is there a whole message?  Then *ret_length is its own. */
static bool next_message(const uint8_t *bytes, size_t left, size_t *ret_length)
{
	if (left < LENGTH_SIZE)
		return false;
	*ret_length = (size_t)bytes[0] << 8 | bytes[1];
	return *ret_length <= left - LENGTH_SIZE;
}

/*
 * The receiver tells where a message begins by the lengths of those before it,
 * and ignores bytes that it has had already.  So a segment must begin where a
 * message does, and what was sent there before it must repeat.  False: it does
 * not.
 */
static bool is_in_order(struct net_gate *gate, const struct packet *packet)
{
	struct stream *stream = streams_find(gate->askers, packet);
	size_t at, begin = 0, length;

	if (!stream)
		return false;
	at = packet->sequence - stream->first;
	while (begin < at && next_message(stream->bytes + begin,
					  stream->length - begin, &length))
		begin += LENGTH_SIZE + length;
	if (begin != at || streams_add(gate->askers, stream, packet->sequence,
				       packet->data, packet->data_length))
		return false;
	/* Older bytes have arrived, and are not sent again. */
	begin = 0;
	while (stream->length - begin > ASKED_KEPT_BYTES &&
	       next_message(stream->bytes + begin, stream->length - begin,
			    &length))
		begin += LENGTH_SIZE + length;
	if (begin)
		streams_consume(gate->askers, stream, begin);
	return true;
}

/* Packets that ask nothing yet: how such a connection begins and ends. */
static void note_asker(struct net_gate *gate, const struct gate_asked *asked)
{
	const struct packet *packet = &asked->packet;
	struct stream *stream;

	if (packet->is_syn)
		streams_begin(gate->askers, packet, asked->uid,
			      clock_monotonic_ns());
	stream = packet->is_end ? streams_find(gate->askers, packet) : NULL;
	if (stream)
		streams_end(gate->askers, stream);
}

/*
 * Nothing of a question may leave before all of it has been seen, so what is
 * no whole message is not let go at all.  Resolvers' clients send each in one
 * piece, or several together.  False: it is not so.
 */
static bool ask_all(struct net_gate *gate, struct dns_held *held)
{
	const uint8_t *at = held->packet.data;
	size_t left = held->packet.data_length, length;
	unsigned int count = 0;

	while (left) {
		if (count++ == DNS_REPLY_PARTS_MAX ||
		    !next_message(at, left, &length))
			return false;
		ask(gate, held, at + LENGTH_SIZE, length);
		at += LENGTH_SIZE + length;
		left -= LENGTH_SIZE + length;
	}
	return true;
}

static struct policy_answer denied(enum policy_reason reason)
{
	return (struct policy_answer){
		.verdict = POLICY_DENY,
		.reason = reason,
		.rule = POLICY_NONE,
		.log = true,
	};
}

/* A question that cannot be read: refused, or only noted to be. */
static enum dns_fate refuse_unread(struct net_gate *gate,
				   const struct dns_held *held)
{
	struct policy_answer answer = denied(POLICY_REASON_PACKET);

	policy_observe(gate->policy, policy_account_of(gate->policy, held->uid),
		       &answer);
	flow_record_put_name(gate, held, "", &answer);
	return answer.verdict == POLICY_DENY ? DNS_FATE_DROP : DNS_FATE_PASS;
}

void judge_name_question(struct net_gate *gate, struct gate_asked *asked)
{
	const struct queue_packet *queued = &asked->queued;
	const struct packet *packet = &asked->packet;
	uint32_t mark = (queued->mark & ~NET_MARK_MASK) | NET_MARK_DNS;
	struct dns_held *held;
	bool readable = true;

	if (is_tcp(packet) && !packet->is_urgent &&
	    (packet->is_syn || !packet->data_length)) {
		note_asker(gate, asked);
		check(packet->data_length
			      ? bare_syn_pass(gate->queue, queued, packet, mark)
			      : queue_pass(gate->queue, queued, mark));
		return;
	}
	held = hold(gate, queued, DNS_LINK_QUESTION, asked->uid);
	if (!held)
		return;
	if (is_read_otherwise(&held->packet, queued))
		readable = false;
	else if (is_tcp(&held->packet))
		readable =
			is_in_order(gate, &held->packet) && ask_all(gate, held);
	else
		ask(gate, held, held->packet.data, held->packet.data_length);
	if (!readable)
		held->fate = refuse_unread(gate, held);
	finish_if_told(gate, held);
	release_if_told(gate, held);
}

/* What a message of a held packet comes to; the worst of all counts. */
static void add_fate(const struct dns_asker_told *told, enum dns_fate fate,
		     enum dns_reply_code code, const char *reason)
{
	struct dns_held *held = told->held;
	struct dns_reply *reply = &held->reply;

	/* If one packet holds messages of different fates, it is dropped. */
	if (fate == DNS_FATE_DROP || held->fate == DNS_FATE_DROP ||
	    (held->any_told && held->fate != fate)) {
		held->fate = DNS_FATE_DROP;
		return;
	}
	held->any_told = true;
	held->fate = fate;
	if (fate != DNS_FATE_REPLY)
		return;
	reply->reason = reason;
	reply->parts[reply->count++] = (struct dns_reply_part){
		.message = told->message,
		.question_end = told->told->question_end,
		.has_edns = told->told->has_edns,
		.code = code,
	};
}

/* More names below a `*.` rule than anybody honest asks for? */
static bool is_too_much(struct net_gate *gate, uint32_t account,
			const struct policy_answer *answer)
{
	const struct policy_general *general = policy_general(gate->policy);

	return answer->below > general->names_label_max ||
	       (answer->below &&
		!name_limits_take(gate->limits,
				  policy_account(gate->policy, account)->uid,
				  answer->rule, answer->host,
				  general->names_per_minute,
				  clock_monotonic_ns() / CLOCK_NS_PER_S));
}

static void decide_question(struct net_gate *gate, uint32_t account,
			    const struct dns_link_told *told,
			    char name[static HOST_NAME_SIZE],
			    struct policy_answer *ret)
{
	bool is_odd = told->class != CLASS_IN ||
		      host_name_read(told->name, strlen(told->name), name);

	policy_decide_question(gate->policy, account, is_odd ? NULL : name,
			       clock_realtime_ns() / CLOCK_NS_PER_S, ret);
	if (ret->verdict == POLICY_ALLOW && is_too_much(gate, account, ret)) {
		*ret = denied(POLICY_REASON_LIMIT);
		policy_observe(gate->policy, account, ret);
	}
}

static bool has_no_data(uint16_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] == type)
			return false;
	return true;
}

/*
 * True: ret is to be written down once the question is on its way.  A refusal
 * is written down while it waits, since its asker will not keep the socket.
 */
static bool take_question(struct net_gate *gate,
			  const struct dns_asker_told *told,
			  struct policy_answer *ret)
{
	struct dns_held *held = told->held;
	uint32_t account = policy_account_of(gate->policy, held->uid);
	char name[HOST_NAME_SIZE];

	if (account == POLICY_NONE) {
		add_fate(told, DNS_FATE_DROP, DNS_REPLY_NO_NAME, NULL);
		return false; /* leashed no more: it will ask again */
	}
	if (told->told->outcome != DNS_LINK_UNDERSTOOD) {
		add_fate(told, refuse_unread(gate, held), DNS_REPLY_NO_NAME,
			 NULL);
		return false;
	}
	decide_question(gate, account, told->told, name, ret);
	if (ret->verdict == POLICY_DENY) {
		add_fate(told, DNS_FATE_REPLY, DNS_REPLY_NO_NAME,
			 policy_reason_text(ret->reason, ret->verdict));
		flow_record_put_name(gate, held, told->told->name, ret);
		return false;
	}
	if (has_no_data(told->told->type)) {
		add_fate(told, DNS_FATE_REPLY, DNS_REPLY_NO_DATA,
			 "Leash answers no questions of this type");
		return false; /* the same name is asked for its address, too */
	}
	questions_add(gate->questions,
		      policy_account(gate->policy, account)->uid, &held->packet,
		      told->told, clock_monotonic_ns());
	add_fate(told, DNS_FATE_PASS, DNS_REPLY_NO_DATA, NULL);
	return ret->log;
}

/*
 * Whose socket is this answer for?  It is looked up as if the packet had been
 * sent by it, so source and destination change places.
 */
static bool is_for_account(struct net_gate *gate, const struct packet *packet,
			   uint32_t *ret_uid)
{
	struct packet reversed = *packet;
	struct socket_found found;

	reversed.source = packet->destination;
	reversed.destination = packet->source;
	reversed.source_port = packet->destination_port;
	reversed.destination_port = packet->source_port;
	if (socket_owner_find(gate->owner, &reversed, &found))
		return true; /* nobody's: nobody misses it */
	*ret_uid = found.uid;
	return policy_account_of(gate->policy, found.uid) != POLICY_NONE;
}

static bool is_special(const struct net_gate *gate, uint32_t account,
		       const struct dns_link_told *told)
{
	for (uint32_t i = 0; i < told->count; i++) {
		const struct policy_address *address =
			&told->records[i].address;

		if (address_is_special(address) &&
		    !policy_allows_address(gate->policy, account, address,
					   clock_realtime_ns() /
						   CLOCK_NS_PER_S))
			return true;
	}
	return false;
}

static void pin(struct net_gate *gate, uint32_t uid,
		const struct dns_link_told *told)
{
	const struct policy_general *general = policy_general(gate->policy);
	int64_t now_s = clock_boottime_ns() / CLOCK_NS_PER_S;
	char name[HOST_NAME_SIZE];

	if (host_name_read(told->name, strlen(told->name), name))
		return;
	for (uint32_t i = 0; i < told->count; i++) {
		int64_t ttl_s = told->records[i].ttl_s;

		if (ttl_s < general->names_floor_s)
			ttl_s = general->names_floor_s;
		if (ttl_s > PIN_SECONDS_MAX)
			ttl_s = PIN_SECONDS_MAX;
		/*
		 * One second more, since the clock that pins are read by counts
		 * whole seconds, and this one may be about to end.
		 */
		pins_add(gate->ends.memory, uid, &told->records[i].address,
			 name, now_s + ttl_s + general->names_grace_s + 1);
	}
}

static void refuse_answer(struct net_gate *gate,
			  const struct dns_asker_told *told, uint32_t account,
			  enum dns_fate fate, enum policy_reason reason)
{
	struct policy_answer answer = denied(reason);

	policy_observe(gate->policy, account, &answer);
	if (answer.verdict == POLICY_OBSERVE)
		fate = DNS_FATE_PASS;
	add_fate(told, fate, DNS_REPLY_NO_NAME,
		 policy_reason_text(reason, POLICY_DENY));
	flow_record_put_name(gate, told->held, told->told->name, &answer);
}

static void take_answer(struct net_gate *gate,
			const struct dns_asker_told *told)
{
	struct dns_held *held = told->held;
	const struct packet *packet = &held->packet;
	bool understood = told->told->outcome == DNS_LINK_UNDERSTOOD;
	uint32_t uid = GATE_ASKED_NOBODY, account;

	if (understood && questions_take(gate->questions, packet, told->told,
					 clock_monotonic_ns(), &uid)) {
		held->uid = uid;
		account = policy_account_of(gate->policy, uid);
		if (account == POLICY_NONE) {
			add_fate(told, DNS_FATE_PASS, DNS_REPLY_NO_DATA, NULL);
		} else if (is_special(gate, account, told->told)) {
			refuse_answer(gate, told, account,
				      is_tcp(packet) ? DNS_FATE_DROP
						     : DNS_FATE_REPLY,
				      POLICY_REASON_SPECIAL);
		} else {
			pin(gate, uid, told->told);
			add_fate(told, DNS_FATE_PASS, DNS_REPLY_NO_DATA, NULL);
		}
		return;
	}
	if (!is_for_account(gate, packet, &uid)) {
		add_fate(told, DNS_FATE_PASS, DNS_REPLY_NO_DATA, NULL);
		return;
	}
	held->uid = uid;
	account = policy_account_of(gate->policy, uid);
	if (account == POLICY_NONE)
		add_fate(told, DNS_FATE_DROP, DNS_REPLY_NO_DATA, NULL);
	else
		refuse_answer(gate, told, account, DNS_FATE_DROP,
			      understood ? POLICY_REASON_UNASKED
					 : POLICY_REASON_PACKET);
}

/* Ask about every answer that is complete now. */
static void ask_complete(struct net_gate *gate, struct dns_held *held,
			 struct stream *stream)
{
	size_t done = 0, length;

	while (next_message(stream->bytes + done, stream->length - done,
			    &length)) {
		ask(gate, held, stream->bytes + done + LENGTH_SIZE, length);
		done += LENGTH_SIZE + length;
	}
	if (done)
		streams_consume(gate->resolvers, stream, done);
}

static void answer_tcp(struct net_gate *gate, const struct queue_packet *queued,
		       const struct packet *packet)
{
	struct stream *stream = streams_find(gate->resolvers, packet);
	struct dns_held *held;

	if (packet->is_syn_ack)
		stream = streams_begin(gate->resolvers, packet, 0,
				       clock_monotonic_ns());
	if (!packet->data_length) {
		if (stream && packet->is_end)
			streams_end(gate->resolvers, stream);
		check(queue_pass(gate->queue, queued, queued->mark));
		return;
	}
	if (!stream || is_read_otherwise(packet, queued) ||
	    packet->is_syn_ack ||
	    streams_add(gate->resolvers, stream, packet->sequence, packet->data,
			packet->data_length)) {
		drop(gate, queued);
		return;
	}
	held = hold(gate, queued, DNS_LINK_ANSWER, GATE_ASKED_NOBODY);
	if (!held)
		return;
	ask_complete(gate, held, stream);
	finish_if_told(gate, held);
	release_if_told(gate, held);
}

void judge_name_answer(struct net_gate *gate, const struct queue_packet *queued)
{
	struct packet packet;
	struct dns_held *held;

	if (packet_parse(queued->payload, queued->payload_length, &packet)) {
		drop(gate, queued);
		return;
	}
	/* An ICMP error carries no answer. */
	if (packet.protocol == POLICY_PROTOCOL_ICMP) {
		check(queue_pass(gate->queue, queued, queued->mark));
		return;
	}
	if (packet.protocol == POLICY_PROTOCOL_TCP) {
		answer_tcp(gate, queued, &packet);
		return;
	}
	held = hold(gate, queued, DNS_LINK_ANSWER, GATE_ASKED_NOBODY);
	if (!held)
		return;
	if (is_read_otherwise(&held->packet, queued))
		held->fate = DNS_FATE_DROP;
	else
		ask(gate, held, held->packet.data, held->packet.data_length);
	finish_if_told(gate, held);
	release_if_told(gate, held);
}

int judge_name_told(struct net_gate *gate)
{
	struct policy_answer allowed;
	struct dns_asker_told told;
	int r;

	if (!gate->policy)
		return 0;
	for (;;) {
		bool note = false;

		r = dns_asker_take(gate->asker, &told);
		if (r == DNS_ASKER_EMPTY)
			break;
		if (r)
			return r;
		if (told.held->kind == DNS_LINK_QUESTION)
			note = take_question(gate, &told, &allowed);
		else
			take_answer(gate, &told);
		finish_if_told(gate, told.held);
		if (note)
			flow_record_put_name(gate, told.held, told.told->name,
					     &allowed);
		release_if_told(gate, told.held);
	}
	return dns_asker_is_overdue(gate->asker, clock_monotonic_ns())
		       ? -ETIMEDOUT
		       : 0;
}
