/* What the net gate answers to questions about names and to their answers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/nameser.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/names/judge_name.h"
#include "tests/unit/net_world.h"

#define FIRST 1001 /* sequence number after the SYN */

#define assert_marked(what, how, ours)                                         \
	do {                                                                   \
		assert_int_equal(what, how);                                   \
		assert_int_equal(net_world.mark, (ours) | NET_WORLD_MARK);     \
	} while (0)

static void add_below(const char *host)
{
	const struct policy_net_spec spec = {
		.effect = POLICY_EFFECT_REACH,
		.host = host,
		.below = true,
		.protocols = POLICY_PROTOCOL_ALL,
		.port_last = UINT16_MAX,
		.meta.origin = host,
	};
	uint32_t rule = POLICY_NONE;

	assert_int_equal(
		policy_builder_net(net_world.made.builder, &spec, &rule), 0);
}

static void ready(void)
{
	const struct policy_address resolver =
		made_policy_address(NET_WORLD_RESOLVER);

	made_policy_host(&net_world.made, POLICY_EFFECT_REACH, "a.example");
	add_below("wide.example");
	made_policy_net(&net_world.made, POLICY_EFFECT_REACH, "10.0.0.99",
			NULL);
	assert_int_equal(policy_builder_resolver(net_world.made.builder,
						 net_world.made.puppy,
						 &resolver),
			 0);
	net_world_ready();
}

static struct net_world_packet to_resolver(const void *bytes, size_t length)
{
	return (struct net_world_packet){
		.uid = MADE_POLICY_UID,
		.to = NET_WORLD_RESOLVER,
		.to_port = 53,
		.udp = true,
		.data = bytes,
		.length = length,
	};
}

static struct net_world_packet of_resolver(const void *bytes, size_t length)
{
	return (struct net_world_packet){
		.queue = NET_QUEUE_DNS,
		.from = NET_WORLD_RESOLVER,
		.from_port = 53,
		.to = NET_WORLD_HERE,
		.to_port = 40000,
		.udp = true,
		.data = bytes,
		.length = length,
	};
}

static enum net_world_verdict asks_type(const char *name, uint16_t type)
{
	uint8_t bytes[512];
	struct net_world_packet question =
		to_resolver(bytes, net_world_question(name, type, bytes));

	assert_int_equal(net_world_send(&question), NET_WORLD_NONE);
	return net_world_tell();
}

static enum net_world_verdict asks(const char *name)
{
	return asks_type(name, ns_t_a);
}

static enum net_world_verdict is_answered(const char *name, const char *address)
{
	uint8_t bytes[512];
	struct net_world_packet answer =
		of_resolver(bytes, net_world_answer(name, address, 300, bytes));

	assert_int_equal(net_world_send(&answer), NET_WORLD_NONE);
	return net_world_tell();
}

static uint32_t pinned(const char *ipv4, int64_t in_s)
{
	const struct policy_address address = made_policy_address(ipv4);
	const char *names[PINS_NAMES_MAX];

	return pins_find(net_world.gate.ends.memory, MADE_POLICY_UID, &address,
			 clock_boottime_ns() / CLOCK_NS_PER_S + in_s, names);
}

static void assert_record(enum policy_verdict verdict,
			  enum policy_reason reason, const char *target)
{
	struct record record;
	const struct record_bytes *text = &record.texts[RECORD_TEXT_TARGET];

	assert_true(net_world_record(&record));
	assert_int_equal(record.kind, POLICY_KIND_RESOLVE);
	assert_int_equal(record.verdict, verdict);
	assert_int_equal(record.reason, reason);
	assert_int_equal(text->length, strlen(target));
	assert_memory_equal(text->bytes, target, text->length);
}

static void assert_no_record(void)
{
	struct record record;

	assert_false(net_world_record(&record));
}

