/*
 * leash tools list, trust - definitions of tools that are withheld
 */

#include "tools/leash/leash_trust.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/leash/dialog/only_account.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/lib/complaint.h"
#include "tools/lib/tool_client.h"

static json_t *ask(json_t *request)
{
	struct tool_client client = TOOL_CLIENT_NONE;
	const char *problem, *verdict;
	json_t *reply = tool_client_ask(&client, request, &problem);

	json_decref(request);
	tool_client_done(&client);
	if (!reply) {
		complaint_print("%s", problem);
		return NULL;
	}
	verdict = json_string_value(json_object_get(reply, "verdict"));
	if (strcmp(verdict, "allow")) {
		const char *reason =
			json_string_value(json_object_get(reply, "reason"));

		complaint_print("%s", reason ? reason : "refused");
		json_decref(reply);
		return NULL;
	}
	return reply;
}

static void print_definition(const char *title, const json_t *definition)
{
	char *text;

	if (!json_is_object(definition)) {
		printf("%s: none\n", title);
		return;
	}
	/* Escaped: what nobody sees is what this is about. */
	text = json_dumps(definition,
			  JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_SORT_KEYS);
	printf("%s:\n%s\n", title, text ? text : "?");
	free(text);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static bool agreed(void)
{
	char line[16];

	if (!isatty(STDIN_FILENO))
		return false;
	fputs("Trust this definition? [y/N] ", stdout);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) &&
	       (line[0] == 'y' || line[0] == 'Y');
}

static int trust_one(const char *account, const json_t *pending,
		     const struct leash_trust_options *options)
{
	json_t *reply;

	printf("%s of %s is withheld: %s\n",
	       terminal_shown(text_of(pending, "tool")),
	       terminal_shown(text_of(pending, "server")),
	       terminal_shown(text_of(pending, "why")));
	print_definition("before", json_object_get(pending, "before"));
	print_definition("now", json_object_get(pending, "now"));
	if (!options->yes && !agreed())
		return EXIT_NO;
	reply = ask(json_pack("{s:s, s:s, s:s, s:s, s:s}", "ask", "trust",
			      "account", account, "server",
			      text_of(pending, "server"), "tool",
			      text_of(pending, "tool"), "digest",
			      text_of(pending, "digest")));
	if (!reply)
		return EXIT_ERROR;
	json_decref(reply);
	puts("trusted");
	return EXIT_DONE;
}

static bool is_wanted(const json_t *pending, int argc, char **argv)
{
	return (argc < 1 || !strcmp(argv[0], text_of(pending, "server"))) &&
	       (argc < 2 || !strcmp(argv[1], text_of(pending, "tool")));
}

int leash_trust(int argc, char **argv,
		const struct leash_trust_options *options)
{
	char account[256];
	json_t *reply, *pending;
	size_t index, found = 0;
	int r = EXIT_DONE;

	if (options->account)
		snprintf(account, sizeof(account), "%s", options->account);
	else
		r = only_account(account, sizeof(account));
	if (r)
		return r;
	reply = ask(
		json_pack("{s:s, s:s}", "ask", "pending", "account", account));
	if (!reply)
		return EXIT_ERROR;
	if (options->list && options->json) {
		json_dumpf(json_object_get(reply, "pending"), stdout,
			   JSON_INDENT(2));
		putchar('\n');
		json_decref(reply);
		return EXIT_DONE;
	}
	json_array_foreach(json_object_get(reply, "pending"), index, pending)
	{
		int one = EXIT_DONE;

		if (!is_wanted(pending, argc, argv))
			continue;
		found++;
		if (options->list)
			printf("%s %s: %s\n",
			       terminal_shown(text_of(pending, "server")),
			       terminal_shown(text_of(pending, "tool")),
			       terminal_shown(text_of(pending, "why")));
		else
			one = trust_one(account, pending, options);
		r = one > r ? one : r;
	}
	json_decref(reply);
	if (!found)
		puts(argc ? "no such tool is withheld" : "nothing is withheld");
	return found || !argc ? r : EXIT_NO;
}
