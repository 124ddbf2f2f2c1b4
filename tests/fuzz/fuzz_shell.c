/* a command line from anybody: read, or too complex, and never more */

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "toolcall/commands/commands.h"
#include "toolcall/commands/sql.h"
#include "toolcall/shell/shell_parse.h"

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
	size_t sum = 0;
	int r;

	if (!commands && commands_new(&commands))
		abort();
	r = shell_parse((const char *)data, size, NULL, &shell);
	if (r && r != SHELL_TOO_COMPLEX)
		abort();
	if (r)
		return 0;
	for (size_t i = 0; i < shell->count; i++) {
		const struct shell_command *command = &shell->commands[i];

		for (size_t j = 0; j < command->word_count; j++) {
			size_t length = strlen(command->words[j].text);

			sum += length;
			if (length > SHELL_BYTES_MAX || sum > SHELL_SUM_MAX)
				abort();
		}

		/* Whoever follows these must come to an end. */
		if (command->reads_from >= (int)shell->count ||
		    command->feeds >= (int)shell->count ||
		    command->part_of >= (int)i || command->reads_from >= (int)i)
			abort();
	}
	commands_judge(commands, shell, ~UINT32_C(0), found, NULL);
	if (size && !memchr(data, '\0', size)) { /* or it is SQL */
		char *text = strndup((const char *)data, size);
		char *without = sql_without_texts(text);

		if (strlen(without) != size)
			abort();
		commands_judge_sql(commands, text, ~UINT32_C(0), found, NULL);
		free(without);
		free(text);
	}
	shell_free(shell);
	return 0;
}
