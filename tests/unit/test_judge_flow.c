/* What the net gate answers to packets of connections, and writes down. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/judge_flow.h"
#include "nfqueue/names/flow_names.h"
#include "tests/unit/net_world.h"

#define GET   "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define OTHER "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"
#define FIRST 1001 /* sequence number after the SYN */

#define PUPPYS                                                                 \
	{                                                                      \
		.uid = MADE_POLICY_UID, .to_port = 80                          \
	}

static uint32_t allowed(uint32_t account)
{
	return net_queue_mark(5, account) | NET_WORLD_MARK;
}

/* Passed, with our byte of the mark so and the rest as it was. */
#define assert_passed(what, ours)                                              \
	do {                                                                   \
		assert_int_equal(what, NET_WORLD_PASS);                        \
		assert_int_equal(net_world.mark, (ours) | NET_WORLD_MARK);     \
	} while (0)
#define assert_said(what, ours)                                                \
	do {                                                                   \
		assert_int_equal(what, NET_WORLD_REPLACE);                     \
		assert_int_equal(net_world.mark, (ours) | NET_WORLD_MARK);     \
	} while (0)

static bool is_text(const struct record_bytes *text, const char *wanted)
{
	return text->length == strlen(wanted) &&
	       !memcmp(text->bytes, wanted, text->length);
}

static void assert_record(enum policy_verdict verdict,
			  enum policy_reason reason, const char *target)
{
	struct record record;

	assert_true(net_world_record(&record));
	assert_int_equal(record.verdict, verdict);
	assert_int_equal(record.reason, reason);
	assert_true(is_text(&record.texts[RECORD_TEXT_TARGET], target));
}

static void assert_no_record(void)
{
	struct record record;

	assert_false(net_world_record(&record));
}

/* An address is allowed or not; both are written down, with the process. */
static void by_address(void **state)
{
	struct net_world_packet syn = PUPPYS;
	struct record record;

	(void)state;
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, NET_WORLD_HOST,
			NULL);
	net_world_ready();
	net_world.process = (struct socket_process){
		.pid = 7, .parent_pid = 6, .program = "/bin/curl"};
	syn.flags = TH_SYN;
	assert_int_equal(net_world_send(&syn), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	assert_true(net_world_record(&record));
	assert_int_equal(record.kind, POLICY_KIND_CONNECT);
	assert_int_equal(record.verdict, POLICY_ALLOW);
	assert_int_equal(record.uid, MADE_POLICY_UID);
	assert_int_equal(record.pid, 7);
	assert_int_equal(record.parent_pid, 6);
	assert_int_equal(record.port, 80);
	assert_int_equal(record.generation, 5);
	assert_int_equal(record.protocol, POLICY_PROTOCOL_TCP);
	assert_true(is_text(&record.texts[RECORD_TEXT_ACCOUNT], "puppy"));
	assert_true(is_text(&record.texts[RECORD_TEXT_PROGRAM], "/bin/curl"));
	assert_true(is_text(&record.texts[RECORD_TEXT_RULE], NET_WORLD_HOST));
	assert_true(
		is_text(&record.texts[RECORD_TEXT_TARGET], "tcp 192.0.2.7:80"));
	assert_true(is_text(&record.host, "192.0.2.7"));
	assert_true(is_text(&record.source, "address"));

	syn.to = "192.0.2.8";
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_DEFAULT, "tcp 192.0.2.8:80");
	syn.udp = true;
	syn.to = NET_WORLD_HOST;
	assert_int_equal(net_world_send(&syn), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
}

/* Whose it is, when the kernel says so, is asked, or cannot be known. */
static void owners(void **state)
{
	struct net_world_packet syn = {.uid = 9, .flags = TH_SYN};

	(void)state;
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, NET_WORLD_HOST,
			NULL);
	made_policy_account(&net_world.made, "kitten", 1001);
	net_world_ready();
	assert_passed(net_world_send(&syn), NET_MARK_CLEAR);
	assert_no_record();
	syn.uid = 2005; /* another of puppy's */
	assert_int_equal(net_world_send(&syn), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	syn.uid = 1001;
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);

	syn.uid = 0;
	assert_int_equal(net_world_send(&syn), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	/* kitten might not, so nobody may whom nobody knows. */
	net_world.no_socket = true;
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);
	for (int i = 0; i < 3; i++) {
		struct record record;

		assert_true(net_world_record(&record));
	}
	assert_record(POLICY_DENY, POLICY_REASON_OWNER, "tcp 192.0.2.7:443");
}

