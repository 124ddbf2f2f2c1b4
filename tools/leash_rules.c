/*
 * leash allow, deny, undo, mode, reload - change what is in force
 */

#include "tools/leash_parts.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/last_denial.h"

struct options {
	const char *account;
	const char *lasts; /* --for */
	const char *ports;
	const char *program;
	const char *protocol;
	const char *why;
	bool dry_run;
	bool json;
	bool last;
	bool write;
	bool yes;
};

static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option names[] = {
		{"account", required_argument, NULL, 'a'},
		{"dry-run", no_argument, NULL, 'n'},
		{"for", required_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},
		{"last", no_argument, NULL, 'l'},
		{"program", required_argument, NULL, 'p'},
		{"protocol", required_argument, NULL, 'P'},
		{"why", required_argument, NULL, 'y'},
		{"write", no_argument, NULL, 'w'},
		{"yes", no_argument, NULL, 'Y'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0)
		switch (option) {
		case 'a':
			ret->account = optarg;
			break;
		case 'n':
			ret->dry_run = true;
			break;
		case 'f':
			ret->lasts = optarg;
			break;
		case 'j':
			ret->json = true;
			break;
		case 'l':
			ret->last = true;
			break;
		case 'p':
			ret->program = optarg;
			break;
		case 'P':
			ret->protocol = optarg;
			break;
		case 'y':
			ret->why = optarg;
			break;
		case 'w':
			ret->write = true;
			break;
		case 'Y':
			ret->yes = true;
			break;
		default:
			return leash_usage(argv[0]);
		}
	return EXIT_DONE;
}

/* "90s", "15m", "2h" or "7d" from now, as `until` has it. */
static int put_until(struct fields *request, const char *lasts)
{
	static const struct {
		char unit;
		long seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end, text[32];
	struct tm utc;
	time_t when;
	long count;

	if (!lasts)
		return EXIT_DONE;
	count = isdigit((unsigned char)lasts[0]) ? strtol(lasts, &end, 10) : 0;
	for (size_t i = 0; count > 0 && count < 100000 && i < 4; i++) {
		if (end[0] != units[i].unit || end[1])
			continue;
		when = time(NULL) + count * units[i].seconds;
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ",
			 gmtime_r(&when, &utc));
		fields_put(request, "until", text);
		return EXIT_DONE;
	}
	talk_error("--for is 90s, 15m, 2h or 7d, not \"%s\"", lasts);
	return EXIT_ERROR;
}

static void put_common(struct fields *request, const char *what,
		       const struct options *options)
{
	fields_put(request, "do", what);
	if (options->account)
		fields_put(request, "account", options->account);
	if (options->why)
		fields_put(request, "why", options->why);
	if (options->dry_run)
		fields_put(request, "dry", "1");
}

static int print_done(const struct talk_reply *reply, bool dry_run)
{
	const char *diff = fields_get(&reply->fields, "diff");
	const char *change = fields_get(&reply->fields, "change");
	const char *generation = fields_get(&reply->fields, "generation");
	const char *notes = fields_get(&reply->fields, "notes");
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	while (diff && *diff) {
		size_t length = strcspn(diff, "\n");
		const char *paint = diff[0] == '+'   ? "\033[32m"
				    : diff[0] == '-' ? "\033[31m"
						     : "";

		printf("%s%.*s%s\n", colour ? paint : "", (int)length, diff,
		       colour && *paint ? "\033[0m" : "");
		diff += length + (diff[length] == '\n');
	}
	if (notes)
		fputs(notes, stdout);
	if (dry_run)
		puts("nothing was changed (--dry-run)");
	else if (generation && change)
		printf("change %s, live as generation %s\n", change,
		       generation);
	else if (generation)
		printf("live as generation %s\n", generation);
	return EXIT_DONE;
}

/* What was done, and before it what the command itself has found out. */
static int print_object(const struct talk_reply *reply,
			const struct leash_edit_options *options)
{
	static const struct leash_list none[] = {{.key = NULL}};
	static const char *const numbers[] = {"change", "generation", "uses",
					      NULL};
	struct fields all = {NULL, 0, 0, false};

	if (options->found)
		fields_copy(&all, options->found);
	fields_copy(&all, &reply->fields);
	leash_print_json(&all, options->lists ? options->lists : none, numbers);
	fields_free(&all);
	return EXIT_DONE;
}

static int ask(enum control_what what, struct fields *request,
	       const struct leash_edit_options *options)
{
	struct talk_reply reply;
	int r = talk_ask(what, request, &reply);

	if (r)
		return r;
	if (reply.what == CONTROL_DONE) {
		r = options->json ? print_object(&reply, options)
				  : print_done(&reply, options->dry_run);
	} else {
		talk_complain(&reply);
		r = EXIT_ERROR;
	}
	talk_free(&reply);
	return r;
}

int leash_ask_edit(struct fields *request,
		   const struct leash_edit_options *options)
{
	return ask(CONTROL_ASK_EDIT, request, options);
}

/* As the command line has it. */
static int ask_edit(struct fields *request, const struct options *options,
		    const struct fields *found)
{
	return ask(CONTROL_ASK_EDIT, request,
		   &(struct leash_edit_options){
			   .dry_run = options->dry_run,
			   .json = options->json,
			   .found = found,
		   });
}