/* A reply in the question's place, of that kind (RFC 1035's RCODE). */
static void assert_replied(enum net_world_verdict verdict, int code)
{
	struct packet reply;

	assert_marked(verdict, NET_WORLD_REPLACE, NET_MARK_REPLY);
	assert_int_equal(
		packet_parse(net_world.bytes, net_world.length, &reply), 0);
	assert_int_equal(reply.source_port, 53);
	assert_int_equal(reply.data[3] & 0xf, code);
}

static bool is_for_resolver(const struct net_world_packet *spec)
{
	struct gate_asked asked = {.packet = net_world_parse(spec)};

	asked.flow = (struct policy_flow){
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = asked.packet.protocol,
		.address = asked.packet.destination,
		.port = asked.packet.destination_port,
	};
	return judge_name_is_for_resolver(&net_world.gate, &asked);
}

static void resolvers(void **state)
{
	const struct policy_address resolver = made_policy_address("10.0.0.54");
	struct net_world_packet packet = to_resolver("x", 1);

	(void)state;
	made_policy_net(&net_world.made, POLICY_EFFECT_DENY, "10.0.0.54", NULL);
	assert_int_equal(policy_builder_resolver(net_world.made.builder,
						 net_world.made.puppy,
						 &resolver),
			 0);
	ready();
	assert_true(is_for_resolver(&packet));
	packet.udp = false;
	assert_true(is_for_resolver(&packet));
	packet.to_port = 54;
	assert_false(is_for_resolver(&packet));
	packet.to_port = 53;
	packet.to = "10.0.0.55";
	assert_false(is_for_resolver(&packet));
	packet.to = "10.0.0.54"; /* a rule against it */
	assert_false(is_for_resolver(&packet));
}

static void questions(void **state)
{
	uint8_t bytes[512] = {0};
	struct net_world_packet garbled = to_resolver(bytes, 30);

	(void)state;
	ready();
	assert_marked(asks("a.example"), NET_WORLD_REPLACE, NET_MARK_DNS);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE, "a.example");
	assert_replied(asks("b.example"), ns_r_nxdomain);
	assert_record(POLICY_DENY, POLICY_REASON_DEFAULT, "b.example");
	/* Of a type that could hide names there is no data. */
	assert_replied(asks_type("a.example", 65), ns_r_noerror);
	assert_no_record();
	assert_marked(asks_type("a.example", ns_t_txt), NET_WORLD_REPLACE,
		      NET_MARK_DNS);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE, "a.example");
	assert_replied(asks("a_\\b.example"), ns_r_nxdomain);
	assert_record(POLICY_DENY, POLICY_REASON_DEFAULT, "a_\\\\b.example");

	assert_int_equal(net_world_send(&garbled), NET_WORLD_NONE);
	assert_marked(net_world_tell(), NET_WORLD_PASS, NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_PACKET, "?");
	/* Nor is one read that its receiver would read otherwise. */
	garbled = to_resolver(bytes, net_world_question("a.example", 1, bytes));
	garbled.is_to_be_cut = true;
	assert_marked(net_world_send(&garbled), NET_WORLD_PASS,
		      NET_MARK_DENIED);
	assert_record(POLICY_DENY, POLICY_REASON_PACKET, "?");
}

/* Names below a rule's carry out what they say: not much of it. */
static void limits(void **state)
{
	(void)state;
	ready();
	assert_marked(asks("one.wide.example"), NET_WORLD_REPLACE,
		      NET_MARK_DNS);
	assert_marked(asks("two.wide.example"), NET_WORLD_REPLACE,
		      NET_MARK_DNS);
	assert_marked(asks("three.wide.example"), NET_WORLD_REPLACE,
		      NET_MARK_DNS);
	assert_replied(asks("four.wide.example"), ns_r_nxdomain);
	assert_marked(asks("two.wide.example"), NET_WORLD_REPLACE,
		      NET_MARK_DNS);
	assert_marked(asks("a.example"), NET_WORLD_REPLACE, NET_MARK_DNS);
	for (int i = 0; i < 3; i++) {
		struct record record;

		assert_true(net_world_record(&record));
	}
	assert_record(POLICY_DENY, POLICY_REASON_LIMIT, "four.wide.example");
}

