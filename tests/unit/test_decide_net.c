/* Of connections and names: when a rule ends, what is written down, which of
 * several rules is named, and why something is denied. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_host.h"
#include "tests/unit/made_policy.h"

#define NOW_S 1000

static struct made_policy made;

static int begin(void **state)
{
	(void)state;
	made_policy_begin(&made);
	return 0;
}

static int end(void **state)
{
	(void)state;
	policy_free(made.policy);
	return 0;
}

/* Of any port and protocol, unless said otherwise. */
static void add_net(struct policy_net_spec spec)
{
	uint32_t rule = POLICY_NONE;

	if (!spec.protocols)
		spec.protocols = POLICY_PROTOCOL_ALL;
	if (!spec.port_last)
		spec.port_last = UINT16_MAX;
	if (!spec.length)
		spec.length = spec.host ? 0 : 128;
	if (!spec.meta.origin)
		spec.meta.origin = spec.host ? spec.host : "net";
	assert_int_equal(policy_builder_net(made.builder, &spec, &rule), 0);
}

static struct policy_net_spec net(enum policy_effect effect, const char *ipv4,
				  const char *origin)
{
	return (struct policy_net_spec){
		.effect = effect,
		.address = made_policy_address(ipv4),
		.meta.origin = origin,
	};
}

static struct policy_net_spec host(enum policy_effect effect, const char *name)
{
	return (struct policy_net_spec){.effect = effect, .host = name};
}

static struct policy_flow flow(const char *ipv4)
{
	return (struct policy_flow){
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_TCP,
		.address = made_policy_address(ipv4),
		.port = 443,
		.program_known = true,
		.now_s = NOW_S,
	};
}

static struct policy_answer decide(const struct policy_flow asked)
{
	struct policy_answer answer;

	assert_int_equal(policy_decide_flow(made.policy, &asked, &answer), 0);
	return answer;
}

static struct policy_answer connects(const char *ipv4)
{
	return decide(flow(ipv4));
}

static struct policy_answer question(const char *name)
{
	struct policy_answer answer;

	policy_decide_question(made.policy, 0, name, NOW_S, &answer);
	return answer;
}

static const char *decided_by(const struct policy_answer answer)
{
	return policy_text(made.policy,
			   policy_rule(made.policy, answer.rule)->origin);
}

static void ends(void **state)
{
	struct policy_net_spec spec = net(POLICY_EFFECT_REACH, "1.0.0.1", "a");
	struct policy_address address = made_policy_address("1.0.0.1");

	(void)state;
	spec.meta.until_s = NOW_S;
	add_net(spec);
	spec = net(POLICY_EFFECT_REACH, "1.0.0.2", "b");
	spec.meta.until_s = NOW_S + 1;
	add_net(spec);
	spec = host(POLICY_EFFECT_REACH, "over.example");
	spec.meta.until_s = NOW_S;
	add_net(spec);
	made_policy_end(&made, 1);
	assert_int_equal(connects("1.0.0.1").verdict, POLICY_DENY);
	assert_int_equal(connects("1.0.0.2").verdict, POLICY_ALLOW);
	assert_int_equal(question("over.example").verdict, POLICY_DENY);
	assert_false(policy_allows_address(made.policy, 0, &address, NOW_S));
	assert_true(policy_allows_address(made.policy, 0, &address, NOW_S - 1));
	address = made_policy_address("1.0.0.2");
	assert_true(policy_allows_address(made.policy, 0, &address, NOW_S));
}