static void nobody_else(void **state)
{
	struct net_world_packet syn = {.flags = TH_SYN};

	(void)state;
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, NET_WORLD_HOST,
			NULL);
	net_world_ready();
	net_world.no_socket = true;
	assert_int_equal(net_world_send(&syn), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	syn.to = "192.0.2.8";
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE, "tcp 192.0.2.7:443");
	/* With one account, it is that one's rule. */
	assert_record(POLICY_DENY, POLICY_REASON_DEFAULT, "tcp 192.0.2.8:443");
}

static void not_understood(void **state)
{
	const char bytes[] = {0x45, 0, 0, 3};
	struct queue_packet queued = {
		.queue = NET_QUEUE_OUT,
		.has_uid = true,
		.uid = MADE_POLICY_UID,
		.payload = bytes,
		.payload_length = sizeof(bytes),
	};

	(void)state;
	policy_builder_account_default(net_world.made.builder,
				       net_world.made.puppy,
				       POLICY_CLASS_NETWORK, POLICY_ALLOW);
	net_world_ready();
	judge_flow_packet(&net_world.gate, &queued);
	assert_int_equal(net_world.verdict, NET_WORLD_PASS);
	assert_int_equal(net_world.mark, NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_PACKET, "?");
	queued.has_uid = false; /* and nobody is asked whose it is */
	judge_flow_packet(&net_world.gate, &queued);
	assert_int_equal(net_world.mark, NET_MARK_DENIED);
}

/* Who connects to the account hears that nobody is there. */
static void inbound(void **state)
{
	struct net_world_packet answer = {
		.queue = NET_QUEUE_IN,
		.uid = MADE_POLICY_UID,
		.flags = TH_SYN | TH_ACK,
	};
	struct packet reset;

	(void)state;
	policy_builder_inbound(net_world.made.builder, net_world.made.puppy,
			       POLICY_INBOUND_LOOPBACK);
	net_world_ready();
	assert_int_equal(net_world_send(&answer), NET_WORLD_REPLACE);
	assert_int_equal(
		packet_parse(net_world.bytes, net_world.length, &reset), 0);
	assert_true(reset.is_end);
	assert_record(POLICY_DENY, POLICY_REASON_INBOUND, "tcp 192.0.2.7:443");
	answer.udp = true; /* there is no reset */
	assert_passed(net_world_send(&answer), NET_MARK_DENIED);
	answer.udp = false;
	answer.to = "127.0.0.9";
	assert_int_equal(net_world_send(&answer), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	answer.to = NET_WORLD_HERE; /* by its own address */
	assert_int_equal(net_world_send(&answer), NET_WORLD_PASS);
}

/* A rule for a program is for a socket that no other program holds. */
static void programs(void **state)
{
	struct net_world_packet syn = PUPPYS;

	(void)state;
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, NET_WORLD_HOST,
			"/bin/psql");
	net_world_ready();
	syn.flags = TH_SYN;
	net_world.process = (struct socket_process){
		.pid = 7, .program_known = true, .program = "/bin/psql"};
	assert_int_equal(net_world_send(&syn), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	net_world.process.several = true;
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);
	net_world.process.several = false;
	net_world.process.program_known = false;
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);
	net_world.process.program_known = true;
	strcpy(net_world.process.program, "/bin/sh");
	assert_passed(net_world_send(&syn), NET_MARK_DENIED);
}

static void pin(const char *name)
{
	const struct policy_address address =
		made_policy_address(NET_WORLD_HOST);

	pins_add(net_world.gate.ends.memory, MADE_POLICY_UID, &address, name,
		 INT64_MAX);
}

/* A host may be reached, and its name leads there. */
static void with_host(void)
{
	made_policy_host(&net_world.made, POLICY_EFFECT_REACH, "a.example");
	net_world_ready();
	pin("a.example");
}

static enum net_world_verdict send_syn(void)
{
	struct net_world_packet syn = PUPPYS;

	syn.flags = TH_SYN;
	syn.sequence = FIRST - 1;
	return net_world_send(&syn);
}

static enum net_world_verdict say(uint32_t sequence, const char *text)
{
	struct net_world_packet data = PUPPYS;

	data.flags = TH_ACK;
	data.sequence = sequence;
	data.data = text;
	return net_world_send(&data);
}

