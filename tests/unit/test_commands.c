/* Every example of commands.rules: attacks are seen, look-alikes are not. */

#include <stdio.h>
#include <string.h>

#include "tests/unit/rule_file.h"
#include "toolcall/commands/commands.h"
#include "toolcall/shell/shell_parse.h"

struct seen {
	const char *wanted;
	char names[512];
	bool found;
};

static void found(void *context, const struct command_rule *rule)
{
	struct seen *seen = context;
	size_t length = strlen(seen->names);

	snprintf(seen->names + length, sizeof(seen->names) - length, " %s",
		 rule->id);
	seen->found = seen->found || !strcmp(rule->id, seen->wanted);
}

static bool holds(const struct commands *commands,
		  const struct example *example)
{
	CLEANUP(shell_free) struct shell *shell = NULL;
	struct seen seen = {.wanted = example->rule};
	int r = shell_parse(example->text, strlen(example->text), NULL, &shell);

	if (r) {
		printf("# %s: cannot be read (%d): %s\n", example->rule, r,
		       example->text);
		return false;
	}
	commands_judge(commands, shell, ~UINT32_C(0), found, &seen);
	if (example->yes ? seen.found : !seen.names[0])
		return true;
	printf("# %s: %s: %s (found:%s)\n", example->rule,
	       example->yes ? "not seen" : "wrongly seen", example->text,
	       seen.names);
	return false;
}

int main(int argc, char **argv)
{
	CLEANUP(commands_free) struct commands *commands = NULL;
	struct rule_file file = rule_file_read(argc > 1 ? argv[1] : "");
	unsigned int number = 0;
	bool all = true;

	if (commands_new(&commands)) {
		puts("Bail out! the rules do not compile");
		return 1;
	}
	for (size_t i = 0; i < file.count; i++) {
		all = holds(commands, &file.examples[i]) && all;
		if (i + 1 < file.count &&
		    !strcmp(file.examples[i].rule, file.examples[i + 1].rule))
			continue;
		printf("%s %u - %s\n", all ? "ok" : "not ok", ++number,
		       file.examples[i].rule);
		all = true;
	}
	printf("1..%u\n", number);
	rule_file_free(&file);
	return 0;
}
