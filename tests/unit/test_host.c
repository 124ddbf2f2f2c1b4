/* Names: their form, which rule decides, and what a client must say. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/build/build.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_host.h"

#define NOW_S 1000

static struct policy_builder *builder;
static struct policy *policy;
static uint32_t account;

static struct policy_address address_of(const char *text)
{
	struct policy_address address = {{0}};

	if (inet_pton(AF_INET, text, address.bytes + 12) == 1)
		address.bytes[10] = address.bytes[11] = 0xff;
	else
		assert_int_equal(inet_pton(AF_INET6, text, address.bytes), 1);
	return address;
}

static void begin(void)
{
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/d",
		.user = "_leash",
	};

	assert_int_equal(policy_builder_new(&builder), 0);
	assert_int_equal(policy_builder_settings(builder, &settings), 0);
	assert_int_equal(
		policy_builder_account(builder, "puppy", 1000, &account), 0);
}

/* "*.x" is what is below x. */
static void add(enum policy_effect effect, const char *host, uint16_t port,
		int64_t until_s)
{
	bool below = host[0] == '*';
	struct policy_net_spec spec = {
		.account = account,
		.effect = effect,
		.host = below ? host + (host[1] ? 2 : 1) : host,
		.below = below,
		.protocols = POLICY_PROTOCOL_TCP | POLICY_PROTOCOL_UDP,
		.port_first = port,
		.port_last = port ? port : UINT16_MAX,
		.meta = {.origin = host, .until_s = until_s},
	};
	uint32_t rule = POLICY_NONE;

	assert_int_equal(policy_builder_net(builder, &spec, &rule), 0);
}

static void end(void)
{
	CLEANUP(fd_close) int fd = -1;

	assert_int_equal(policy_builder_finish(builder, 1, &fd), 0);
	builder = policy_builder_free(builder);
	assert_int_equal(policy_map(fd, &policy), 0);
}

static int question(const char *name)
{
	struct policy_answer answer;

	policy_decide_question(policy, account, name, NOW_S, &answer);
	return (int)answer.verdict;
}

static size_t below(const char *name)
{
	struct policy_answer answer;

	policy_decide_question(policy, account, name, NOW_S, &answer);
	return answer.below;
}

