/*
 * What anybody may send to the socket "explain", and what may stand in the
 * drop-in that leash(1) writes.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/config/local_rules.h"
#include "gatekeeper/explain.h"
#include "gatekeeper/policy/build.h"
#include "tests/fuzz/fuzz.h"

static struct policy *make_policy(void)
{
	struct policy_builder *builder = NULL;
	struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/d",
		.user = "u",
	};
	struct policy_rule_spec file = {
		.class = POLICY_CLASS_FILES,
		.effect = POLICY_EFFECT_READ,
		.words = {.name = "local 7", .reason = "why"},
	};
	struct policy_net_spec net = {
		.effect = POLICY_EFFECT_DENY,
		.host = "example.org",
		.below = true,
		.protocols = POLICY_PROTOCOL_ALL,
		.port_last = UINT16_MAX,
	};
	static const char *const paths[] = {"/srv", "/srv/**/x", "**/*.pem"};
	struct policy *policy = NULL;
	uint32_t account, rule = POLICY_NONE;
	const char *other;
	int fd = -1;

	if (policy_builder_new(&builder) ||
	    policy_builder_account(builder, "puppy", 1001, &account))
		abort();
	file.words.origin = "f:1";
	net.words = file.words;
	for (size_t i = 0; i < 3; i++) {
		file.path = paths[i];
		if (policy_builder_rule(builder, &file, &other))
			abort();
	}
	if (policy_builder_net(builder, &net, &rule) ||
	    policy_builder_settings(builder, &settings) ||
	    policy_builder_finish(builder, 1, &fd) || policy_map(fd, &policy))
		abort();
	close(fd);
	policy_builder_free(builder);
	return policy;
}

static void read_drop_in(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct local_rules rules;
	size_t line;

	if (text && local_rules_read(text, &rules, &line) == 0) {
		char *again = local_rules_text(&rules);

		if (!again || (text[0] && strcmp(text, again)))
			abort(); /* something would be lost */
		free(again);
		local_rules_tidy(&rules, "2026-11-21T10:00:00Z");
		local_rules_undo(&rules, local_rules_last(&rules));
		local_rules_free(&rules);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy *policy;
	struct fields request, reply = {NULL, 0, 0, false};

	if (!policy)
		policy = make_policy();
	if (fields_view(data, size, &request)) {
		(void)!explain(policy, 0, &request, &reply);
		fields_free(&reply);
	}
	read_drop_in(data, size);
	return 0;
}
