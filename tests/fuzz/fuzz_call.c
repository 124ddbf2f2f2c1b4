/* a request to the tool gate from anybody: a verdict, or a reason why none */

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/policy/build.h"
#include "tests/fuzz/fuzz.h"
#include "toolcall/judge.h"
#include "toolcall/pins.h"
#include "toolcall/reply.h"

static struct judge *judge;
static struct policy *policy;
static struct pins *pins;

static void set_up(void)
{
	static const char *const values[] = {"ls"};
	static const struct policy_condition_spec when = {
		.field = "command",
		.compare = POLICY_OPERATOR_CONTAINS,
		.values = values,
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
	};
	uint32_t account;
	int fd = -1;

	if (sodium_init() < 0 || judge_new(&judge) || pins_new(-1, &pins) ||
	    policy_builder_new(&builder) ||
	    policy_builder_account(builder, "puppy", 1000, &account) ||
	    policy_builder_home(builder, account, "/home/puppy") ||
	    policy_builder_settings(builder, &settings))
		abort();
	for (size_t i = 0; i < 3; i++) {
		given[i].words.origin = "x:1";
		if (policy_builder_tool(builder, &given[i]))
			abort();
	}
	for (unsigned int i = 0; i < POLICY_INSPECT_KINDS; i++)
		policy_builder_inspect(
			builder, account, (enum policy_inspect_kind)i,
			i % 2 ? POLICY_INSPECT_DENY : POLICY_INSPECT_REDACT,
			POLICY_INSPECT_REDACT);
	if (policy_builder_finish(builder, 1, &fd) || policy_map(fd, &policy) ||
	    judge_use(judge, policy))
		abort();
	fd_close(fd);
	policy_builder_free(builder);
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
	if (request.ask == REQUEST_DEFINE) {
		if (!pins_define(pins, "puppy", "server", request.body, &why) &&
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