/* A verdict, or what is needed for one, negative. */
static int ask(const char *const *names, uint16_t port, enum policy_said said,
	       const char *said_name, struct policy_answer *ret)
{
	struct policy_flow flow = {
		.account = account,
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_TCP,
		.address = address_of("203.0.113.7"),
		.port = port,
		.program_known = true,
		.now_s = NOW_S,
		.names = names,
		.said = said,
		.said_name = said_name,
	};
	int r;

	while (names[flow.name_count])
		flow.name_count++;
	r = policy_decide_flow(policy, &flow, ret);
	return r ? -r : (int)ret->verdict;
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static int unseen(const char *const *names, uint16_t port)
{
	struct policy_answer answer;

	return ask(names, port, POLICY_SAID_UNSEEN, NULL, &answer);
}

static int said(const char *const *names, const char *name)
{
	struct policy_answer answer;

	return ask(names, 443, POLICY_SAID_NAME, name, &answer);
}

static bool reads(const char *text, const char *wanted)
{
	char name[HOST_NAME_SIZE];
	int r = host_name_read(text, strlen(text), name);

	return wanted ? !r && !strcmp(name, wanted) : r == HOST_NAME_ODD;
}

static void forms(void **state)
{
	char longest[300];

	(void)state;
	assert_true(reads("Example.ORG", "example.org"));
	assert_true(reads("example.org.", "example.org"));
	assert_true(reads("_dmarc.xn--bcher-kva.example",
			  "_dmarc.xn--bcher-kva.example"));
	assert_true(reads("", NULL));
	assert_true(reads(".", NULL));
	assert_true(reads(".a", NULL));
	assert_true(reads("a..b", NULL));
	assert_true(reads("a.b..", NULL));
	assert_true(reads("a b", NULL));
	assert_true(reads("a/b", NULL));
	assert_true(reads("b\303\274cher.example", NULL));
	assert_true(reads("a\\.b", NULL));
	assert_int_equal(host_name_read("a\0b", 3, longest), HOST_NAME_ODD);
	memset(longest, 'a', sizeof(longest));
	longest[63] = '\0';
	assert_true(reads(longest, longest));
	longest[63] = 'a';
	longest[64] = '\0';
	assert_true(reads(longest, NULL));
	memset(longest, 'a', sizeof(longest));
	for (int i = 1; i < 254; i += 2)
		longest[i] = '.';
	longest[253] = '\0';
	assert_true(reads(longest, longest));
	longest[253] = '.';
	longest[254] = 'a';
	longest[255] = '\0';
	assert_true(reads(longest, NULL));
	assert_string_equal(host_name_parent("a.b.c"), "b.c");
	assert_null(host_name_parent("c"));
}

static void questions(void **state)
{
	(void)state;
	begin();
	add(POLICY_EFFECT_REACH, "a.example", 443, 0);
	add(POLICY_EFFECT_REACH, "*.b.example", 0, 0);
	add(POLICY_EFFECT_DENY, "secret.b.example", 0, 0);
	add(POLICY_EFFECT_DENY, "partly.b.example", 22, 0);
	add(POLICY_EFFECT_DENY, "*.c.b.example", 0, 0);
	add(POLICY_EFFECT_REACH, "x.c.b.example", 0, 0);
	add(POLICY_EFFECT_REACH, "past.example", 0, NOW_S);
	add(POLICY_EFFECT_REACH, "future.example", 0, NOW_S + 1);
	add(POLICY_EFFECT_REACH, "both.example", 443, 0);
	add(POLICY_EFFECT_DENY, "both.example", 0, 0);
	end();
	assert_int_equal(question("a.example"), POLICY_ALLOW);
	assert_int_equal(question("x.a.example"), POLICY_DENY);
	assert_int_equal(question("example"), POLICY_DENY);
	assert_int_equal(question("b.example"), POLICY_DENY);
	assert_int_equal(question("y.b.example"), POLICY_ALLOW);
	assert_int_equal(question("z.y.b.example"), POLICY_ALLOW);
	assert_int_equal(question("secret.b.example"), POLICY_DENY);
	assert_int_equal(question("partly.b.example"), POLICY_ALLOW);
	assert_int_equal(question("y.c.b.example"), POLICY_DENY);
	assert_int_equal(question("x.c.b.example"), POLICY_ALLOW);
	assert_int_equal(question("c.b.example"), POLICY_ALLOW);
	assert_int_equal(question("past.example"), POLICY_DENY);
	assert_int_equal(question("future.example"), POLICY_ALLOW);
	assert_int_equal(question("both.example"), POLICY_DENY);
	assert_int_equal(question(NULL), POLICY_DENY);
	assert_int_equal(below("a.example"), 0);
	assert_int_equal(below("y.b.example"), 2);
	assert_int_equal(below("z.y.b.example"), 4);
	policy = policy_free(policy);
}

static void every_name(void **state)
{
	(void)state;
	begin();
	add(POLICY_EFFECT_REACH, "*", 0, 0);
	add(POLICY_EFFECT_DENY, "*.bad.example", 0, 0);
	end();
	assert_int_equal(question("a"), POLICY_ALLOW);
	assert_int_equal(question("a.b.c"), POLICY_ALLOW);
	assert_int_equal(below("a.b.c"), 0);
	assert_int_equal(question("a.bad.example"), POLICY_DENY);
	assert_int_equal(question("bad.example"), POLICY_ALLOW);
	assert_int_equal(question(NULL), POLICY_DENY);
	policy = policy_free(policy);
}

static void connections(void **state)
{
	struct policy_answer answer;

	(void)state;
	begin();
	add(POLICY_EFFECT_REACH, "a.example", 443, 0);
	add(POLICY_EFFECT_REACH, "db.example", 5432, 0);
	add(POLICY_EFFECT_DENY, "evil.example", 0, 0);
	end();
	assert_int_equal(unseen(NAMES(NULL), 443), POLICY_DENY);
	assert_int_equal(unseen(NAMES("a.example"), 443), -POLICY_NEED_SAID);
	assert_int_equal(unseen(NAMES("a.example"), 80), POLICY_DENY);
	assert_int_equal(unseen(NAMES("db.example"), 443), POLICY_DENY);
	assert_int_equal(unseen(NAMES("evil.example"), 443), POLICY_DENY);
	assert_int_equal(unseen(NAMES("evil.example", "a.example"), 443),
			 -POLICY_NEED_SAID);
	assert_int_equal(said(NAMES("a.example"), "a.example"), POLICY_ALLOW);
	assert_int_equal(said(NAMES("a.example"), "b.example"), POLICY_DENY);
	assert_int_equal(said(NAMES("a.example"), NULL), POLICY_DENY);
	assert_int_equal(said(NAMES("evil.example", "a.example"), "a.example"),
			 POLICY_ALLOW);
	assert_int_equal(
		said(NAMES("evil.example", "a.example"), "evil.example"),
		POLICY_DENY);
	/* Allowed, but looked up for another address. */
	assert_int_equal(said(NAMES("x.example"), "a.example"), POLICY_DENY);
	assert_int_equal(ask(NAMES("a.example"), 443, POLICY_SAID_NOTHING, NULL,
			     &answer),
			 POLICY_DENY);
	assert_int_equal(answer.reason, POLICY_REASON_UNSAID);
	assert_int_equal(ask(NAMES("a.example"), 443, POLICY_SAID_GARBLED, NULL,
			     &answer),
			 POLICY_DENY);
	assert_int_equal(ask(NAMES("db.example"), 5432, POLICY_SAID_OTHER, NULL,
			     &answer),
			 POLICY_ALLOW);
	assert_string_equal(answer.host, "db.example");
	assert_int_equal(ask(NAMES("evil.example", "db.example"), 5432,
			     POLICY_SAID_OTHER, NULL, &answer),
			 POLICY_DENY);
	policy = policy_free(policy);
}

static void passed_over(void **state)
{
	static const char *const order[] = {"a.b.example", "*.b.example", "*"};
	static const char *const names[] = {"a.b.example"};
	struct policy_passed passed = {.count = 0};
	struct policy_flow flow = {
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_UDP,
		.address = address_of("203.0.113.7"),
		.port = 9,
		.program_known = true,
		.now_s = NOW_S,
		.names = names,
		.name_count = 1,
		.passed = &passed,
	};
	struct policy_answer answer;

	(void)state;
	begin();
	add(POLICY_EFFECT_REACH, "*", 0, 0);
	add(POLICY_EFFECT_DENY, "*.b.example", 0, 0);
	add(POLICY_EFFECT_REACH, "a.b.example", 0, 0);
	end();
	flow.account = account;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(policy_decide_flow(policy, &flow, &answer), 0);
		assert_string_equal(
			policy_text(policy,
				    policy_rule(policy, answer.rule)->origin),
			order[i]);
		passed.rules[passed.count++] = answer.rule;
	}
	assert_int_equal(policy_decide_flow(policy, &flow, &answer), 0);
	assert_int_equal(answer.rule, POLICY_NONE);
	policy = policy_free(policy);
}

