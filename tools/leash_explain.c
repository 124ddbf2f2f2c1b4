/*
 * leash explain - would it be allowed, by which rule, and what to change
 */

#include "tools/leash_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "tools/tool_client.h"

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
	CLEANUP_FREE char *path = leash_path(what);
	bool folder;

	if (!path)
		return EXIT_ERROR;
	if (path[0] != '/') {
		talk_error("%s: explain takes one path, not a pattern", what);
		return EXIT_ERROR;
	}
	put_stat(request, path, &folder);
	fields_put(request, "kind", runs ? "exec" : folder ? "list" : "open");
	fields_put(request, "path", path);
	if (options->write)
		fields_put(request, "access", "write");
	return EXIT_DONE;
}

static void put_host(struct fields *request, char *what,
		     const struct options *options)
{
	const char *host, *port;

	leash_split_host(what, &host, &port);
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
}

static void print_rule(const struct fields *reply)
{
	const char *origin = fields_get(reply, "origin");
	const char *name = fields_get(reply, "rule");
	const char *note = fields_get(reply, "note");
	const char *until = fields_get(reply, "until");

	if (!origin)
		return;
	printf("  rule     %s", leash_shown(origin));
	if (name && strcmp(name, origin))
		printf(" \"%s\"", leash_shown(name));
	if (note)
		printf(": %s", leash_shown(note));
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
			printf("  then     %s\n", leash_shown(cursor.value));
}

/* A word as a shell takes it. */
static void print_word(const char *text)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
			    "XYZ0123456789_-./:@%+,=";

	if (text[strspn(text, plain)] == '\0') {
		printf(" %s", text);
		return;
	}
	fputs(" '", stdout);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	putchar('\'');
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
		       leash_shown(fix + 5));
		return;
	}
	fputs("  to allow leash", stdout);
	if (strcmp(fix, "allow")) {
		printf(" %s\n", leash_shown(fix));
		return;
	}
	fputs(host			      ? " allow host"
	      : kind && !strcmp(kind, "exec") ? " allow program"
					      : " allow file",
	      stdout);
	if (host) {
		char text[300];

		snprintf(text, sizeof(text), "%s:%s", host,
			 port ? port : "443");
		print_word(text);
	} else {
		print_word(path);
	}
	if (fields_get(request, "access"))
		fputs(" --write", stdout);
	fputs(" --account", stdout);
	print_word(fields_get(reply, "account"));
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
	       leash_shown(path ? path : fields_get(request, "host")),
	       access ? " for writing" : "",
	       leash_shown(fields_get(reply, "account")));
	printf("  because  %s\n", leash_shown(fields_get(reply, "reason")));
	print_rule(reply);
	print_others(reply);
	if (resolve)
		printf("  its name %s be asked for\n",
		       strcmp(resolve, "deny") ? "may" : "may not");
	print_fix(request, reply);
}

static int ask(const struct fields *request, const struct options *options)
{
	static const struct leash_list lists[] = {
		{"other", {"origin", "verdict", "rule"}},
		{NULL, {NULL}},
	};
	static const char *const numbers[] = {"until", NULL};
	struct talk_reply reply;
	const char *verdict;
	int r = talk_ask(CONTROL_ASK_EXPLAIN, request, &reply);

	if (r)
		return r;
	verdict = fields_get(&reply.fields, "verdict");
	if (reply.what != CONTROL_DONE || !verdict) {
		talk_complain(&reply);
		r = EXIT_ERROR;
	} else {
		if (options->json)
			leash_print_json(&reply.fields, lists, numbers);
		else
			print_answer(request, &reply.fields);
		r = strcmp(verdict, "allow") ? EXIT_NO : EXIT_DONE;
	}
	talk_free(&reply);
	return r;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_call(const char *tool, const json_t *reply)
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
	       leash_shown(tool));
	printf("  because  %s\n", leash_shown(reason ? reason : "?"));
	if (origin)
		printf("  rule     %s\n", leash_shown(origin));
	json_array_foreach(json_object_get(reply, "findings"), index, finding)
		printf("  found    %s %s at %s: %s\n",
		       leash_shown(text_of(finding, "kind")),
		       leash_shown(text_of(finding, "rule")),
		       leash_shown(text_of(finding, "path")),
		       leash_shown(text_of(finding, "action")));
	if (text_of(reply, "fix"))
		printf("  to allow leash allow tool %s\n", leash_shown(tool));
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
		talk_error("the arguments are no JSON object");
		json_decref(read);
		return EXIT_ERROR;
	}
	request = json_pack("{s:s, s:s, s:o, s:b}", "ask", "call", "tool", tool,
			    "arguments", read, "explain", 1);
	if (options->account)
		snprintf(account, sizeof(account), "%s", options->account);
	if (options->account ||
	    (getuid() == 0 && !leash_only_account(account, sizeof(account))))
		json_object_set_new(request, "account", json_string(account));
	reply = tool_client_ask(&client, request, &problem);
	json_decref(request);
	tool_client_done(&client);
	if (!reply) {
		talk_error("%s", problem);
		return EXIT_ERROR;
	}
	verdict = text_of(reply, "verdict");
	if (options->json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_call(tool, reply);
	}
	r = strcmp(verdict, "deny") ? EXIT_DONE : EXIT_NO;
	json_decref(reply);
	return r;
}

static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option names[] = {
		{"account", required_argument, NULL, 'a'},
		{"address", required_argument, NULL, 'A'},
		{"json", no_argument, NULL, 'j'},
		{"program", required_argument, NULL, 'p'},
		{"protocol", required_argument, NULL, 'P'},
		{"write", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0)
		switch (option) {
		case 'a':
			ret->account = optarg;
			break;
		case 'A':
			ret->address = optarg;
			break;
		case 'j':
			ret->json = true;
			break;
		case 'p':
			ret->program = optarg;
			break;
		case 'P':
			ret->protocol = optarg;
			break;
		case 'w':
			ret->write = true;
			break;
		default:
			return leash_usage("explain");
		}
	if (argc - optind == 3 && !strcmp(argv[optind], "tool"))
		return EXIT_DONE;
	return argc - optind == 2 ? EXIT_DONE : leash_usage("explain");
}

int leash_explain(int argc, char **argv)
{
	struct options options = {NULL, NULL, NULL, NULL, false, false};
	struct fields request = {NULL, 0, 0, false};
	const char *kind;
	int r = parse(argc, argv, &options);

	if (r)
		return r;
	kind = argv[optind];
	if (!strcmp(kind, "tool"))
		return explain_tool(argv[optind + 1], argv[optind + 2],
				    &options);
	if (!strcmp(kind, "file"))
		r = put_path(&request, false, argv[optind + 1], &options);
	else if (!strcmp(kind, "exec") || !strcmp(kind, "program"))
		r = put_path(&request, true, argv[optind + 1], &options);
	else if (!strcmp(kind, "host"))
		put_host(&request, argv[optind + 1], &options);
	else
		r = leash_usage("explain");
	if (!r && options.account)
		fields_put(&request, "account", options.account);
	if (!r)
		r = ask(&request, &options);
	fields_free(&request);
	return r;
}