static void logged(void **state)
{
	struct policy_net_spec spec = net(POLICY_EFFECT_REACH, "1.0.0.1", "a");

	(void)state;
	spec.meta.quiet = true;
	add_net(spec);
	spec = net(POLICY_EFFECT_DENY, "1.0.0.2", "b");
	spec.meta.quiet = true;
	add_net(spec);
	add_net(net(POLICY_EFFECT_REACH, "1.0.0.3", "c"));
	spec = host(POLICY_EFFECT_REACH, "quiet.example");
	spec.meta.quiet = true;
	add_net(spec);
	spec = host(POLICY_EFFECT_DENY, "no.example");
	spec.meta.quiet = true;
	add_net(spec);
	add_net(host(POLICY_EFFECT_REACH, "loud.example"));
	made_policy_end(&made, 1);
	assert_false(connects("1.0.0.1").log);
	assert_true(connects("1.0.0.2").log);
	assert_true(connects("1.0.0.3").log);
	assert_true(connects("1.0.0.4").log);
	assert_false(question("quiet.example").log);
	assert_int_equal(question("quiet.example").verdict, POLICY_ALLOW);
	assert_true(question("no.example").log);
	assert_true(question("loud.example").log);
	assert_true(question("other.example").log);
}

/* Of rules that say the same, the first. */
static void first_of_several(void **state)
{
	static const enum policy_effect effects[] = {POLICY_EFFECT_REACH,
						     POLICY_EFFECT_DENY};
	static const char *const addresses[] = {"1.0.0.1", "1.0.0.2"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		add_net(net(effects[i], addresses[i], "first"));
		add_net(net(effects[i], addresses[i], "second"));
		add_net(net(effects[i], addresses[i], "third"));
	}
	made_policy_end(&made, 1);
	assert_string_equal(decided_by(connects("1.0.0.1")), "first");
	assert_string_equal(decided_by(connects("1.0.0.2")), "first");
}

/* A program that cannot be found out might be the one that is denied. */
static void unknown_program(void **state)
{
	struct policy_net_spec spec = net(POLICY_EFFECT_DENY, "1.0.0.1", "a");
	struct policy_flow asked;

	(void)state;
	spec.program = "/bin/a";
	add_net(spec);
	add_net(net(POLICY_EFFECT_REACH, "1.0.0.1", "b"));
	spec = net(POLICY_EFFECT_REACH, "1.0.0.2", "c");
	spec.program = "/bin/a";
	add_net(spec);
	made_policy_end(&made, 1);
	assert_int_equal(connects("1.0.0.1").verdict, POLICY_DENY);
	assert_int_equal(connects("1.0.0.2").verdict, POLICY_DENY);
	asked = flow("1.0.0.1");
	asked.program = "/bin/b";
	assert_int_equal(decide(asked).verdict, POLICY_ALLOW);
	asked.program = "/bin/a";
	assert_int_equal(decide(asked).verdict, POLICY_DENY);
	asked = flow("1.0.0.2");
	asked.program = "/bin/a";
	assert_int_equal(decide(asked).verdict, POLICY_ALLOW);
}

/* One rule of several ranges of ports, with another in between. */
static void several_ranges(void **state)
{
	struct policy_net_spec spec =
		net(POLICY_EFFECT_REACH, "1.0.0.1", "first");
	uint32_t rule = POLICY_NONE;

	(void)state;
	spec.protocols = POLICY_PROTOCOL_ALL;
	spec.length = 128;
	spec.port_first = spec.port_last = 1;
	assert_int_equal(policy_builder_net(made.builder, &spec, &rule), 0);
	add_net(net(POLICY_EFFECT_REACH, "1.0.0.1", "second"));
	spec.port_first = spec.port_last = 443;
	assert_int_equal(policy_builder_net(made.builder, &spec, &rule), 0);
	made_policy_end(&made, 1);
	assert_string_equal(decided_by(connects("1.0.0.1")), "first");
}

