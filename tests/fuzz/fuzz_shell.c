/* a command line from anybody: read, or too complex, and never more */

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "toolcall/commands.h"

static void found(void *context, const struct command_rule *rule)
{
	(void)context;
	if (!rule->id)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct commands *commands;
	struct shell *shell = NULL;
	int r;

	if (!commands && commands_new(&commands))
		abort();
	r = shell_parse((const char *)data, size, &shell);
	if (r && r != SHELL_TOO_COMPLEX)
		abort();
	if (r)
		return 0;
	for (size_t i = 0; i < shell->count; i++) {
		const struct shell_command *command = &shell->commands[i];

		/* Whoever follows these must come to an end. */
		if (command->reads_from >= (int)shell->count ||
		    command->feeds >= (int)shell->count ||
		    command->part_of >= (int)i || command->reads_from >= (int)i)
			abort();
	}
	commands_judge(commands, shell, ~UINT32_C(0), found, NULL);
	shell_free(shell);
	return 0;
}
