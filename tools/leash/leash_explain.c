/*
 * leash explain - would it be allowed, by which rule, and what to change
 */

#include "tools/leash/leash_explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/arguments.h"
#include "tools/leash/dialog/json_output.h"
#include "tools/leash/dialog/only_account.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/lib/complaint.h"
#include "tools/lib/explain_client.h"
#include "tools/lib/narrow.h"
#include "tools/lib/tool_client.h"

struct options {
	const char *account;
	const char *address;
	const char *protocol;
	const char *program;
	bool write;
	bool json;
};

/* What the file is, as far as whoever asks can see it. */
static void put_stat(struct fields *request, const char *path, bool *ret_folder)
{
	struct stat st;

	*ret_folder = false;
	if (stat(path, &st) < 0)
		return;
	*ret_folder = S_ISDIR(st.st_mode);
	fields_format(request, "device", "%ju", (uintmax_t)st.st_dev);
	fields_format(request, "inode", "%ju", (uintmax_t)st.st_ino);
	fields_format(request, "size", "%jd", (intmax_t)st.st_size);
	fields_format(request, "changed_ns", "%jd",
		      (intmax_t)st.st_ctim.tv_sec * CLOCK_NS_PER_S +
			      st.st_ctim.tv_nsec);
}

static int put_path(struct fields *request, bool runs, const char *what,
		    const struct options *options)
{
	CLEANUP_FREE char *path = argument_path(what);
	bool folder;

	if (!path)
		return EXIT_ERROR;
	if (path[0] != '/') {
		complaint_print("%s: explain takes one path, not a pattern",
				what);
		return EXIT_ERROR;
	}
	put_stat(request, path, &folder);
	fields_put(request, "kind", runs ? "exec" : folder ? "list" : "open");
	fields_put(request, "path", path);
	if (options->write)
		fields_put(request, "access", "write");
	return EXIT_DONE;
}

static int put_host(struct fields *request, char *what,
		    const struct options *options)
{
	const char *host, *port;

	if (!argument_split_host(what, &host, &port))
		return EXIT_ERROR;
	fields_put(request, "kind", "connect");
	fields_put(request, "host", host);
	if (port)
		fields_put(request, "port", port);
	if (options->protocol)
		fields_put(request, "protocol", options->protocol);
	if (options->address)
		fields_put(request, "address", options->address);
	if (options->program)
		fields_put(request, "program", options->program);
	return EXIT_DONE;
}

static void print_rule(const struct fields *reply)
{
	const char *origin = fields_get(reply, "origin");
	const char *name = fields_get(reply, "rule");
	const char *note = fields_get(reply, "note");
	const char *until = fields_get(reply, "until");

	if (!origin)
		return;
	printf("  rule     %s", terminal_shown(origin));
	if (name && strcmp(name, origin))
		printf(" \"%s\"", terminal_shown(name));
	if (note)
		printf(": %s", terminal_shown(note));
	putchar('\n');
	if (until) {
		time_t end = (time_t)atoll(until);
		char text[32];
		struct tm utc;

		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ",
			 gmtime_r(&end, &utc));
		printf("  until    %s\n", text);
	}
}

static void print_others(const struct fields *reply)
{
	struct fields_cursor cursor = {0};

	while (fields_next(reply, &cursor))
		if (fields_is(&cursor, "other"))
			printf("  then     %s\n", terminal_shown(cursor.value));
}

static void print_option(const char *name, const char *value)
{
	if (!value)
		return;
	printf(" %s", name);
	terminal_print_word(value);
}