static void long_labels(void **state)
{
	(void)state;
	ready();
	/* With the dot, 20 and 21 bytes. */
	assert_marked(asks("a123456789012345678.wide.example"),
		      NET_WORLD_REPLACE, NET_MARK_DNS);
	assert_replied(asks("a1234567890123456789.wide.example"),
		       ns_r_nxdomain);
}

/* Its addresses are the name's before anybody hears of them. */
static void answers(void **state)
{
	(void)state;
	ready();
	asks("a.example");
	assert_int_equal(pinned("192.0.2.7", 0), 0);
	assert_int_equal(is_answered("a.example", "192.0.2.7"), NET_WORLD_PASS);
	assert_int_equal(net_world.mark, NET_WORLD_MARK | NET_MARK_STALE);
	assert_int_equal(pinned("192.0.2.7", 299), 1);
	assert_int_equal(pinned("192.0.2.7", 302), 0);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE, "a.example");
	/* To nobody's question: not a second time, and not for others. */
	assert_int_equal(is_answered("a.example", "192.0.2.8"), NET_WORLD_DROP);
	assert_record(POLICY_DENY, POLICY_REASON_UNASKED, "a.example");
	assert_int_equal(pinned("192.0.2.8", 0), 0);
	asks("a.example");
	assert_int_equal(is_answered("b.example", "192.0.2.8"), NET_WORLD_DROP);
	assert_int_equal(pinned("192.0.2.8", 0), 0);
}

/* Answers to others are none of ours. */
static void answers_of_others(void **state)
{
	(void)state;
	ready();
	net_world.socket.uid = 9;
	assert_int_equal(is_answered("a.example", "192.0.2.7"), NET_WORLD_PASS);
	assert_int_equal(pinned("192.0.2.7", 0), 0);
	assert_no_record();
	net_world.no_socket = true; /* nobody misses it */
	assert_int_equal(is_answered("a.example", "192.0.2.7"), NET_WORLD_DROP);
	assert_no_record();
}

/* A public name leads to no private address, unless that is allowed itself. */
static void special_addresses(void **state)
{
	struct packet reply;

	(void)state;
	ready();
	asks("a.example");
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE, "a.example");
	assert_int_equal(is_answered("a.example", "10.0.0.7"),
			 NET_WORLD_REPLACE);
	assert_int_equal(
		packet_parse(net_world.bytes, net_world.length, &reply), 0);
	assert_int_equal(reply.data[3] & 0xf, ns_r_nxdomain);
	assert_int_equal(pinned("10.0.0.7", 0), 0);
	assert_record(POLICY_DENY, POLICY_REASON_SPECIAL, "a.example");
	asks("a.example");
	assert_int_equal(is_answered("a.example", "10.0.0.99"), NET_WORLD_PASS);
	assert_int_equal(pinned("10.0.0.99", 0), 1);
}

static void ill_answers(void **state)
{
	uint8_t bytes[512] = {0};
	struct net_world_packet answer = of_resolver(bytes, 30);
	struct queue_packet queued = {
		.queue = NET_QUEUE_DNS, .payload = "x", .payload_length = 1};

	(void)state;
	ready();
	asks("a.example");
	net_world_send(&answer);
	assert_int_equal(net_world_tell(), NET_WORLD_DROP);
	assert_record(POLICY_ALLOW, POLICY_REASON_RULE, "a.example");
	assert_record(POLICY_DENY, POLICY_REASON_PACKET, "?");
	answer = of_resolver(
		bytes, net_world_answer("a.example", "192.0.2.7", 1, bytes));
	answer.is_to_be_cut = true;
	assert_int_equal(net_world_send(&answer), NET_WORLD_DROP);
	judge_name_answer(&net_world.gate, &queued);
	assert_int_equal(net_world.verdict, NET_WORLD_DROP);
}

