/* a policy image from anybody: refused, or safe to ask anything of */

#include <stdlib.h>
#include <string.h>

#include "gatekeeper/policy/decide.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *policy = NULL;
	void *aligned = NULL;

	if (posix_memalign(&aligned, 64, size ? size : 1))
		return 0;
	memcpy(aligned, data, size);
	if (policy_view(aligned, size, &policy) == 0) {
		uint32_t count = policy_header(policy)->accounts.count;

		for (uint32_t i = 0; i < count && i < 4; i++)
			ask(policy, i);
		(void)policy_account_of(policy, 1000);
	}
	policy_free(policy);
	free(aligned);
	return 0;
}