static void print_fix(const struct fields *request, const struct fields *reply)
{
	const char *fix = fields_get(reply, "fix");
	const char *kind = fields_get(request, "kind");
	const char *path = fields_get(request, "path");
	const char *host = fields_get(request, "host");
	const char *port = fields_get(request, "port");

	if (!fix)
		return;
	if (!strncmp(fix, "edit ", 5)) {
		printf("  to allow change or remove the rule at %s\n",
		       terminal_shown(fix + 5));
		return;
	}
	fputs("  to allow leash", stdout);
	if (strcmp(fix, "allow")) {
		printf(" %s\n", terminal_shown(fix));
		return;
	}
	fputs(host			      ? " allow host"
	      : kind && !strcmp(kind, "exec") ? " allow program"
					      : " allow file",
	      stdout);
	if (host) {
		const char *protocol = fields_get(request, "protocol");
		const char *program = fields_get(request, "program");
		char text[300];

		if (protocol && !strcmp(protocol, "icmp"))
			snprintf(text, sizeof(text), "%s", host);
		else
			snprintf(text, sizeof(text),
				 strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
				 port ? port : "443");
		terminal_print_word(text);
		print_option("--protocol", protocol);
		print_option("--program", program);
	} else {
		CLEANUP_FREE char *literal = narrow_literal(path);

		terminal_print_word(literal ? literal : path);
	}
	if (fields_get(request, "access"))
		fputs(" --write", stdout);
	fputs(" --account", stdout);
	terminal_print_word(fields_get(reply, "account"));
	putchar('\n');
}

static void print_answer(const struct fields *request,
			 const struct fields *reply)
{
	const char *verdict = fields_get(reply, "verdict");
	const char *path = fields_get(request, "path");
	const char *access = fields_get(request, "access");
	const char *resolve = fields_get(reply, "resolve");

	printf("%s: %s %s%s, by %s\n",
	       !strcmp(verdict, "allow")  ? "allowed"
	       : !strcmp(verdict, "deny") ? "denied"
					  : "allowed, since OBSERVE MODE is on",
	       fields_get(request, "kind"),
	       terminal_shown(path ? path : fields_get(request, "host")),
	       access ? " for writing" : "",
	       terminal_shown(fields_get(reply, "account")));
	printf("  because  %s\n", terminal_shown(fields_get(reply, "reason")));
	print_rule(reply);
	print_others(reply);
	if (resolve)
		printf("  its name %s be asked for\n",
		       strcmp(resolve, "deny") ? "may" : "may not");
	print_fix(request, reply);
}

