#include "toolcall/commands/forms_names.h"

#include <string.h>

/* Commands that put something into variables: read l, for i in ... */
static bool sets_variable(const struct shell *shell, const char *name,
			  size_t length)
{
	static const char *const setters[] = {"read",	 "for",	      "select",
					      "mapfile", "readarray", "getopts",
					      "printf",	 "declare",   "export",
					      "local",	 NULL};

	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];

		if (!shell_is_among(shell_program(command), setters))
			continue;
		for (size_t j = 1; j < command->word_count; j++)
			if (!strncmp(command->words[j].text, name, length) &&
			    (!command->words[j].text[length] ||
			     command->words[j].text[length] == '='))
				return true;
	}
	return shell->has_unknown_variable;
}

bool forms_names_carry(const struct shell *shell, const char *text)
{
	static const char *const secrets[] = {"KEY",  "TOKEN", "SECRET",
					      "PASS", "PWD",   "CRED",
					      "AUTH", "DATA",  NULL};
	const char *name = text + 1;
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	char copy[64];

	if (text[0] != '$' || !strchr(text, '.'))
		return false;
	/* Two of them, or what is none: who knows. */
	if (!length || length >= sizeof(copy) || strchr(name, '$'))
		return true;
	memcpy(copy, name, length);
	copy[length] = '\0';
	for (const char *const *secret = secrets; *secret; secret++)
		if (strcasestr(copy, *secret))
			return true;
	return sets_variable(shell, copy, length);
}
