#include "tests/unit/made_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "gatekeeper/base/fd.h"

void made_policy_begin(struct made_policy *made)
{
	made->policy = NULL;
	assert_int_equal(policy_builder_new(&made->builder), 0);
	made->puppy = made_policy_account(made, "puppy", MADE_POLICY_UID);
	assert_int_equal(
		policy_builder_uids(made->builder, made->puppy, 2000, 2009), 0);
}

uint32_t made_policy_account(struct made_policy *made, const char *name,
			     uint32_t uid)
{
	uint32_t account;

	assert_int_equal(
		policy_builder_account(made->builder, name, uid, &account), 0);
	assert_int_equal(policy_builder_uids(made->builder, account, uid, uid),
			 0);
	return account;
}

static void add(struct made_policy *made, const struct policy_rule_spec *spec)
{
	const char *other;

	assert_int_equal(policy_builder_rule(made->builder, spec, &other), 0);
}

void made_policy_file(struct made_policy *made, enum policy_effect effect,
		      const char *path)
{
	add(made, &(struct policy_rule_spec){.account = made->puppy,
					     .class = POLICY_CLASS_FILES,
					     .effect = effect,
					     .path = path,
					     .meta.origin = path});
}

void made_policy_quiet_file(struct made_policy *made, uint32_t account,
			    enum policy_effect effect, const char *path)
{
	add(made, &(struct policy_rule_spec){.account = account,
					     .class = POLICY_CLASS_FILES,
					     .effect = effect,
					     .path = path,
					     .meta.origin = path,
					     .meta.quiet = true});
}

void made_policy_program(struct made_policy *made, enum policy_effect effect,
			 const char *path)
{
	add(made, &(struct policy_rule_spec){.account = made->puppy,
					     .class = POLICY_CLASS_PROGRAMS,
					     .effect = effect,
					     .path = path,
					     .meta.origin = path});
}

struct policy_address made_policy_address(const char *ipv4)
{
	struct policy_address address = {{[10] = 0xff, [11] = 0xff}};

	assert_int_equal(inet_pton(AF_INET, ipv4, address.bytes + 12), 1);
	return address;
}

static void add_net(struct made_policy *made, struct policy_net_spec *spec)
{
	uint32_t rule = POLICY_NONE;

	spec->account = made->puppy;
	spec->protocols = POLICY_PROTOCOL_ALL;
	spec->port_last = UINT16_MAX;
	assert_int_equal(policy_builder_net(made->builder, spec, &rule), 0);
}

void made_policy_net(struct made_policy *made, enum policy_effect effect,
		     const char *address, const char *program)
{
	add_net(made, &(struct policy_net_spec){
			      .effect = effect,
			      .address = made_policy_address(address),
			      .length = 128,
			      .program = program,
			      .meta.origin = address});
}

void made_policy_host(struct made_policy *made, enum policy_effect effect,
		      const char *host)
{
	add_net(made, &(struct policy_net_spec){.effect = effect,
						.host = host,
						.meta.origin = host});
}

int made_policy_end_fd(struct made_policy *made, uint64_t generation)
{
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/d",
		.user = "_leash",
		.names_label_max = 20,
		.names_per_minute = 3,
		.names_floor_s = 60,
	};
	int fd = -1;

	assert_int_equal(policy_builder_settings(made->builder, &settings), 0);
	assert_int_equal(policy_builder_finish(made->builder, generation, &fd),
			 0);
	made->builder = policy_builder_free(made->builder);
	return fd;
}

void made_policy_end(struct made_policy *made, uint64_t generation)
{
	CLEANUP(fd_close) int fd = made_policy_end_fd(made, generation);

	assert_int_equal(policy_map(fd, &made->policy), 0);
}
