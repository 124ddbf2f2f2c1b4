/* a policy image from anybody: refused, or safe to ask anything of */

#include <stdlib.h>
#include <string.h>

#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_tool.h"
#include "gatekeeper/policy/decide_host.h"
#include "gatekeeper/policy/places.h"
#include "tests/fuzz/fuzz.h"

static const char *const paths[] = {
	"/",
	"/srv/project/.env",
	"/srv/docs/a/b/c.pem",
	"",
	"//x//",
	"/usr",
	"/home/nobody/.ssh/id_ed25519",
};

static void ask(const struct policy *policy, uint32_t account)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		for (int kind = POLICY_KIND_OPEN; kind <= POLICY_KIND_EXEC;
		     kind++) {
			const struct policy_question question = {
				.account = account,
				.kind = (enum policy_kind)kind,
				.path = paths[i],
				.path_length = strlen(paths[i]),
			};
			struct policy_answer answer;

			if (policy_decide(policy, &question, &answer) == 0 &&
			    answer.rule != POLICY_NONE)
				(void)policy_text(
					policy,
					policy_rule(policy, answer.rule)->name);
		}
	}
}

static void ask_network(const struct policy *policy, uint32_t account)
{
	static const char *const names[] = {"a.example", "x.y.b.example", "b"};
	struct policy_flow flow = {
		.account = account,
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_TCP,
		.address = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}},
		.port = 443,
		.names = names,
		.name_count = 3,
	};
	struct policy_answer answer;

	for (size_t i = 0; i < 3; i++)
		policy_decide_question(policy, account, names[i], 0, &answer);
	(void)policy_is_resolver(policy, account, &flow.address);
	(void)policy_allows_address(policy, account, &flow.address, 0);
	if (policy_decide_flow(policy, &flow, &answer) == POLICY_NEED_PROGRAM) {
		flow.program_known = true;
		flow.program = "/bin/ls";
		(void)!policy_decide_flow(policy, &flow, &answer);
	}
	flow.said = POLICY_SAID_NAME;
	flow.said_name = names[1];
	(void)!policy_decide_flow(policy, &flow, &answer);
}

static enum policy_holds holds(void *context, const struct policy *policy,
			       const struct policy_condition *condition)
{
	(void)context;
	return (strlen(policy_text(policy, condition->field)) +
		strlen(policy_text(policy, condition->value))) %
	       3;
}

static void ask_tools(const struct policy *policy, uint32_t account)
{
	static const char *const names[] = {"Bash", "mcp__files__read_file", "",
					    "Task"};
	struct policy_call call = {.account = account, .holds = holds};
	struct policy_answer answer;
	uint32_t tool;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		call.tool = names[i];
		policy_decide_tool(policy, &call, &answer, &tool);
		if (tool != POLICY_NONE && tool >= policy_tool_count(policy))
			abort();
		(void)policy_offers_tool(policy, account, names[i], 0);
	}
}

static void look_at(void *context, const struct policy_place *place)
{
	const struct policy *policy = context;

	if (place->rule >= policy_rule_count(policy) ||
	    place->account >= policy_account_count(policy))
		abort();
	if (place->kind != POLICY_PLACE_NET)
		(void)!strlen(place->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *policy = NULL;
	void *aligned = NULL;

	if (posix_memalign(&aligned, 64, size ? size : 1))
		return 0;
	memcpy(aligned, data, size);
	if (policy_view(aligned, size, &policy) == 0) {
		uint32_t count = policy_account_count(policy);

		for (uint32_t i = 0; i < count && i < 4; i++) {
			ask(policy, i);
			ask_network(policy, i);
			ask_tools(policy, i);
		}
		(void)policy_account_of(policy, 1000);
		(void)!policy_places(policy, look_at, policy);
	}
	policy_free(policy);
	free(aligned);
	return 0;
}
