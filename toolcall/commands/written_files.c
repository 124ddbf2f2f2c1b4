/*
 * Every common tool has its own way to say it.
 */

#include "toolcall/commands/written_files.h"

#include <stdio.h>
#include <string.h>

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

static bool has_option(const struct shell_command *command, const char *a,
		       const char *b)
{
	for (size_t i = 1; i < command->word_count; i++)
		if (!strcmp(command->words[i].text, a) ||
		    !strcmp(command->words[i].text, b))
			return true;
	return false;
}

/* All words that are no option. */
static bool each_plain(const struct shell_command *command, size_t skip,
		       written_files_fn each, void *context)
{
	for (size_t i = 1; i < command->word_count; i++) {
		if (is_option(command->words[i].text))
			continue;
		if (skip) {
			skip--;
			continue;
		}
		if (each(context, command->words[i].text))
			return true;
	}
	return false;
}

/* By its look: a slash at its end, a hidden folder, ~ or dots alone. */
static bool may_be_folder(const char *path)
{
	size_t length = strlen(path);

	return length && (path[length - 1] == '/' || path[length - 1] == '.' ||
			  path[length - 1] == '~' || path[0] == '.' ||
			  strstr(path, "/.") || !strncmp(path, "/etc/", 5));
}

/* The last word, and below it the others' names, should it be a folder. */
static bool each_target(const struct shell_command *command, bool moves,
			written_files_fn each, void *context)
{
	const char *target = NULL;
	size_t last = command->word_count;
	char joined[4200];

	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if ((!strcmp(word, "-t") ||
		     !strcmp(word, "--target-directory")) &&
		    i + 1 < command->word_count)
			target = command->words[i + 1].text;
		else if (!strncmp(word, "--target-directory=", 19))
			target = word + 19;
		else if (!is_option(word))
			last = i;
	}
	if (!target && last < command->word_count)
		target = command->words[last].text;
	if (!target)
		return false;
	if (each(context, target))
		return true;
	if (!may_be_folder(target))
		return false;
	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (is_option(word) || word == target)
			continue;
		snprintf(joined, sizeof(joined), "%s/%s", target,
			 shell_basename(word));
		if (each(context, joined) || (moves && each(context, word)))
			return true;
	}
	return false;
}

/* The value behind an option, glued or not. */
static bool each_value(const struct shell_command *command, const char *option,
		       written_files_fn each, void *context)
{
	size_t length = strlen(option);

	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (!strcmp(word, option) && i + 1 < command->word_count) {
			if (each(context, command->words[i + 1].text))
				return true;
		} else if (!strncmp(word, option, length) && word[length]) {
			const char *value = word + length;

			if (each(context, *value == '=' ? value + 1 : value))
				return true;
		}
	}
	return false;
}

/*
 * An editor that a person sits before writes what the person says.  One that is
 * given its orders with the command writes by itself.
 */
static bool has_orders(const struct shell_command *command)
{
	static const char *const options[] = {
		"-c",	 "-s",	  "-S",	      "-es",	    "-Es",
		"-e",	 "--cmd", "--batch",  "--eval",	    "-batch",
		"-eval", "-f",	  "--script", "--headless", NULL};
	static const char *const lines[] = {"ed", "ex", "sponge", NULL};

	if (shell_is_among(shell_program(command), lines) ||
	    command->reads_from >= 0 || command->redirect_count)
		return true;
	for (size_t i = 1; i < command->word_count; i++)
		if (shell_is_among(command->words[i].text, options) ||
		    command->words[i].text[0] == '+')
			return true;
	return false;
}

static bool each_of_program(const struct shell_command *command,
			    written_files_fn each, void *context)
{
	static const char *const all[] = {"tee",   "rm",       "unlink",
					  "shred", "truncate", "touch",
					  "mkdir", NULL};
	static const char *const editors[] = {"vi",    "vim",	 "nano",
					      "nvim",  "ed",	 "ex",
					      "emacs", "sponge", NULL};
	static const char *const targets[] = {"cp",    "install", "ln",
					      "rsync", "scp",	  NULL};
	const char *program = shell_program(command);

	if (shell_is_among(program, all) ||
	    (shell_is_among(program, editors) && has_orders(command)))
		return each_plain(command, 0, each, context);
	if (!strcmp(program, "mv"))
		return each_target(command, true, each, context);
	if (shell_is_among(program, targets))
		return each_target(command, false, each, context);
	if (!strcmp(program, "dd"))
		return each_value(command, "of=", each, context);
	if (!strcmp(program, "curl"))
		return each_value(command, "-o", each, context) ||
		       each_value(command, "--output", each, context);
	if (!strcmp(program, "wget"))
		return each_value(command, "-O", each, context) ||
		       each_value(command, "--output-document", each, context);
	if (!strcmp(program, "sed") || !strcmp(program, "perl") ||
	    !strcmp(program, "ruby")) {
		for (size_t i = 1; i < command->word_count; i++) {
			const char *word = command->words[i].text;

			if (!strncmp(word, "--in-place", 10) ||
			    (word[0] == '-' && word[1] != '-' &&
			     strchr(word, 'i')))
				return each_plain(command, 0, each, context);
		}
		return false;
	}
	if (!strcmp(program, "gawk") || !strcmp(program, "awk"))
		return has_option(command, "-i", "--include") &&
		       each_plain(command, 1, each, context);
	return false;
}

bool written_files_any(const struct shell_command *command,
		       written_files_fn each, void *context)
{
	for (size_t i = 0; i < command->redirect_count; i++)
		if (command->redirects[i].kind == SHELL_REDIRECT_WRITE &&
		    each(context, command->redirects[i].target))
			return true;
	return command->word_count && each_of_program(command, each, context);
}