static int ask(const struct fields *request, const struct options *options)
{
	static const struct json_list lists[] = {
		{"other", {"origin", "verdict", "rule"}},
		{NULL, {NULL}},
	};
	static const char *const numbers[] = {"until", NULL};
	struct fields reply;
	int r = explain_client_ask(request, &reply);

	if (!r) {
		if (options->json)
			json_output_print(&reply, lists, numbers);
		else
			print_answer(request, &reply);
		r = strcmp(fields_get(&reply, "verdict"), "allow") ? EXIT_NO
								   : EXIT_DONE;
	}
	fields_free(&reply);
	return r;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_call(const char *tool, const char *account,
		       const json_t *reply)
{
	const char *verdict = text_of(reply, "verdict");
	const char *origin = text_of(reply, "origin");
	const char *reason = text_of(reply, "reason");
	const json_t *finding;
	size_t index;

	printf("%s: call %s\n",
	       !strcmp(verdict, "allow")  ? "allowed"
	       : !strcmp(verdict, "deny") ? "denied"
					  : "allowed, but noted",
	       terminal_shown(tool));
	printf("  because  %s\n", terminal_shown(reason ? reason : "?"));
	if (origin)
		printf("  rule     %s\n", terminal_shown(origin));
	json_array_foreach(json_object_get(reply, "findings"), index, finding)
		printf("  found    %s %s at %s: %s\n",
		       terminal_shown(text_of(finding, "kind")),
		       terminal_shown(text_of(finding, "rule")),
		       terminal_shown(text_of(finding, "path")),
		       terminal_shown(text_of(finding, "action")));
	if (text_of(reply, "fix")) {
		fputs("  to allow leash allow tool", stdout);
		terminal_print_word(tool);
		print_option("--account", account);
		putchar('\n');
	}
}

/* leash-toolcall is asked: it alone looks into arguments. */
static int explain_tool(const char *tool, const char *arguments,
			const struct options *options)
{
	struct tool_client client = TOOL_CLIENT_NONE;
	json_t *read = arguments
			       ? tool_client_read(arguments, strlen(arguments))
			       : json_object();
	const char *problem, *verdict;
	char account[256];
	json_t *request, *reply;
	int r;

	if (!json_is_object(read)) {
		complaint_print("the arguments are no JSON object");
		json_decref(read);
		return EXIT_ERROR;
	}
	request = json_pack("{s:s, s:s, s:o, s:b}", "ask", "call", "tool", tool,
			    "arguments", read, "explain", 1);
	if (options->account)
		snprintf(account, sizeof(account), "%s", options->account);
	if (options->account ||
	    (getuid() == 0 && !only_account(account, sizeof(account))))
		json_object_set_new(request, "account", json_string(account));
	reply = tool_client_ask(&client, request, &problem);
	tool_client_done(&client);
	if (!reply) {
		json_decref(request);
		complaint_print("%s", problem);
		return EXIT_ERROR;
	}
	verdict = text_of(reply, "verdict");
	if (options->json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_call(tool, text_of(request, "account"), reply);
	}
	r = strcmp(verdict, "deny") ? EXIT_DONE : EXIT_NO;
	json_decref(request);
	json_decref(reply);
	return r;
}

static int parse(int argc, char **argv, struct options *ret, char ***ret_words)
{
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{"address", 0, "IP", "for a host: the address of that name",
		 .text = &ret->address},
		{LEASH_JSON, .flag = &ret->json},
		{LEASH_PROGRAM, .text = &ret->program},
		{LEASH_PROTOCOL, .text = &ret->protocol},
		{"write", 0, NULL, "for a file: to write it",
		 .flag = &ret->write},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash explain",
		.synopsis = "file|exec|host WHAT [OPTION...]\n"
			    "tool NAME [ARGUMENTS] [OPTION...]",
		.rows = rows,
		.least = 2,
		.most = 3,
	};
	int r = options_read(&command, argc, argv, ret_words);

	if (r == OPTIONS_GO_ON && (*ret_words)[2] &&
	    strcmp((*ret_words)[0], "tool"))
		return options_wrong(command.name, "does not take \"%s\"",
				     (*ret_words)[2]);
	return r;
}

/* What does not matter would be left out of the question. */
static int options_fit(const char *kind, const struct options *options)
{
	const char *host = options->address    ? "--address"
			   : options->protocol ? "--protocol"
			   : options->program  ? "--program"
					       : NULL;

	if (host && strcmp(kind, "host"))
		return options_wrong("leash explain", "%s is for a host", host);
	if (options->write && strcmp(kind, "file"))
		return options_wrong("leash explain", "--write is for a file");
	return OPTIONS_GO_ON;
}

int leash_explain(int argc, char **argv)
{
	struct options options = {NULL, NULL, NULL, NULL, false, false};
	struct fields request = {NULL, 0, 0, false};
	char **words;
	int r = parse(argc, argv, &options, &words);

	if (r >= 0)
		return r;
	r = options_fit(words[0], &options);
	if (r >= 0)
		return r;
	r = EXIT_DONE;
	if (!strcmp(words[0], "tool"))
		return explain_tool(words[1], words[2], &options);
	if (!strcmp(words[0], "file"))
		r = put_path(&request, false, words[1], &options);
	else if (!strcmp(words[0], "exec") || !strcmp(words[0], "program"))
		r = put_path(&request, true, words[1], &options);
	else if (!strcmp(words[0], "host"))
		r = put_host(&request, words[1], &options);
	else
		r = options_wrong("leash explain",
				  "it is file, exec, host or tool, not \"%s\"",
				  words[0]);
	if (!r && options.account)
		fields_put(&request, "account", options.account);
	if (!r)
		r = ask(&request, &options);
	fields_free(&request);
	return r;
}