/* Over TCP, with a length before each message. */
static size_t framed(uint8_t *bytes, size_t length)
{
	memmove(bytes + 2, bytes, length);
	bytes[0] = (uint8_t)(length >> 8);
	bytes[1] = (uint8_t)length;
	return length + 2;
}

static enum net_world_verdict says(uint8_t flags, uint32_t sequence,
				   const uint8_t *bytes, size_t length)
{
	struct net_world_packet packet =
		to_resolver(length ? bytes : NULL, length);

	packet.udp = false;
	packet.flags = flags;
	packet.sequence = sequence;
	return net_world_send(&packet);
}

static void questions_by_tcp(void **state)
{
	uint8_t bytes[512];
	size_t length =
		framed(bytes, net_world_question("a.example", 1, bytes));
	size_t more =
		framed(bytes + length,
		       net_world_question("b.example", 1, bytes + length));
	uint32_t next = FIRST + (uint32_t)length;

	(void)state;
	ready();
	/* In the middle of what was never seen. */
	assert_marked(says(TH_ACK, FIRST, bytes, length), NET_WORLD_PASS,
		      NET_MARK_DENIED);
	assert_marked(says(TH_SYN, FIRST - 1, NULL, 0), NET_WORLD_PASS,
		      NET_MARK_DNS);
	assert_int_equal(says(TH_ACK, FIRST, bytes, length), NET_WORLD_NONE);
	assert_marked(net_world_tell(), NET_WORLD_REPLACE, NET_MARK_DNS);
	/* Half a message, and one that begins elsewhere. */
	assert_marked(says(TH_ACK, next, bytes, length - 1), NET_WORLD_PASS,
		      NET_MARK_DENIED);
	assert_marked(says(TH_ACK, next + 1, bytes, length), NET_WORLD_PASS,
		      NET_MARK_DENIED);
	/* Again, and the same; then another in its place. */
	assert_marked(says(TH_SYN, FIRST - 1, NULL, 0), NET_WORLD_PASS,
		      NET_MARK_DNS);
	says(TH_ACK, FIRST, bytes, length);
	net_world_tell();
	assert_int_equal(says(TH_ACK, FIRST, bytes, length), NET_WORLD_NONE);
	assert_marked(net_world_tell(), NET_WORLD_REPLACE, NET_MARK_DNS);
	assert_marked(says(TH_ACK, FIRST, bytes + length, more), NET_WORLD_PASS,
		      NET_MARK_DENIED);
	/* Two in one packet, of which one may not be asked: neither is. */
	assert_int_equal(says(TH_ACK, next, bytes, length + more),
			 NET_WORLD_NONE);
	assert_marked(net_world_tell(), NET_WORLD_PASS, NET_MARK_DENIED);
	/* Data with the SYN is left out; a byte that is urgent is refused. */
	assert_marked(says(TH_SYN, FIRST - 1, bytes, length), NET_WORLD_REPLACE,
		      NET_MARK_DNS);
	assert_int_equal(net_world.length, 40);
	assert_marked(says(TH_ACK | TH_URG, FIRST, bytes, length),
		      NET_WORLD_PASS, NET_MARK_DENIED);
	/* The end of it is the end of what is known of it. */
	assert_marked(says(TH_FIN | TH_ACK, FIRST, NULL, 0), NET_WORLD_PASS,
		      NET_MARK_DNS);
	assert_marked(says(TH_ACK, FIRST, bytes, length), NET_WORLD_PASS,
		      NET_MARK_DENIED);
}

static enum net_world_verdict hears(uint8_t flags, uint32_t sequence,
				    const uint8_t *bytes, size_t length)
{
	struct net_world_packet packet =
		of_resolver(length ? bytes : NULL, length);

	packet.udp = false;
	packet.flags = flags;
	packet.sequence = sequence;
	return net_world_send(&packet);
}

