/*
 * leash allow, deny, undo, mode, reload - change what is in force
 */

#include "tools/leash/leash_rules.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/arguments.h"
#include "tools/leash/dialog/edit.h"
#include "tools/leash/dialog/suggestion.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/leash/log/last_denial.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"

/* For what was refused a moment ago to come into the log. */
#define LOG_WAIT_NS  (2 * CLOCK_NS_PER_S)
#define LOG_RETRY_US 20000
#define CONTROL_PATH "/run/leash/" CONTROL_SOCKET

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
	int64_t seq; /* of --last=SEQ, or 0 */
	bool write;
	bool yes;
};

static bool parse_seq(const char *text, int64_t *ret)
{
	if (!*text || strlen(text) > 18 || text[strspn(text, "0123456789")])
		return false;
	*ret = strtoll(text, NULL, 10);
	return *ret > 0;
}

static int parse_allow(int argc, char **argv, struct options *ret,
		       char ***ret_words)
{
	const char *seq = NULL;
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{LEASH_DRY_RUN, .flag = &ret->dry_run},
		{LEASH_FOR, .text = &ret->lasts},
		{LEASH_JSON, .flag = &ret->json},
		{"last", 0, "NUMBER",
		 "what was refused last, or the refusal of that number",
		 .flag = &ret->last, .text = &seq},
		{LEASH_PROGRAM, .text = &ret->program},
		{LEASH_PROTOCOL, .text = &ret->protocol},
		{LEASH_WHY, .text = &ret->why},
		{"write", 0, NULL, "for a file: for writing, too",
		 .flag = &ret->write},
		{"yes", 0, NULL, "with --last=NUMBER: ask nothing",
		 .flag = &ret->yes},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash allow",
		.synopsis = "file|program|host|tool WHAT [OPTION...]\n"
			    "--last[=NUMBER] [OPTION...]",
		.rows = rows,
		.most = 2,
	};
	int r = options_read(&command, argc, argv, ret_words);

	if (r != OPTIONS_GO_ON)
		return r;
	if (seq && !parse_seq(seq, &ret->seq))
		return options_wrong(command.name,
				     "--last takes the number of a refusal, "
				     "not \"%s\"",
				     seq);
	if (ret->last && (*ret_words)[0])
		return options_wrong(command.name,
				     "--last does not take \"%s\"",
				     (*ret_words)[0]);
	if (ret->last && (ret->program || ret->protocol || ret->write))
		return options_wrong(command.name,
				     "--last makes a rule for what was "
				     "refused, without %s",
				     ret->program    ? "--program"
				     : ret->protocol ? "--protocol"
						     : "--write");
	if (!ret->last && (!(*ret_words)[0] || !(*ret_words)[1]))
		return options_wrong(command.name, "something is missing");
	return r;
}

static int parse_deny(int argc, char **argv, struct options *ret,
		      char ***ret_words)
{
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{LEASH_DRY_RUN, .flag = &ret->dry_run},
		{LEASH_FOR, .text = &ret->lasts},
		{LEASH_JSON, .flag = &ret->json},
		{LEASH_PROGRAM, .text = &ret->program},
		{LEASH_PROTOCOL, .text = &ret->protocol},
		{LEASH_WHY, .text = &ret->why},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash deny",
		.synopsis = "file|program|host|tool WHAT [OPTION...]",
		.rows = rows,
		.least = 2,
		.most = 2,
	};

	return options_read(&command, argc, argv, ret_words);
}

static int parse_undo(int argc, char **argv, struct options *ret,
		      char ***ret_words)
{
	const struct options_row rows[] = {
		{LEASH_DRY_RUN, .flag = &ret->dry_run},
		{LEASH_JSON, .flag = &ret->json},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash undo",
		.synopsis = "[CHANGE] [OPTION...]",
		.rows = rows,
		.most = 1,
	};

	return options_read(&command, argc, argv, ret_words);
}

static int parse_mode(int argc, char **argv, struct options *ret,
		      char ***ret_words)
{
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{LEASH_DRY_RUN, .flag = &ret->dry_run},
		{LEASH_JSON, .flag = &ret->json},
		{LEASH_WHY, .text = &ret->why},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash mode",
		.synopsis = "observe|enforce [OPTION...]",
		.rows = rows,
		.least = 1,
		.most = 1,
	};

	return options_read(&command, argc, argv, ret_words);
}