/* The client says the name; when that has arrived, the flow is let go. */
static void names(void **state)
{
	const uint32_t end = FIRST + (uint32_t)strlen(GET);

	(void)state;
	with_host();
	assert_passed(send_syn(), NET_MARK_PENDING);
	assert_passed(say(FIRST, NULL), NET_MARK_PENDING);
	assert_no_record();
	/* In two parts, of which the first says nothing yet. */
	assert_said(say(FIRST, "GET / HTTP/1.1\r\n"), NET_MARK_PENDING);
	assert_no_record();
	assert_said(say(FIRST + 16, "Host: a.example\r\n\r\n"),
		    NET_MARK_PENDING);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE,
		      "tcp a.example:80 at 192.0.2.7");
	/* Again, and the same. */
	assert_said(say(FIRST, GET), NET_MARK_PENDING);
	/* Not all of it has arrived. */
	net_world.socket.unacknowledged = 1;
	assert_passed(say(end, NULL), NET_MARK_PENDING);
	net_world.no_socket = true;
	net_world.socket.unacknowledged = 0;
	assert_passed(say(end, NULL), NET_MARK_PENDING);
	net_world.no_socket = false;
	assert_int_equal(say(end, NULL), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
	assert_no_record();
	/* It is known from now on by what it has said. */
	assert_int_equal(say(end, "more"), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, allowed(0));
}

static void changed_when_sent_again(void **state)
{
	(void)state;
	with_host();
	assert_passed(send_syn(), NET_MARK_PENDING);
	assert_said(say(FIRST, GET), NET_MARK_PENDING);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE,
		      "tcp a.example:80 at 192.0.2.7");
	assert_said(say(FIRST, OTHER), NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_GARBLED,
		      "tcp a.example:80 at 192.0.2.7");
	/* What it had said is forgotten: nothing can be told any more. */
	assert_said(say(FIRST, GET), NET_MARK_DENIED);
}

static void urgent_when_sent_again(void **state)
{
	struct net_world_packet again = PUPPYS;

	(void)state;
	with_host();
	send_syn();
	say(FIRST, GET);
	again.sequence = FIRST;
	again.data = GET;
	again.flags = TH_ACK | TH_URG;
	assert_said(net_world_send(&again), NET_MARK_DENIED);
}

static void wrong_names(void **state)
{
	static const struct {
		const char *text;
		enum policy_reason reason;
		const char *target;
	} cases[] = {
		{OTHER, POLICY_REASON_ELSEWHERE,
		 "tcp b.example:80 at 192.0.2.7"},
		{"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b\r\n\r\n",
		 POLICY_REASON_GARBLED, "tcp a.example:80 at 192.0.2.7"},
		{"GET / HTTP/1.0\r\n\r\n", POLICY_REASON_UNSAID,
		 "tcp a.example:80 at 192.0.2.7"},
		{"\1\2\3\4\5\6\7\10", POLICY_REASON_UNSAID,
		 "tcp a.example:80 at 192.0.2.7"},
	};

	(void)state;
	with_host();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_passed(send_syn(), NET_MARK_PENDING);
		assert_said(say(FIRST, cases[i].text), NET_MARK_DENIED);
		assert_record(POLICY_DENY, cases[i].reason, cases[i].target);
		/* Its stream is over. */
		assert_passed(say(FIRST, GET), NET_MARK_DENIED);
		assert_record(POLICY_DENY, POLICY_REASON_LOST_FLOW,
			      "tcp a.example:80 at 192.0.2.7");
	}
}

/* Segments that its receiver may read otherwise, or that come too early. */
static void odd_segments(void **state)
{
	struct net_world_packet urgent = PUPPYS, fast = PUPPYS, end = PUPPYS;
	struct packet bare;

	(void)state;
	with_host();
	/* In the middle of what was never seen. */
	assert_passed(say(FIRST, GET), NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_LOST_FLOW,
		      "tcp a.example:80 at 192.0.2.7");
	/* Something before it is missing: it will come again. */
	send_syn();
	assert_int_equal(say(FIRST + 5, GET), NET_WORLD_DROP);
	assert_said(say(FIRST, GET), NET_MARK_PENDING);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE,
		      "tcp a.example:80 at 192.0.2.7");
	send_syn();
	urgent.flags = TH_ACK | TH_URG;
	urgent.sequence = FIRST;
	assert_passed(net_world_send(&urgent), NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_GARBLED,
		      "tcp a.example:80 at 192.0.2.7");
	/* With the SYN it is left out, to come again. */
	fast.flags = TH_SYN;
	fast.sequence = FIRST - 1;
	fast.data = GET;
	assert_said(net_world_send(&fast), NET_MARK_PENDING);
	assert_int_equal(packet_parse(net_world.bytes, net_world.length, &bare),
			 0);
	assert_true(bare.is_syn);
	assert_int_equal(bare.data_length, 0);
	/* A client that ends without a word is written down. */
	end.flags = TH_FIN | TH_ACK;
	end.sequence = FIRST;
	assert_passed(net_world_send(&end), NET_MARK_PENDING);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE,
		      "tcp a.example:80 at 192.0.2.7");
	assert_passed(say(FIRST, GET), NET_MARK_DENIED);
}