/* A rule of a name may want to know the program, too. */
static void program_of_name(void **state)
{
	struct policy_net_spec spec = host(POLICY_EFFECT_REACH, "a.example");
	struct policy_flow asked = flow("1.0.0.1");
	static const char *const names[] = {"a.example"};
	struct policy_answer answer;

	(void)state;
	spec.program = "/bin/a";
	add_net(spec);
	made_policy_end(&made, 1);
	asked.names = names;
	asked.name_count = 1;
	asked.program_known = false;
	assert_int_equal(policy_decide_flow(made.policy, &asked, &answer),
			 POLICY_NEED_PROGRAM);
	asked.program_known = true;
	asked.program = "/bin/a";
	assert_int_equal(policy_decide_flow(made.policy, &asked, &answer),
			 POLICY_NEED_SAID);
}

static struct policy_answer
named(struct policy_flow asked, const char *const *names, enum policy_said said)
{
	asked.names = names;
	for (; names[asked.name_count]; asked.name_count++)
		;
	asked.said = said;
	return decide(asked);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Of several names, the first that is denied or allowed is told. */
static void several_names(void **state)
{
	struct policy_answer answer;

	(void)state;
	add_net(host(POLICY_EFFECT_REACH, "a.example"));
	add_net(host(POLICY_EFFECT_REACH, "b.example"));
	add_net(host(POLICY_EFFECT_DENY, "c.example"));
	add_net(host(POLICY_EFFECT_DENY, "d.example"));
	add_net((struct policy_net_spec){.effect = POLICY_EFFECT_DENY,
					 .host = "e.example",
					 .meta.origin = "deny"});
	add_net((struct policy_net_spec){.effect = POLICY_EFFECT_REACH,
					 .host = "e.example",
					 .meta.origin = "reach"});
	made_policy_end(&made, 1);
	answer = named(flow("1.0.0.1"), NAMES("a.example", "b.example"),
		       POLICY_SAID_OTHER);
	assert_int_equal(answer.verdict, POLICY_ALLOW);
	assert_string_equal(answer.host, "a.example");
	answer = named(flow("1.0.0.1"), NAMES("b.example", "a.example"),
		       POLICY_SAID_OTHER);
	assert_string_equal(answer.host, "b.example");
	assert_string_equal(decided_by(answer), "b.example");
	answer = named(flow("1.0.0.1"),
		       NAMES("a.example", "d.example", "c.example"),
		       POLICY_SAID_OTHER);
	assert_int_equal(answer.verdict, POLICY_DENY);
	assert_string_equal(answer.host, "d.example");
	assert_string_equal(decided_by(answer), "d.example");
	/* Denied and allowed is denied. */
	answer = named(flow("1.0.0.1"), NAMES("e.example"), POLICY_SAID_OTHER);
	assert_int_equal(answer.verdict, POLICY_DENY);
	assert_string_equal(decided_by(answer), "deny");
	answer = named(flow("1.0.0.1"), NAMES("x.example", "a.example"),
		       POLICY_SAID_OTHER);
	assert_int_equal(answer.verdict, POLICY_ALLOW);
	/* One nobody has a rule for says nothing. */
	answer = named(flow("1.0.0.1"), NAMES("x.example"), POLICY_SAID_OTHER);
	assert_int_equal(answer.reason, POLICY_REASON_DEFAULT);
}

static void reasons(void **state)
{
	struct policy_flow udp = flow("1.0.0.1"), said = flow("1.0.0.1");

	(void)state;
	add_net(host(POLICY_EFFECT_REACH, "a.example"));
	made_policy_end(&made, 1);
	udp.protocol = POLICY_PROTOCOL_UDP;
	assert_int_equal(
		named(udp, NAMES("a.example"), POLICY_SAID_UNSEEN).reason,
		POLICY_REASON_QUIC);
	assert_int_equal(
		named(udp, NAMES("a.example"), POLICY_SAID_UNSEEN).verdict,
		POLICY_DENY);
	assert_string_equal(
		named(udp, NAMES("a.example"), POLICY_SAID_UNSEEN).host,
		"a.example");
	udp.port = 444;
	assert_int_equal(
		named(udp, NAMES("a.example"), POLICY_SAID_UNSEEN).verdict,
		POLICY_ALLOW);
	assert_int_equal(
		named(said, NAMES("a.example"), POLICY_SAID_NOTHING).reason,
		POLICY_REASON_UNSAID);
	assert_int_equal(
		named(said, NAMES("a.example"), POLICY_SAID_GARBLED).reason,
		POLICY_REASON_GARBLED);
	said.said_name = "b.example";
	assert_int_equal(
		named(said, NAMES("a.example"), POLICY_SAID_NAME).reason,
		POLICY_REASON_ELSEWHERE);
	/* No name leads there at all, or none was said. */
	said.said = POLICY_SAID_NAME;
	assert_int_equal(decide(said).reason, POLICY_REASON_DEFAULT);
	assert_int_equal(
		named(said, NAMES("x.example"), POLICY_SAID_OTHER).reason,
		POLICY_REASON_DEFAULT);
}

/* Where all is allowed, a name that leads elsewhere is none of our business. */
static void allowed_by_default(void **state)
{
	struct policy_flow said = flow("1.0.0.1");

	(void)state;
	policy_builder_account_default(made.builder, made.puppy,
				       POLICY_CLASS_NETWORK, POLICY_ALLOW);
	add_net(host(POLICY_EFFECT_DENY, "a.example"));
	made_policy_end(&made, 1);
	said.said_name = "b.example";
	assert_int_equal(
		named(said, NAMES("a.example"), POLICY_SAID_NAME).verdict,
		POLICY_ALLOW);
	assert_int_equal(
		named(said, NAMES("a.example"), POLICY_SAID_NAME).reason,
		POLICY_REASON_DEFAULT);
	assert_int_equal(question("b.example").verdict, POLICY_ALLOW);
	assert_int_equal(question("a.example").verdict, POLICY_DENY);
}

/* A denial of some connections leaves others, and so the name may be asked. */
static void partial_denials(void **state)
{
	static const struct {
		const char *name;
		uint32_t protocols;
		uint16_t first, last;
		const char *program;
		enum policy_verdict verdict;
	} cases[] = {
		{"all.example", POLICY_PROTOCOL_ALL, 0, UINT16_MAX, NULL,
		 POLICY_DENY},
		{"both.example", POLICY_PROTOCOL_TCP | POLICY_PROTOCOL_UDP, 0,
		 UINT16_MAX, NULL, POLICY_DENY},
		{"tcp.example", POLICY_PROTOCOL_TCP, 0, UINT16_MAX, NULL,
		 POLICY_ALLOW},
		{"udp.example", POLICY_PROTOCOL_UDP, 0, UINT16_MAX, NULL,
		 POLICY_ALLOW},
		{"high.example", POLICY_PROTOCOL_ALL, 1, UINT16_MAX, NULL,
		 POLICY_ALLOW},
		{"low.example", POLICY_PROTOCOL_ALL, 0, UINT16_MAX - 1, NULL,
		 POLICY_ALLOW},
		{"program.example", POLICY_PROTOCOL_ALL, 0, UINT16_MAX,
		 "/bin/a", POLICY_ALLOW},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		add_net((struct policy_net_spec){.effect = POLICY_EFFECT_DENY,
						 .host = cases[i].name,
						 .protocols =
							 cases[i].protocols,
						 .port_first = cases[i].first,
						 .port_last = cases[i].last,
						 .program = cases[i].program});
	add_net((struct policy_net_spec){.effect = POLICY_EFFECT_REACH,
					 .host = "example",
					 .below = true});
	made_policy_end(&made, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(question(cases[i].name).verdict,
				 cases[i].verdict);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ends),
		CASE(logged),
		CASE(first_of_several),
		CASE(unknown_program),
		CASE(several_ranges),
		CASE(program_of_name),
		CASE(several_names),
		CASE(reasons),
		CASE(allowed_by_default),
		CASE(partial_denials),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
