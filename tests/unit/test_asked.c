/* What the net gate remembers of names: questions, pins, flows, limits, and
 * what it says in an answer's place. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "dns/dns_message.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/decide_flow.h"
#include "nfqueue/names/dns_reply.h"
#include "nfqueue/names/flow_names.h"
#include "nfqueue/names/name_limits.h"
#include "nfqueue/names/pins.h"
#include "nfqueue/names/questions.h"

static struct dns_link_told told_of(const char *name, uint16_t id,
				    uint16_t type)
{
	struct dns_link_told told = {.id = id, .type = type, .class = 1};

	strcpy(told.name, name);
	return told;
}

static const struct packet asking = {
	.protocol = POLICY_PROTOCOL_UDP,
	.source = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}},
	.destination = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 53}},
	.source_port = 40000,
	.destination_port = 53,
};

static struct packet answering(void)
{
	struct packet packet = asking;

	packet.source = asking.destination;
	packet.destination = asking.source;
	packet.source_port = asking.destination_port;
	packet.destination_port = asking.source_port;
	return packet;
}

static void questions(void **state)
{
	CLEANUP(questions_free) struct questions *questions = NULL;
	struct dns_link_told a = told_of("a.example", 1, 1);
	struct dns_link_told aaaa = told_of("a.example", 1, 28);
	struct dns_link_told other = told_of("a.example", 2, 1);
	struct dns_link_told name = told_of("b.example", 1, 1);
	struct packet answer = answering(), elsewhere = answering();
	uint32_t uid = 0;

	(void)state;
	elsewhere.source.bytes[15]++;
	assert_int_equal(questions_new(&questions), 0);
	questions_add(questions, 1000, &asking, &a, 1);
	questions_add(questions, 1000, &asking, &aaaa, 1);
	assert_false(questions_take(questions, &answer, &other, 2, &uid));
	assert_false(questions_take(questions, &answer, &name, 2, &uid));
	assert_false(questions_take(questions, &elsewhere, &a, 2, &uid));
	assert_false(questions_take(questions, &asking, &a, 2, &uid));
	assert_true(questions_take(questions, &answer, &a, 2, &uid));
	assert_int_equal(uid, 1000);
	assert_false(questions_take(questions, &answer, &a, 2, &uid));
	assert_true(questions_take(questions, &answer, &aaaa, 2, &uid));

	/* Asked twice, answered twice; and too late. */
	questions_add(questions, 1000, &asking, &a, 1);
	questions_add(questions, 1000, &asking, &a, 2);
	assert_true(questions_take(questions, &answer, &a, 3, &uid));
	assert_true(questions_take(questions, &answer, &a, 3, &uid));
	assert_false(questions_take(questions, &answer, &a, 3, &uid));
	questions_add(questions, 1000, &asking, &a, 1);
	assert_false(questions_take(questions, &answer, &a, 20 * CLOCK_NS_PER_S,
				    &uid));
}

static struct net_memory *memory_new(void)
{
	struct net_memory *memory = calloc(1, sizeof(*memory));

	assert_non_null(memory);
	memory->hash_seed = 7;
	return memory;
}

static void pinned(void **state)
{
	CLEANUP_FREE struct net_memory *memory = memory_new();
	struct policy_address one = asking.source, other = asking.destination;
	const char *names[PINS_NAMES_MAX];
	char name[32];

	(void)state;
	pins_add(memory, 1000, &one, "a.example", 100);
	pins_add(memory, 1000, &one, "b.example", 50);
	pins_add(memory, 1000, &one, "b.example", 20); /* stays 50 */
	assert_int_equal(pins_find(memory, 1000, &one, 49, names), 2);
	assert_int_equal(pins_find(memory, 1000, &one, 50, names), 1);
	assert_string_equal(names[0], "a.example");
	assert_int_equal(pins_find(memory, 1001, &one, 49, names), 0);
	assert_int_equal(pins_find(memory, 1000, &other, 49, names), 0);
	/* More than there is room for: those that expire first go. */
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		pins_add(memory, 1000, &one, name, 200 + i);
	}
	assert_int_equal(pins_find(memory, 1000, &one, 49, names),
			 PINS_NAMES_MAX);
	assert_int_equal(pins_find(memory, 1000, &one, 200 + 38, names), 1);
	assert_string_equal(names[0], "n39.example");
}

