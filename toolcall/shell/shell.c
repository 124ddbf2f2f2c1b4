#include "toolcall/shell/shell.h"

#include <string.h>

struct shell *shell_free(struct shell *shell)
{
	if (!shell)
		return NULL;
	for (size_t i = 0; i < shell->count; i++) {
		struct shell_command *command = &shell->commands[i];

		for (size_t j = 0; j < command->word_count; j++)
			free(command->words[j].text);
		for (size_t j = 0; j < command->redirect_count; j++)
			free(command->redirects[j].target);
		free(command->words);
		free(command->redirects);
	}
	free(shell->commands);
	free(shell);
	return NULL;
}

const char *shell_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *shell_program(const struct shell_command *command)
{
	return command->word_count ? shell_basename(command->words[0].text)
				   : "";
}

bool shell_is_among(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

bool shell_is_shell(const char *program)
{
	static const char *const shells[] = {
		"sh",  "bash", "zsh",  "dash",	"ksh",	"mksh", "ash",
		"csh", "tcsh", "fish", "rbash", "yash", NULL,
	};

	return shell_is_among(program, shells);
}

bool shell_is_interpreter(const char *program)
{
	static const char *const others[] = {
		"perl", "ruby", "node",	 "nodejs",    "deno", "bun",
		"php",	"lua",	"tclsh", "osascript", "pwsh", NULL,
	};

	return shell_is_shell(program) || shell_is_among(program, others) ||
	       !strncmp(program, "python", 6) || !strncmp(program, "pypy", 4);
}

bool shell_goes_on(const struct shell *shell, size_t index)
{
	return index < shell->count && !effort_is_spent(shell->effort);
}