static int put_what(struct fields *request, const char *kind, char *what,
		    bool allows, const struct options *options)
{
	CLEANUP_FREE char *path = NULL;
	const char *host, *ports;

	if (!strcmp(kind, "file") || !strcmp(kind, "program")) {
		bool file = kind[0] == 'f';

		path = leash_path(what);
		if (!path)
			return EXIT_ERROR;
		fields_put(request, "rule",
			   file	    ? !allows		? "file.deny"
				       : options->write ? "file.write"
							: "file.read"
			   : allows ? "program.allow"
				    : "program.deny");
		fields_put(request, "what", path);
		return EXIT_DONE;
	}
	if (!strcmp(kind, "host")) {
		leash_split_host(what, &host, &ports);
		fields_put(request, "rule",
			   allows ? "host.allow" : "host.deny");
		fields_put(request, "what", host);
		if (ports)
			fields_put(request, "ports", ports);
		if (options->protocol)
			fields_put(request, "protocol", options->protocol);
		if (options->program)
			fields_put(request, "program", options->program);
		return EXIT_DONE;
	}
	if (!strcmp(kind, "tool")) {
		fields_put(request, "rule",
			   allows ? "tool.allow" : "tool.deny");
		fields_put(request, "what", what);
		return EXIT_DONE;
	}
	talk_error("it is file, program, host or tool, not \"%s\"", kind);
	return EXIT_ERROR;
}

/* Whether the person at the terminal agrees; without one, nobody does. */
static bool agreed(void)
{
	char line[16];

	if (!isatty(STDIN_FILENO))
		return false;
	fputs("Allow this? [y/N] ", stdout);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) &&
	       (line[0] == 'y' || line[0] == 'Y');
}

static void put_denial(struct fields *found, const struct last_denial *denial)
{
	fields_put(found, "kind", denial->kind);
	fields_put(found, "refused", denial->target);
	fields_put(found, "account", denial->account);
}

/* With --json there is one object, and nobody is asked: --yes, or nothing. */
static int allow_last(const char *command, struct options *options)
{
	struct last_denial denial;
	struct fields request = {NULL, 0, 0, false};
	struct fields found = {NULL, 0, 0, false};
	bool dry_run = options->dry_run;
	int r;

	if (strcmp(command, "allow"))
		return leash_usage(command);
	r = last_denial_find(options->account, &denial);
	if (r)
		return r;
	if (options->json)
		put_denial(&found, &denial);
	else
		printf("last refused: %s %s, by %s\n", denial.kind,
		       leash_shown(denial.target), leash_shown(denial.account));
	options->account = denial.account;
	/* First what it would be, then for real. */
	for (int real = options->yes && !dry_run; !r && real < 2; real++) {
		options->dry_run = !real;
		put_common(&request, "add", options);
		fields_put(&request, "rule", denial.rule);
		fields_put(&request, "what", denial.what);
		if (denial.ports[0])
			fields_put(&request, "ports", denial.ports);
		if (denial.protocol[0])
			fields_put(&request, "protocol", denial.protocol);
		r = put_until(&request, options->lasts);
		if (!r)
			r = ask_edit(&request, options, &found);
		fields_free(&request);
		if (!real && !r && !dry_run && !options->yes &&
		    (options->json || !agreed())) {
			if (!options->json)
				puts("leash allow --last --yes does it");
			r = EXIT_NO;
		}
		if (dry_run)
			break;
	}
	fields_free(&found);
	return r;
}

int leash_allow(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	bool allows = !strcmp(argv[0], "allow");
	int r = parse(argc, argv, &options);

	if (r)
		return r;
	if (options.last)
		return argc == optind ? allow_last(argv[0], &options)
				      : leash_usage(argv[0]);
	if (argc - optind != 2)
		return leash_usage(argv[0]);
	put_common(&request, "add", &options);
	r = put_what(&request, argv[optind], argv[optind + 1], allows,
		     &options);
	if (!r)
		r = put_until(&request, options.lasts);
	if (!r)
		r = ask_edit(&request, &options, NULL);
	fields_free(&request);
	return r;
}

int leash_undo(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	int r = parse(argc, argv, &options);

	if (r)
		return r;
	if (argc - optind > 1)
		return leash_usage("undo");
	put_common(&request, "undo", &options);
	if (argc > optind) {
		const char *change = argv[optind];

		if (!*change || change[strspn(change, "0123456789")])
			r = leash_usage("undo");
		fields_put(&request, "change", change);
	}
	if (!r)
		r = ask_edit(&request, &options, NULL);
	fields_free(&request);
	return r;
}

int leash_mode(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	int r = parse(argc, argv, &options);

	if (r)
		return r;
	if (argc - optind != 1 || (strcmp(argv[optind], "observe") &&
				   strcmp(argv[optind], "enforce")))
		return leash_usage("mode");
	put_common(&request, "mode", &options);
	fields_put(&request, "mode", argv[optind]);
	r = ask_edit(&request, &options, NULL);
	if (!r && !strcmp(argv[optind], "observe") && !options.dry_run &&
	    !options.json)
		puts("OBSERVE MODE: nothing is refused until leash mode "
		     "enforce");
	fields_free(&request);
	return r;
}

int leash_reload(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	int r = parse(argc, argv, &options);

	if (r)
		return r;
	if (optind < argc)
		return leash_usage("reload");
	return ask(CONTROL_ASK_RELOAD, &request,
		   &(struct leash_edit_options){.json = options.json});
}
