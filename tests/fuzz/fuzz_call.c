/* a request to the tool gate from anybody: a verdict, or a reason why none */

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/policy/build/build.h"
#include "gatekeeper/policy/build/build_tools.h"
#include "tests/fuzz/fuzz.h"
#include "toolcall/explain.h"
#include "toolcall/judge.h"
#include "toolcall/pins/pins.h"
#include "toolcall/reply.h"

static struct judge *judge;
static struct policy *policy;
static struct pins *pins;

/* What there is to explain: files, a program, a name and a network. */
static void add_places(struct policy_builder *builder)
{
	static const char *const paths[] = {"/srv", "/srv/**/x", "**/*.pem"};
	struct policy_rule_spec file = {
		.class = POLICY_CLASS_FILES,
		.effect = POLICY_EFFECT_READ,
		.meta = {.name = "local 7", .origin = "f:1", .reason = "\xff"},
	};
	struct policy_net_spec net = {
		.effect = POLICY_EFFECT_DENY,
		.host = "example.org",
		.below = true,
		.protocols = POLICY_PROTOCOL_ALL,
		.port_last = UINT16_MAX,
		.meta = {.origin = "f:2", .until_s = INT64_MAX},
	};
	uint32_t rule = POLICY_NONE;
	const char *other;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		file.path = paths[i];
		if (policy_builder_rule(builder, &file, &other))
			abort();
	}
	if (policy_builder_net(builder, &net, &rule))
		abort();
}

static void set_up(void)
{
	static const char *const values[] = {"ls"};
	static const struct policy_condition_spec when = {
		.field = "command",
		.compare = POLICY_OPERATOR_CONTAINS,
		.values = values,
		.value_count = 1,
	};
	static const char *const patterns[] = {"^(\\w+\\s?)+$"};
	static const struct policy_condition_spec costly = {
		.field = "*.*",
		.compare = POLICY_OPERATOR_MATCHES,
		.values = patterns,
		.value_count = 1,
	};
	static const char *const globs[] = {"*x*"};
	static const struct policy_condition_spec glob = {
		.field = "*",
		.compare = POLICY_OPERATOR_GLOB,
		.negated = true,
		.values = globs,
		.value_count = 1,
	};
	struct policy_builder *builder = NULL;
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/x",
		.user = "nobody",
	};
	struct policy_tool_spec given[] = {
		{.effect = POLICY_EFFECT_CALL, .pattern = "*"},
		{.effect = POLICY_EFFECT_DENY,
		 .pattern = "Bash",
		 .conditions = &when,
		 .condition_count = 1},
		{.effect = POLICY_EFFECT_CALL,
		 .pattern = "a*",
		 .max = 3,
		 .per_s = 60},
		{.effect = POLICY_EFFECT_CALL,
		 .pattern = "b*",
		 .conditions = &costly,
		 .condition_count = 1},
		{.effect = POLICY_EFFECT_DENY,
		 .pattern = "c*",
		 .conditions = &glob,
		 .condition_count = 1},
	};
	uint32_t account;
	int fd = -1;

	if (sodium_init() < 0 || judge_new(&judge) || pins_new(-1, &pins) ||
	    policy_builder_new(&builder) ||
	    policy_builder_account(builder, "puppy", 1000, &account) ||
	    policy_builder_home(builder, account, "/home/puppy") ||
	    policy_builder_uids(builder, account, 1000, 1000) ||
	    policy_builder_settings(builder, &settings))
		abort();
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		given[i].meta.origin = "x:1";
		if (build_tools_rule(builder, &given[i]))
			abort();
	}
	for (unsigned int i = 0; i < POLICY_INSPECT_KINDS; i++)
		build_tools_inspect(
			builder, account, (enum policy_inspect_kind)i,
			i % 2 ? POLICY_INSPECT_DENY : POLICY_INSPECT_REDACT,
			POLICY_INSPECT_REDACT);
	add_places(builder);
	if (policy_builder_finish(builder, 1, &fd) || policy_map(fd, &policy) ||
	    judge_use(judge, policy))
		abort();
	fd_close(fd);
	policy_builder_free(builder);
}

/* Once as the account, and once as root. */
static void explain(const struct request *request)
{
	for (uint32_t uid = 0; uid <= 1000; uid += 1000) {
		const struct explain_asker asker = {{.uid = uid}, -1};
		char *reply;

		judge_begin(judge);
		reply = explain_give(policy, &asker, request,
				     judge_effort(judge));
		if (!reply || !strstr(reply, "\"verdict\"") ||
		    reply[strlen(reply) - 1] != '\n')
			abort();
		free(reply);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct verdict verdict;
	const struct asker asker = {.uid = 1000, .now_ns = 1, .now_s = 1};
	struct request request;
	const char *problem = NULL;
	json_t *why = NULL;
	char *reply;
	int r;

	if (!judge)
		set_up();
	r = request_read((const char *)data, size, &request, &problem);
	if (r > 0 && !problem)
		abort();
	if (r)
		return 0;
	if (request.ask == REQUEST_EXPLAIN) {
		explain(&request);
	} else if (request.ask == REQUEST_DEFINE) {
		if (!pins_define(pins, "puppy", "server", request.body, NULL,
				 &why) &&
		    json_array_size(why) != json_array_size(request.body))
			abort();
		json_decref(why);
	} else {
		judge_request(judge, &asker, &request, &verdict);
		reply = reply_verdict(policy, &request, &verdict);
		if (!reply || reply[strlen(reply) - 1] != '\n')
			abort();
		free(reply);
	}
	request_done(&request);
	return 0;
}
