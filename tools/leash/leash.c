/*
 * leash - set up, adjust, watch, understand; see leash(1)
 */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/options.h"
#include "tools/leash/leash_check.h"
#include "tools/leash/leash_explain.h"
#include "tools/leash/leash_init.h"
#include "tools/leash/leash_learn.h"
#include "tools/leash/leash_rules.h"
#include "tools/leash/leash_status.h"
#include "tools/leash/leash_tools.h"
#include "tools/leash/leash_watch.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"init", leash_init, "make an account, a workspace and a first policy"},
	{"status", leash_status, "is the leash on, and what does it hold"},
	{"watch", leash_watch, "the verdicts as they happen"},
	{"explain", leash_explain, "would it be allowed, and by which rule"},
	{"allow", leash_rules_allow, "add a rule that allows"},
	{"deny", leash_rules_allow, "add a rule that denies"},
	{"undo", leash_rules_undo, "take a change back"},
	{"mode", leash_rules_mode, "observe or enforce"},
	{"learn", leash_learn, "rules from what was observed"},
	{"reload", leash_rules_reload, "read the configuration again"},
	{"check", leash_check, "check a configuration"},
	{"tools", leash_tools, "hooks for agents, and definitions to trust"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void list_commands(char *ret, size_t size)
{
	size_t used = (size_t)snprintf(ret, size,
				       "Commands, each of which has --help:\n");

	for (size_t i = 0; i < COMMANDS && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "  %-8s %s\n",
					 commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
	const struct options_row rows[] = {{.name = NULL}};
	char notes[2048];
	const struct options_command leash = {
		.name = "leash",
		.version = LEASH_VERSION,
		.synopsis = "COMMAND [WORD...] [OPTION...]",
		.notes = notes,
		.rows = rows,
		.least = 1,
		.most = OPTIONS_ANY,
		.stops = true,
	};
	char *help[] = {(char *)"leash", (char *)"--help", NULL};
	char **words;
	int r;

	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	list_commands(notes, sizeof(notes));
	r = options_read(&leash, argc, argv, &words);
	if (r >= 0)
		return r;
	if (!strcmp(words[0], "help"))
		return options_read(&leash, 2, help, &words);
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, words[0]))
			return commands[i].run(argc - 1, words);
	return options_wrong("leash", "there is no command \"%s\"", words[0]);
}