static void ask_by_tcp(void)
{
	uint8_t bytes[512];

	says(TH_SYN, FIRST - 1, NULL, 0);
	says(TH_ACK, FIRST, bytes,
	     framed(bytes, net_world_question("a.example", 1, bytes)));
	net_world_tell();
}

static void answers_by_tcp(void **state)
{
	uint8_t bytes[512];
	size_t length = framed(
		bytes, net_world_answer("a.example", "192.0.2.7", 9, bytes));

	(void)state;
	ready();
	ask_by_tcp();
	assert_int_equal(hears(TH_ACK, FIRST, bytes, length), NET_WORLD_DROP);
	assert_int_equal(hears(TH_SYN | TH_ACK, FIRST - 1, NULL, 0),
			 NET_WORLD_PASS);
	/* In two parts; the first tells nothing, and goes on. */
	assert_int_equal(hears(TH_ACK, FIRST, bytes, 5), NET_WORLD_PASS);
	assert_int_equal(hears(TH_ACK, FIRST + 5, bytes + 5, length - 5),
			 NET_WORLD_NONE);
	assert_int_equal(net_world_tell(), NET_WORLD_PASS);
	assert_int_equal(pinned("192.0.2.7", 59), 1); /* the floor */
	assert_int_equal(pinned("192.0.2.7", 62), 0);
	assert_int_equal(hears(TH_ACK | TH_FIN, FIRST + 200, NULL, 0),
			 NET_WORLD_PASS);
	assert_int_equal(hears(TH_ACK, FIRST, bytes, length), NET_WORLD_DROP);
}

/* What was kept from the receiver does not come in a second copy. */
static void special_by_tcp(void **state)
{
	uint8_t bytes[512];
	size_t length = framed(
		bytes, net_world_answer("a.example", "10.0.0.7", 9, bytes));

	(void)state;
	ready();
	ask_by_tcp();
	hears(TH_SYN | TH_ACK, FIRST - 1, NULL, 0);
	assert_int_equal(hears(TH_ACK, FIRST, bytes, length), NET_WORLD_NONE);
	assert_int_equal(net_world_tell(), NET_WORLD_DROP);
	assert_int_equal(hears(TH_ACK, FIRST, bytes, length), NET_WORLD_DROP);
	assert_int_equal(pinned("10.0.0.7", 0), 0);
}

/* An account that only is looked at is told everything. */
static void observed(void **state)
{
	uint8_t bytes[512] = {0};
	struct net_world_packet garbled = to_resolver(bytes, 30);

	(void)state;
	policy_builder_account_mode(net_world.made.builder,
				    net_world.made.puppy, POLICY_MODE_OBSERVE);
	ready();
	assert_marked(asks("b.example"), NET_WORLD_REPLACE, NET_MARK_DNS);
	assert_record(POLICY_OBSERVE, POLICY_REASON_DEFAULT, "b.example");
	assert_int_equal(is_answered("b.example", "10.0.0.7"), NET_WORLD_PASS);
	assert_record(POLICY_OBSERVE, POLICY_REASON_SPECIAL, "b.example");
	net_world_send(&garbled);
	assert_marked(net_world_tell(), NET_WORLD_REPLACE, NET_MARK_DNS);
}

/* Nobody is asked for ever. */
static void leash_dns_gone(void **state)
{
	uint8_t bytes[512];
	struct net_world_packet question =
		to_resolver(bytes, net_world_question("a.example", 1, bytes));

	(void)state;
	ready();
	net_world_send(&question);
	assert_int_equal(judge_name_told(&net_world.gate), 0);
	net_world.dns = fd_close(net_world.dns);
	assert_true(judge_name_told(&net_world.gate) < 0);
}

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, net_world_begin, net_world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(resolvers),
		CASE(questions),
		CASE(limits),
		CASE(long_labels),
		CASE(answers),
		CASE(answers_of_others),
		CASE(special_addresses),
		CASE(ill_answers),
		CASE(questions_by_tcp),
		CASE(answers_by_tcp),
		CASE(special_by_tcp),
		CASE(observed),
		CASE(leash_dns_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