static void special_addresses(void **state)
{
	static const char *const special[] = {
		"0.0.0.0",
		"10.1.2.3",
		"100.127.0.1",
		"127.0.0.53",
		"169.254.169.254",
		"172.31.255.255",
		"192.168.0.1",
		"198.19.0.1",
		"224.0.0.251",
		"255.255.255.255",
		"::",
		"::1",
		"::7f00:1",
		"fd00::1",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"ff02::fb",
		"64:ff9b::a00:1",
		"64:ff9b:1::1",
		"2002:7f00:1::1",
		"fd00:ec2::254",
	};
	static const char *const plain[] = {
		"1.1.1.1",	   "100.128.0.1",   "172.32.0.1",
		"192.169.0.1",	   "198.20.0.1",    "223.255.255.255",
		"2001:db8::1",	   "2606:4700::11", "64:ff9b::101:101",
		"2002:101:101::1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		struct policy_address address = address_of(special[i]);

		if (!address_is_special(&address))
			fail_msg("%s is not special", special[i]);
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		struct policy_address address = address_of(plain[i]);

		if (address_is_special(&address))
			fail_msg("%s is special", plain[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(questions),
		cmocka_unit_test(every_name),
		cmocka_unit_test(connections),
		cmocka_unit_test(passed_over),
		cmocka_unit_test(special_addresses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