/* Each set has its ends, and nobody else's entries are touched. */
static void pins_apart(void **state)
{
	CLEANUP_FREE struct net_memory *memory = memory_new();
	CLEANUP_FREE struct net_memory *before = memory_new();
	const char *names[PINS_NAMES_MAX];
	char name[HOST_NAME_SIZE + 8];
	size_t sets = 0;

	(void)state;
	/* Addresses spread: no set has to do for all of them. */
	for (int i = 0; i < 256; i++) {
		struct policy_address address = asking.source;

		address.bytes[15] = (uint8_t)i;
		pins_add(memory, 1000, &address, "a.example", 100);
	}
	for (int i = 0; i < NET_MEMORY_PIN_SETS; i++)
		sets += memory->pins[i][0].expires_s != 0;
	assert_true(sets > 100);
	for (int i = 0; i < 256; i++) {
		struct policy_address address = asking.source;

		address.bytes[15] = (uint8_t)i;
		assert_int_equal(pins_find(memory, 1000, &address, 1, names),
				 1);
	}
	/* One account's set is full; what lies behind it is as it was. */
	memset(memory->pins, 0, sizeof(memory->pins));
	for (int i = 0; i < NET_MEMORY_WAYS * 3; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		pins_add(memory, 1000, &asking.source, name, 100);
		assert_int_equal(
			pins_find(memory, 1000, &asking.source, 1, names),
			i < NET_MEMORY_WAYS ? i + 1 : NET_MEMORY_WAYS);
	}
	sets = 0;
	for (int i = 0; i < NET_MEMORY_PIN_SETS; i++)
		sets += memory->pins[i][0].expires_s != 0;
	assert_int_equal(sets, 1);
	/* A name that is too long is cut, and ends all the same. */
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(memory->pins, 0xff, sizeof(memory->pins));
	for (int i = 0; i < NET_MEMORY_PIN_SETS; i++)
		for (int j = 0; j < NET_MEMORY_WAYS; j++)
			memory->pins[i][j].expires_s = 0;
	*before = *memory;
	pins_add(memory, 1000, &asking.source, name, 100);
	assert_int_equal(pins_find(memory, 1000, &asking.source, 1, names), 1);
	assert_int_equal(strlen(names[0]), HOST_NAME_SIZE - 1);
	for (int i = 0; i < NET_MEMORY_PIN_SETS; i++)
		for (int j = 0; j < NET_MEMORY_WAYS; j++)
			if (memory->pins[i][j].name != names[0])
				assert_memory_equal(&memory->pins[i][j],
						    &before->pins[i][j],
						    sizeof(struct net_pin));
}

/* Those of one set are told apart by account and by address. */
static void pins_of_others(void **state)
{
	CLEANUP_FREE struct net_memory *memory = memory_new();
	const char *names[PINS_NAMES_MAX];

	(void)state;
	pins_add(memory, 1000, &asking.source, "a.example", 100);
	for (int i = 0; i < NET_MEMORY_PIN_SETS; i++) {
		struct net_pin *set = memory->pins[i];

		if (!set[0].expires_s)
			continue;
		set[1] = set[2] = set[0];
		set[1].uid = 1001;
		set[2].address.bytes[0] ^= 1;
		if (i + 1 < NET_MEMORY_PIN_SETS) /* another set's is not its */
			memory->pins[i + 1][0] = set[0];
		break;
	}
	assert_int_equal(pins_find(memory, 1000, &asking.source, 1, names), 1);
}