static int parse_reload(int argc, char **argv, struct options *ret)
{
	const struct options_row rows[] = {
		{LEASH_JSON, .flag = &ret->json},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash reload",
		.synopsis = "[OPTION...]",
		.rows = rows,
	};

	return options_read(&command, argc, argv, NULL);
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
	complaint_print("--for is 90s, 15m, 2h or 7d, not \"%s\"", lasts);
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

/* The same with nothing left out that was said, but for --dry-run. */
static void say_how(struct suggestion *suggestion,
		    const struct options *options)
{
	const struct {
		const char *word, *value;
	} said[] = {
		{"--account", options->account},
		{"--for", options->lasts},
		{"--why", options->why},
		{"--protocol", options->protocol},
		{"--program", options->program},
	};

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (said[i].value)
			suggestion_add(suggestion, said[i].word, said[i].value);
	if (options->write)
		suggestion_add(suggestion, "--write", NULL);
	suggestion_print(suggestion);
}

/* As the command line has it. */
static int ask_edit(struct fields *request, const struct options *options,
		    const struct fields *found)
{
	return edit_ask(CONTROL_ASK_EDIT, request,
			&(struct edit_options){
				.dry_run = options->dry_run,
				.json = options->json,
				.found = found,
			});
}

/* The same; after a dry run, say what to type. */
static int edit(struct fields *request, const struct options *options,
		struct suggestion *suggestion)
{
	int r = ask_edit(request, options, NULL);

	if (!r && options->dry_run && !options->json)
		say_how(suggestion, options);
	return r;
}

/* What is of no use for that kind would make the rule wider than was said. */
static bool options_fit(const char *kind, bool allows,
			const struct options *options)
{
	if (strcmp(kind, "host") && (options->program || options->protocol)) {
		complaint_print("%s is for a host",
				options->program ? "--program" : "--protocol");
		return false;
	}
	if (options->write && (strcmp(kind, "file") || !allows)) {
		complaint_print("--write is for allow file");
		return false;
	}
	return true;
}

static int put_what(struct fields *request, const char *kind, char *what,
		    bool allows, const struct options *options)
{
	CLEANUP_FREE char *path = NULL;
	const char *host, *ports;

	if (!options_fit(kind, allows, options))
		return EXIT_ERROR;
	if (!strcmp(kind, "file") || !strcmp(kind, "program")) {
		bool file = kind[0] == 'f';

		path = argument_path_written(what);
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
		if (!argument_split_host(what, &host, &ports))
			return EXIT_ERROR;
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
	complaint_print("it is file, program, host or tool, not \"%s\"", kind);
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
	fields_format(found, "seq", "%" PRId64, denial->seq);
	fields_put(found, "kind", denial->kind);
	fields_put(found, "refused", denial->target);
	fields_put(found, "account", denial->account);
}

static void put_rule(struct fields *request, const struct last_denial *denial)
{
	fields_put(request, "rule", denial->rule);
	fields_put(request, "what", denial->what);
	if (denial->ports[0])
		fields_put(request, "ports", denial->ports);
	if (denial->protocol[0])
		fields_put(request, "protocol", denial->protocol);
}

/* The account may have been refused something else since a person looked. */
static int wants_number(void)
{
	complaint_print(
		"--yes says yes to what was seen: leash allow --last shows "
		"it, and its number for --last=NUMBER --yes");
	return EXIT_ERROR;
}

/* With all that was said: a rule without its end would be another. */
static void say_how_last(const struct options *options, int64_t seq)
{
	struct suggestion suggestion = {.count = 0};
	char last[32];

	snprintf(last, sizeof(last), "--last=%" PRId64, seq);
	suggestion_add(&suggestion, "allow", last);
	if (options->lasts)
		suggestion_add(&suggestion, "--for", options->lasts);
	if (options->why)
		suggestion_add(&suggestion, "--why", options->why);
	suggestion_add(&suggestion, "--yes", NULL);
	suggestion_print(&suggestion);
}

/* Records that the store has yet to write; 0 where nobody may tell. */
static int ask_waiting(long *ret)
{
	struct fields nothing = {NULL, 0, 0, false};
	struct control_client_reply reply;
	const char *bytes;
	int r;

	*ret = 0;
	/* The log is there without gatekeeper, and for others. */
	if (access(CONTROL_PATH, W_OK) < 0)
		return EXIT_DONE;
	r = control_client_ask(CONTROL_ASK_STATUS, &nothing, &reply);
	if (r)
		return r;
	bytes = fields_get(&reply.fields, "waiting_bytes");
	if (reply.what == CONTROL_DONE && bytes)
		*ret = strtol(bytes, NULL, 10);
	control_client_free(&reply);
	return EXIT_DONE;
}

/* The log is written in batches: let it come to what was refused just now. */
static int wait_for_log(void)
{
	int64_t end_ns = clock_monotonic_ns() + LOG_WAIT_NS;
	long waiting;
	int r = ask_waiting(&waiting);

	while (!r && waiting && clock_monotonic_ns() < end_ns) {
		usleep(LOG_RETRY_US);
		r = ask_waiting(&waiting);
	}
	return r;
}

/* With --json there is one object, and nobody is asked: --yes, or nothing. */
static int allow_last(struct options *options)
{
	struct last_denial denial;
	struct fields request = {NULL, 0, 0, false};
	struct fields found = {NULL, 0, 0, false};
	bool dry_run = options->dry_run;
	int r;

	if (options->yes && !options->seq && !dry_run)
		return wants_number();
	r = options->seq ? EXIT_DONE : wait_for_log();
	if (!r)
		r = last_denial_find(options->account, options->seq, &denial);
	if (r)
		return r;
	if (options->json)
		put_denial(&found, &denial);
	else
		printf("last refused: %s %s, by %s\n", denial.kind,
		       terminal_shown(denial.target),
		       terminal_shown(denial.account));
	options->account = denial.account;
	/* First what it would be, then for real. */
	for (int real = options->yes && !dry_run; !r && real < 2; real++) {
		options->dry_run = !real;
		put_common(&request, "add", options);
		put_rule(&request, &denial);
		r = put_until(&request, options->lasts);
		if (!r)
			r = ask_edit(&request, options, &found);
		fields_free(&request);
		if (!real && !r && !dry_run && !options->yes &&
		    (options->json || !agreed()))
			r = EXIT_NO;
		if (dry_run)
			break;
	}
	if ((r == EXIT_NO || (!r && dry_run)) && !options->json)
		say_how_last(options, denial.seq);
	fields_free(&found);
	return r;
}

int leash_rules_allow(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	struct suggestion suggestion = {.count = 0};
	CLEANUP_FREE char *what = NULL;
	bool allows = !strcmp(argv[0], "allow");
	char **words;
	int r = (allows ? parse_allow : parse_deny)(argc, argv, &options,
						    &words);

	if (r >= 0)
		return r;
	if (options.last)
		return allow_last(&options);
	what = strdup(words[1]);
	if (!what)
		return EXIT_ERROR;
	suggestion_add(&suggestion, argv[0], words[0]);
	suggestion_add(&suggestion, words[1], NULL);
	put_common(&request, "add", &options);
	r = put_what(&request, words[0], what, allows, &options);
	if (!r)
		r = put_until(&request, options.lasts);
	if (!r)
		r = edit(&request, &options, &suggestion);
	fields_free(&request);
	return r;
}

int leash_rules_undo(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	struct suggestion suggestion = {.count = 0};
	char **words;
	int r = parse_undo(argc, argv, &options, &words);

	if (r >= 0)
		return r;
	if (words[0] &&
	    (!words[0][0] || words[0][strspn(words[0], "0123456789")]))
		return options_wrong("leash undo",
				     "CHANGE is a number, not \"%s\"",
				     words[0]);
	suggestion_add(&suggestion, "undo", words[0]);
	put_common(&request, "undo", &options);
	if (words[0])
		fields_put(&request, "change", words[0]);
	r = edit(&request, &options, &suggestion);
	fields_free(&request);
	return r;
}

int leash_rules_mode(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	struct suggestion suggestion = {.count = 0};
	char **words;
	int r = parse_mode(argc, argv, &options, &words);

	if (r >= 0)
		return r;
	if (strcmp(words[0], "observe") && strcmp(words[0], "enforce"))
		return options_wrong("leash mode",
				     "it is observe or enforce, not \"%s\"",
				     words[0]);
	put_common(&request, "mode", &options);
	fields_put(&request, "mode", words[0]);
	suggestion_add(&suggestion, "mode", words[0]);
	r = edit(&request, &options, &suggestion);
	if (!r && !strcmp(words[0], "observe") && !options.dry_run &&
	    !options.json)
		puts("OBSERVE MODE: nothing is refused until leash mode "
		     "enforce");
	fields_free(&request);
	return r;
}

int leash_rules_reload(int argc, char **argv)
{
	struct options options = {.dry_run = false};
	struct fields request = {NULL, 0, 0, false};
	int r = parse_reload(argc, argv, &options);

	if (r >= 0)
		return r;
	return edit_ask(CONTROL_ASK_RELOAD, &request,
			&(struct edit_options){.json = options.json});
}
