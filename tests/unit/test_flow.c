/* Which network rule decides, and that the image tables hold what was said. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/policy/build/build.h"
#include "gatekeeper/policy/decide_flow.h"

struct fixture {
	struct policy_builder *builder;
	struct policy *policy;
	uint32_t account;
};

static struct policy_address address_of(const char *text)
{
	struct policy_address address = {{0}};

	if (inet_pton(AF_INET, text, address.bytes + 12) == 1)
		address.bytes[10] = address.bytes[11] = 0xff;
	else
		assert_int_equal(inet_pton(AF_INET6, text, address.bytes), 1);
	return address;
}

static void begin(struct fixture *f)
{
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/d",
		.user = "_leash",
	};

	f->policy = NULL;
	assert_int_equal(policy_builder_new(&f->builder), 0);
	assert_int_equal(policy_builder_settings(f->builder, &settings), 0);
	assert_int_equal(
		policy_builder_account(f->builder, "puppy", 1000, &f->account),
		0);
}

static void add(struct fixture *f, enum policy_effect effect, const char *net,
		uint32_t length, uint16_t first, uint16_t last,
		const char *program)
{
	const struct policy_net_spec spec = {
		.account = f->account,
		.effect = effect,
		.address = address_of(net),
		.length = length + (strchr(net, '.') ? 96 : 0),
		.protocols = POLICY_PROTOCOL_TCP | POLICY_PROTOCOL_UDP,
		.port_first = first,
		.port_last = last,
		.program = program,
		.meta.origin = net,
	};
	uint32_t rule = POLICY_NONE;

	assert_int_equal(policy_builder_net(f->builder, &spec, &rule), 0);
}

static void end(struct fixture *f)
{
	CLEANUP(fd_close) int fd = -1;

	assert_int_equal(policy_builder_finish(f->builder, 1, &fd), 0);
	assert_int_equal(policy_map(fd, &f->policy), 0);
}

static void done(struct fixture *f)
{
	policy_builder_free(f->builder);
	policy_free(f->policy);
}

static int ask(const struct fixture *f, const char *address, uint16_t port,
	       uint32_t protocol, const char *program)
{
	const struct policy_flow flow = {
		.account = f->account,
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = protocol,
		.address = address_of(address),
		.port = port,
		.program_known = program != NULL,
		.program = program && *program ? program : NULL,
	};
	struct policy_answer answer;
	int r = policy_decide_flow(f->policy, &flow, &answer);

	return r ? -r : (int)answer.verdict;
}

static int tcp(const struct fixture *f, const char *address, uint16_t port)
{
	return ask(f, address, port, POLICY_PROTOCOL_TCP, "");
}

static void longest_prefix(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, POLICY_EFFECT_REACH, "10.0.0.0", 8, 0, 65535, NULL);
	add(&f, POLICY_EFFECT_DENY, "10.1.0.0", 16, 0, 65535, NULL);
	add(&f, POLICY_EFFECT_REACH, "10.1.2.3", 32, 443, 443, NULL);
	add(&f, POLICY_EFFECT_REACH, "10.9.0.0", 16, 1, 9, NULL);
	add(&f, POLICY_EFFECT_DENY, "10.9.0.0", 16, 5, 5, NULL);
	end(&f);
	assert_int_equal(tcp(&f, "10.0.0.1", 1), POLICY_ALLOW);
	assert_int_equal(tcp(&f, "10.1.0.1", 1), POLICY_DENY);
	assert_int_equal(tcp(&f, "10.1.2.3", 443), POLICY_ALLOW);
	assert_int_equal(tcp(&f, "10.1.2.3", 80), POLICY_DENY);
	assert_int_equal(tcp(&f, "11.0.0.1", 1), POLICY_DENY);
	assert_int_equal(tcp(&f, "10.9.0.1", 5), POLICY_DENY);
	assert_int_equal(tcp(&f, "10.9.0.1", 4), POLICY_ALLOW);
	assert_int_equal(tcp(&f, "10.9.0.1", 10), POLICY_ALLOW);
	assert_int_equal(ask(&f, "10.0.0.1", 0, POLICY_PROTOCOL_ICMP, ""),
			 POLICY_DENY);
	done(&f);
}

static void both_families(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, POLICY_EFFECT_REACH, "::", 0, 0, 65535, NULL);
	add(&f, POLICY_EFFECT_DENY, "2001:db8::", 33, 0, 65535, NULL);
	add(&f, POLICY_EFFECT_REACH, "192.0.2.0", 25, 0, 65535, NULL);
	end(&f);
	assert_int_equal(tcp(&f, "2001:db8:8000::1", 1), POLICY_ALLOW);
	assert_int_equal(tcp(&f, "2001:db8:7fff::1", 1), POLICY_DENY);
	assert_int_equal(tcp(&f, "192.0.2.127", 1), POLICY_ALLOW);
	assert_int_equal(tcp(&f, "::ffff:192.0.2.127", 1), POLICY_ALLOW);
	assert_int_equal(tcp(&f, "192.0.2.128", 1), POLICY_DENY);
	assert_int_equal(tcp(&f, "::ffff:192.0.2.128", 1), POLICY_DENY);
	done(&f);
}

static void allows_address(void **state)
{
	struct policy_address address = address_of("10.1.2.3");
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, POLICY_EFFECT_REACH, "10.1.0.0", 16, 443, 443, NULL);
	add(&f, POLICY_EFFECT_DENY, "10.2.0.0", 16, 0, 65535, NULL);
	end(&f);
	assert_true(policy_allows_address(f.policy, f.account, &address, 0));
	address = address_of("10.2.2.3");
	assert_false(policy_allows_address(f.policy, f.account, &address, 0));
	address = address_of("10.3.2.3");
	assert_false(policy_allows_address(f.policy, f.account, &address, 0));
	done(&f);
}

static void programs(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, POLICY_EFFECT_REACH, "10.0.0.0", 8, 0, 65535, "/bin/psql");
	add(&f, POLICY_EFFECT_DENY, "10.1.0.0", 16, 0, 65535, NULL);
	end(&f);
	assert_int_equal(ask(&f, "10.0.0.1", 1, POLICY_PROTOCOL_TCP, NULL),
			 -POLICY_NEED_PROGRAM);
	assert_int_equal(
		ask(&f, "10.0.0.1", 1, POLICY_PROTOCOL_TCP, "/bin/psql"),
		POLICY_ALLOW);
	assert_int_equal(ask(&f, "10.0.0.1", 1, POLICY_PROTOCOL_TCP, "/bin/sh"),
			 POLICY_DENY);
	assert_int_equal(ask(&f, "10.0.0.1", 1, POLICY_PROTOCOL_TCP, ""),
			 POLICY_DENY);
	assert_int_equal(ask(&f, "10.1.0.1", 1, POLICY_PROTOCOL_TCP, NULL),
			 POLICY_DENY);
	done(&f);
}

static void inbound(void **state)
{
	struct policy_flow flow = {
		.kind = POLICY_KIND_ACCEPT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_TCP,
	};
	static const struct {
		enum policy_inbound inbound;
		enum policy_verdict here, elsewhere;
	} wanted[] = {
		{POLICY_INBOUND_DENY, POLICY_DENY, POLICY_DENY},
		{POLICY_INBOUND_LOOPBACK, POLICY_ALLOW, POLICY_DENY},
		{POLICY_INBOUND_ANY, POLICY_ALLOW, POLICY_ALLOW},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct policy_answer answer;
		struct fixture f;

		begin(&f);
		policy_builder_inbound(f.builder, f.account, wanted[i].inbound);
		end(&f);
		flow.account = f.account;
		flow.loopback = true;
		assert_int_equal(policy_decide_flow(f.policy, &flow, &answer),
				 0);
		assert_int_equal(answer.verdict, wanted[i].here);
		flow.loopback = false;
		assert_int_equal(policy_decide_flow(f.policy, &flow, &answer),
				 0);
		assert_int_equal(answer.verdict, wanted[i].elsewhere);
		done(&f);
	}
}

static void many(void **state)
{
	struct fixture f;
	char net[32];

	(void)state;
	begin(&f);
	for (int i = 0; i < 20000; i++) {
		snprintf(net, sizeof(net), "10.%d.%d.0", i / 256, i % 256);
		add(&f, POLICY_EFFECT_REACH, net, 24, (uint16_t)i, (uint16_t)i,
		    NULL);
	}
	end(&f);
	for (int i = 0; i < 20000; i++) {
		snprintf(net, sizeof(net), "10.%d.%d.9", i / 256, i % 256);
		assert_int_equal(tcp(&f, net, (uint16_t)i), POLICY_ALLOW);
		assert_int_equal(tcp(&f, net, (uint16_t)(i + 1)), POLICY_DENY);
	}
	done(&f);
}

static void not_understood(void **state)
{
	struct policy_flow flow = {.kind = POLICY_KIND_CONNECT};
	struct policy_answer answer;
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, POLICY_EFFECT_REACH, "::", 0, 0, 65535, NULL);
	policy_builder_account_default(f.builder, f.account,
				       POLICY_CLASS_NETWORK, POLICY_ALLOW);
	end(&f);
	assert_int_equal(policy_decide_flow(f.policy, &flow, &answer), 0);
	assert_int_equal(answer.verdict, POLICY_DENY);
	assert_int_equal(answer.reason, POLICY_REASON_PACKET);
	assert_int_equal(tcp(&f, "1.2.3.4", 5), POLICY_ALLOW);
	done(&f);
}

static void passed_over(void **state)
{
	struct policy_passed passed = {.count = 0};
	struct policy_flow flow = {
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_TCP,
		.address = address_of("10.1.2.3"),
		.port = 443,
		.program_known = true,
		.passed = &passed,
	};
	static const enum policy_verdict verdicts[] = {
		POLICY_ALLOW, POLICY_DENY, POLICY_ALLOW, POLICY_DENY};
	struct policy_answer answer;
	struct fixture f;

	(void)state;
	begin(&f);
	add(&f, POLICY_EFFECT_REACH, "10.0.0.0", 8, 0, 65535, NULL);
	add(&f, POLICY_EFFECT_DENY, "10.1.0.0", 16, 0, 65535, NULL);
	add(&f, POLICY_EFFECT_REACH, "10.1.2.3", 32, 443, 443, NULL);
	end(&f);
	flow.account = f.account;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(policy_decide_flow(f.policy, &flow, &answer),
				 0);
		assert_int_equal(answer.verdict, verdicts[i]);
		passed.rules[passed.count++] = answer.rule;
	}
	assert_int_equal(answer.rule, POLICY_NONE);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_prefix),
		cmocka_unit_test(both_families),
		cmocka_unit_test(programs),
		cmocka_unit_test(allows_address),
		cmocka_unit_test(inbound),
		cmocka_unit_test(many),
		cmocka_unit_test(not_understood),
		cmocka_unit_test(passed_over),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