/* A stream that was forgotten tells nothing of what was said. */
static void forgotten(void **state)
{
	const struct net_world_packet data = PUPPYS;
	struct packet packet = net_world_parse(&data);
	struct stream *stream;

	(void)state;
	with_host();
	send_syn();
	say(FIRST, GET);
	stream = streams_find(net_world.gate.clients, &packet);
	assert_non_null(stream);
	streams_end(net_world.gate.clients, stream);
	assert_said(say(FIRST, GET), NET_MARK_DENIED);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE,
		      "tcp a.example:80 at 192.0.2.7");
	assert_record(POLICY_DENY, POLICY_REASON_LOST_FLOW,
		      "tcp a.example:80 at 192.0.2.7");
}

/* A socket that is closed may have much to send: the stream knows whose. */
static void closed_socket(void **state)
{
	struct net_world_packet data = PUPPYS;

	(void)state;
	with_host();
	send_syn();
	net_world.no_socket = true;
	data.uid = 0;
	data.sequence = FIRST;
	data.data = GET;
	assert_said(net_world_send(&data), NET_MARK_PENDING);
}

/* The account's names, for its own flows, of an address that has several. */
static void other_side_of_names(void **state)
{
	(void)state;
	made_policy_host(&net_world.made, POLICY_EFFECT_REACH, "a.example");
	made_policy_host(&net_world.made, POLICY_EFFECT_DENY, "b.example");
	net_world_ready();
	assert_passed(send_syn(), NET_MARK_DENIED); /* nothing leads there */
	pin("b.example");
	assert_passed(send_syn(), NET_MARK_DENIED);
	pin("a.example");
	assert_passed(send_syn(), NET_MARK_PENDING);
	assert_said(say(FIRST, OTHER), NET_MARK_DENIED);
}

static bool must_cut(const struct net_world_packet *spec, uint32_t uid)
{
	struct packet packet = net_world_parse(spec);

	return judge_flow_must_cut(&net_world.gate, uid, &packet);
}

/* Connections that are there when a policy comes. */
static void cut(void **state)
{
	const struct policy_address resolver =
		made_policy_address(NET_WORLD_RESOLVER);
	struct net_world_packet known = {.to = "192.0.2.9", .to_port = 80};
	const struct flow_said said = {POLICY_SAID_NAME, "a.example", false, 0};
	struct packet packet = net_world_parse(&known);

	(void)state;
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, NET_WORLD_HOST,
			NULL);
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, "192.0.2.10",
			"/bin/psql");
	made_policy_host(&net_world.made, POLICY_EFFECT_REACH, "a.example");
	assert_int_equal(policy_builder_resolver(net_world.made.builder,
						 net_world.made.puppy,
						 &resolver),
			 0);
	net_world_ready();
	assert_false(must_cut(&(struct net_world_packet){0}, MADE_POLICY_UID));
	assert_true(must_cut(&known, MADE_POLICY_UID));
	assert_false(must_cut(&known, 9));
	/* Where the program matters, its next packet will tell. */
	assert_false(must_cut(&(struct net_world_packet){.to = "192.0.2.10"},
			      MADE_POLICY_UID));
	assert_false(
		must_cut(&(struct net_world_packet){.to = NET_WORLD_RESOLVER,
						    .to_port = 53},
			 MADE_POLICY_UID));
	assert_true(
		must_cut(&(struct net_world_packet){.to = NET_WORLD_RESOLVER,
						    .to_port = 54},
			 MADE_POLICY_UID));
	flow_names_put(net_world.gate.ends.memory, MADE_POLICY_UID, &packet,
		       &said, 1);
	assert_false(must_cut(&known, MADE_POLICY_UID));
}

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, net_world_begin, net_world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(by_address),
		CASE(owners),
		CASE(nobody_else),
		CASE(not_understood),
		CASE(inbound),
		CASE(programs),
		CASE(names),
		CASE(changed_when_sent_again),
		CASE(urgent_when_sent_again),
		CASE(wrong_names),
		CASE(odd_segments),
		CASE(forgotten),
		CASE(closed_socket),
		CASE(other_side_of_names),
		CASE(cut),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