static void flows(void **state)
{
	CLEANUP_FREE struct net_memory *memory = memory_new();
	struct packet other = asking;
	struct flow_said said = {POLICY_SAID_NAME, "a.example", false, 0};
	const struct net_named_flow *found;

	(void)state;
	other.source_port++;
	flow_names_put(memory, 1000, &asking, &said, 1);
	found = flow_names_find(memory, 1000, &asking);
	assert_non_null(found);
	assert_string_equal(found->name, "a.example");
	assert_int_equal(found->said, POLICY_SAID_NAME);
	assert_null(flow_names_find(memory, 1000, &other));
	assert_null(flow_names_find(memory, 1001, &asking));
	/* By its own entry, and by another name. */
	said.name = found->name;
	flow_names_put(memory, 1000, &asking, &said, 2);
	assert_string_equal(flow_names_find(memory, 1000, &asking)->name,
			    "a.example");
	said = (struct flow_said){POLICY_SAID_OTHER, "b.example", true, 7};
	flow_names_put(memory, 1000, &asking, &said, 3);
	assert_string_equal(flow_names_find(memory, 1000, &asking)->name,
			    "b.example");
	/* What arrives is still known. */
	assert_true(found->arriving);
	assert_int_equal(found->heard_to, 7);
	flow_names_arrived(memory, 1000, &other);
	assert_true(found->arriving);
	flow_names_arrived(memory, 1000, &asking);
	assert_false(found->arriving);
	assert_int_equal(found->said, POLICY_SAID_OTHER);
	flow_names_forget(memory, 1000, &asking);
	assert_null(flow_names_find(memory, 1000, &asking));
}

static void limits(void **state)
{
	CLEANUP(name_limits_free) struct name_limits *limits = NULL;
	char name[32];

	(void)state;
	assert_int_equal(name_limits_new(&limits), 0);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_true(name_limits_take(limits, 1000, 1, name, 60, 0));
	}
	assert_false(name_limits_take(limits, 1000, 1, "more", 60, 59));
	assert_true(name_limits_take(limits, 1000, 1, "n7", 60, 59));
	assert_true(name_limits_take(limits, 1000, 2, "more", 60, 59));
	assert_true(name_limits_take(limits, 1001, 1, "more", 60, 59));
	assert_true(name_limits_take(limits, 1000, 1, "more", 60, 60));
	/* However much is asked for, there is an end. */
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		if (!name_limits_take(limits, 1, 1, name, 1000000, 60))
			return;
	}
	fail();
}

/* A reply is a message that dns_message reads as an answer of its kind. */
static void replies(void **state)
{
	static const uint8_t question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0"
					  "\1a\7example\0\0\1\0\1";
	struct packet packet = asking;
	struct dns_reply reply = {
		.packet = &packet,
		.turned = true,
		.reason = "no rule allows it",
		.count = 1,
		.parts = {{question, sizeof(question) - 1, true,
			   DNS_REPLY_NO_NAME}},
	};
	char buffer[DNS_REPLY_SIZE_MAX];
	struct dns_link_told told;
	struct packet parsed;
	size_t length;

	(void)state;
	for (int i = 0; i < 4; i++) {
		size_t framing = i / 2 ? 2 : 0;

		packet.is_ipv6 = i % 2;
		packet.protocol =
			i / 2 ? POLICY_PROTOCOL_TCP : POLICY_PROTOCOL_UDP;
		assert_int_equal(dns_reply_make(&reply, buffer, &length), 0);
		assert_int_equal(packet_parse(buffer, length, &parsed), 0);
		assert_int_equal(parsed.source_port, 53);
		assert_int_equal(parsed.destination_port, 40000);
		assert_memory_equal(&parsed.source, &asking.destination, 16);
		assert_false(parsed.data_is_cut);
		assert_int_equal(dns_message_read(parsed.data + framing,
						  parsed.data_length - framing,
						  DNS_LINK_ANSWER, &told),
				 0);
		assert_int_equal(told.id, 0x1234);
		assert_int_equal(told.response_code, DNS_REPLY_NO_NAME);
		assert_string_equal(told.name, "a.example");
		assert_non_null(memmem(buffer, length, "no rule allows it",
				       strlen("no rule allows it")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions),  cmocka_unit_test(pinned),
		cmocka_unit_test(pins_apart), cmocka_unit_test(pins_of_others),
		cmocka_unit_test(flows),      cmocka_unit_test(limits),
		cmocka_unit_test(replies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
