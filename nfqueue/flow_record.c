#include "nfqueue/flow_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"

#define TARGET_SIZE (PACKET_TEXT_MAX * 2 + DNS_LINK_NAME_SIZE)

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

void flow_record_find_socket(struct net_gate *gate, struct gate_asked *asked)
{
	struct socket_found found;

	if (asked->inode_known)
		return;
	asked->inode_known = true;
	if (socket_owner_find(gate->owner, &asked->packet, &found))
		return;
	asked->inode = found.inode;
	if (asked->uid == GATE_ASKED_NOBODY)
		asked->uid = found.uid;
}

void flow_record_find_process(struct net_gate *gate, struct gate_asked *asked,
			      bool all)
{
	if (asked->process_known && !all)
		return;
	flow_record_find_socket(gate, asked);
	socket_owner_process(gate->owner, gate->policy, asked->flow.account,
			     &asked->packet, asked->inode, all, &gate->process);
	asked->process_known = true;
}

static void set_answer(struct record *record, const struct policy *policy,
		       uint32_t uid, const struct policy_answer *answer)
{
	uint32_t account = policy_account_of(policy, uid);

	record->time_ns = clock_realtime_ns();
	record->generation = policy_generation(policy);
	record->verdict = answer->verdict;
	record->reason = answer->reason;
	record->uid = uid;
	if (account != POLICY_NONE)
		record_set(record, RECORD_TEXT_ACCOUNT,
			   policy_text(policy,
				       policy_account(policy, account)->name));
	if (answer->rule != POLICY_NONE) {
		const struct policy_rule *rule =
			policy_rule(policy, answer->rule);

		record_set(record, RECORD_TEXT_RULE,
			   policy_text(policy, rule->name));
		record_set(record, RECORD_TEXT_NOTE,
			   policy_text(policy, rule->reason));
	}
}

static void set_host(struct record *record, const char *host,
		     const char *source)
{
	record->host = (struct record_bytes){host, strlen(host)};
	record->source = (struct record_bytes){source, strlen(source)};
}

/* "tcp api.example:443 at 192.0.2.1", or without a name "tcp 192.0.2.1:443". */
static void write_target(const struct gate_asked *asked, const char *host,
			 const char *address, char ret[static TARGET_SIZE])
{
	char peer[PACKET_TEXT_MAX];

	if (host)
		snprintf(ret, TARGET_SIZE, "%s %s:%u at %s",
			 policy_protocol_word(asked->flow.protocol), host,
			 asked->flow.port, address);
	else {
		packet_peer_text(asked->flow.protocol, address,
				 asked->flow.port, peer);
		snprintf(ret, TARGET_SIZE, "%s", peer);
	}
}

void flow_record_put(struct net_gate *gate, struct gate_asked *asked,
		     const struct policy_answer *answer)
{
	const char *host = *asked->said_name ? asked->said_name : answer->host;
	char address[PACKET_TEXT_MAX], target[TARGET_SIZE];
	struct record record = {
		.kind = asked->flow.kind,
		.protocol = asked->flow.protocol,
		.port = asked->flow.port,
	};

	flow_record_find_process(gate, asked, false);
	packet_address_text(&asked->flow.address, address);
	write_target(asked, host, address, target);
	set_answer(&record, gate->policy, asked->uid, answer);
	set_host(&record, host ? host : address,
		 host ? asked->source : "address");
	record.pid = (uint32_t)gate->process.pid;
	record.parent_pid = gate->process.parent_pid;
	record_set(&record, RECORD_TEXT_PROGRAM,
		   gate->process.program[0] ? gate->process.program : NULL);
	record_set(&record, RECORD_TEXT_TARGET, target);
	put(gate, &record);
}

void flow_record_put_name(struct net_gate *gate, const struct dns_held *held,
			  const char *name, const struct policy_answer *answer)
{
	bool is_question = held->kind == DNS_LINK_QUESTION;
	const struct packet *packet = &held->packet;
	struct gate_asked asked = {
		.packet = *packet,
		.uid = held->uid,
		.flow.account = policy_account_of(gate->policy, held->uid),
	};
	struct record record = {
		.kind = POLICY_KIND_RESOLVE,
		.protocol = packet->protocol,
		.port = is_question ? packet->destination_port
				    : packet->source_port,
	};
	char resolver[PACKET_TEXT_MAX];

	/* The account's socket is where an answer goes to. */
	if (!is_question) {
		asked.packet.source = packet->destination;
		asked.packet.destination = packet->source;
		asked.packet.source_port = packet->destination_port;
		asked.packet.destination_port = packet->source_port;
	}
	packet_address_text(&asked.packet.destination, resolver);
	flow_record_find_process(gate, &asked, false);
	set_answer(&record, gate->policy, held->uid, answer);
	set_host(&record, *name ? name : resolver,
		 is_question ? "question" : "answer");
	record.pid = (uint32_t)gate->process.pid;
	record.parent_pid = gate->process.parent_pid;
	record_set(&record, RECORD_TEXT_PROGRAM,
		   gate->process.program[0] ? gate->process.program : NULL);
	record_set(&record, RECORD_TEXT_TARGET, *name ? name : "?");
	put(gate, &record);
}
