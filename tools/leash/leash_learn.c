/*
 * leash learn - from what was observed to the smallest sensible rules
 *
 * Only what no rule spoke about is learned; what a rule denies stays denied.
 * Secrets are never learned, whoever read them.
 */

#include "tools/leash/leash_learn.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/host_name.h"
#include "gatekeeper/policy/vocabulary.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/edit.h"
#include "tools/leash/dialog/json_output.h"
#include "tools/leash/dialog/only_account.h"
#include "tools/leash/dialog/suggestion.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/leash/log/learn_hosts.h"
#include "tools/leash/log/learn_paths.h"
#include "tools/leash/log/open_log.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"
#include "tools/lib/explain_client.h"
#include "tools/lib/narrow.h"
#include "tools/lib/query_filter.h"

#define RULES_MAX     25 /* joined until there are no more than that */
#define ENTRIES_FIRST 8	 /* so many different entries make a folder, */
#define ENTRIES_LAST  2	 /* at first and at last */
#define SECRETS_MAX   16 /* kept closed below a folder, if fewer */

enum column {
	COLUMN_KIND,
	COLUMN_ACCESS,
	COLUMN_TARGET,
	COLUMN_HOST,
	COLUMN_PORT,
	COLUMN_PROTOCOL,
	COLUMN_REASON,
	COLUMN_USES,
};

static const char sql[] =
	"SELECT kind, access, target, host, port, protocol, reason,"
	" count(*) FROM verdicts WHERE account = ?1 AND time_ns > ?2"
	" AND (verdict = 'observe' OR (?3 AND verdict = 'deny'))"
	" AND kind IN ('open', 'list', 'exec', 'connect', 'resolve')"
	" GROUP BY kind, access, target, host, port, protocol, reason";

struct options {
	const char *account;
	const char *since;
	bool apply;
	bool json;
	bool refused;
};

struct learned {
	struct learn_paths *reads, *writes, *programs;
	struct learn_hosts hosts, asked; /* reached; only asked for */
	struct fields request;
	struct fields found; /* as --json has it: rule, not */
	const char *account;
	const char *section; /* of what is being put */
	bool out_of_memory;
	uint64_t rules;
};

static const char *column(sqlite3_stmt *row, enum column column)
{
	const char *text = (const char *)sqlite3_column_text(row, (int)column);

	return text ? text : "";
}

static bool is_learnable(const char *reason)
{
	static const uint32_t reasons[] = {
		POLICY_REASON_DEFAULT,	   POLICY_REASON_READ_ONLY,
		POLICY_REASON_ELSEWHERE,   POLICY_REASON_UNSAID,
		POLICY_REASON_INTERPRETER,
	};
	uint32_t number = policy_reason_read(reason);

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i] == number)
			return true;
	return false;
}

static int take_host(struct learned *learned, sqlite3_stmt *row, uint64_t uses)
{
	const char *host = column(row, COLUMN_HOST);
	bool asked = !strcmp(column(row, COLUMN_KIND), "resolve");
	char name[HOST_NAME_SIZE];
	struct policy_address address;

	if (!*host)
		return 0;
	/* Neither is what might be read as a pattern or a network. */
	if (!address_read(host, &address)) {
		if (host_name_read(host, strlen(host), name)) {
			fields_format(&learned->found, "not",
				      "%s: no rule can name it", host);
			return 0;
		}
		host = name;
	}
	return learn_hosts_add(
		asked ? &learned->asked : &learned->hosts, host,
		column(row, COLUMN_PROTOCOL),
		asked ? 0 : (unsigned int)sqlite3_column_int(row, COLUMN_PORT),
		uses);
}

static int take(struct learned *learned, sqlite3_stmt *row)
{
	const char *kind = column(row, COLUMN_KIND);
	const char *target = column(row, COLUMN_TARGET);
	const char *reason = column(row, COLUMN_REASON);
	uint64_t uses = (uint64_t)sqlite3_column_int64(row, COLUMN_USES);
	bool writes = !strcmp(column(row, COLUMN_ACCESS), "write");
	int r;

	if (!is_learnable(reason)) {
		fields_format(&learned->found, "not", "%s: %s",
			      *target ? target : column(row, COLUMN_HOST),
			      reason);
		return 0;
	}
	if (!strcmp(kind, "connect") || !strcmp(kind, "resolve"))
		return take_host(learned, row, uses);
	if (narrow_is_secret(target)) {
		fields_format(&learned->found, "not", "%s: it may hold secrets",
			      target);
		return 0;
	}
	if (target[0] != '/') {
		fields_format(&learned->found, "not", "%s: no rule can name it",
			      target);
		return 0;
	}
	r = learn_paths_add(!strcmp(kind, "exec") ? learned->programs
			    : writes		  ? learned->writes
						  : learned->reads,
			    target, !strcmp(kind, "list"), uses);
	if (r <= 0)
		return r;
	fields_format(&learned->found, "not",
		      r == LEARN_PATHS_SHARED
			      ? "%s: a rule for it would open all below"
			      : "%s: a rule for it would open the secrets "
				"below",
		      target);
	return 0;
}

static int read_log(struct learned *learned, sqlite3 *log,
		    const struct options *options)
{
	sqlite3_stmt *row = NULL;
	int64_t since_ns = 0;
	int code, r = 0;

	if (options->since &&
	    query_parse_time(options->since, clock_realtime_ns(), &since_ns)) {
		complaint_print("\"%s\" is no time; write 90s, 15m, 2h, 7d or "
				"2026-11-20T14:30",
				options->since);
		return EXIT_ERROR;
	}
	code = sqlite3_prepare_v2(log, sql, -1, &row, NULL);
	if (!code) {
		sqlite3_bind_text(row, 1, options->account, -1, SQLITE_STATIC);
		sqlite3_bind_int64(row, 2, since_ns);
		sqlite3_bind_int(row, 3, options->refused);
		while (!r && sqlite3_step(row) == SQLITE_ROW)
			r = take(learned, row);
		code = sqlite3_finalize(row);
	}
	if (!code && !r)
		return EXIT_DONE;
	complaint_print("%s", code ? sqlite3_errmsg(log) : strerror(-r));
	return EXIT_ERROR;
}

/* Too many secrets to keep each of them closed. */
static bool keeps_secrets(const char *path)
{
	return narrow_secrets_below(path, SECRETS_MAX, NULL, NULL) ==
	       SECRETS_MAX;
}

static void join(struct learned *learned)
{
	size_t rules;

	for (size_t entries = ENTRIES_FIRST; entries >= ENTRIES_LAST;
	     entries--) {
		rules = learn_paths_join(learned->reads, entries) +
			learn_paths_join(learned->writes, entries);
		if (rules <= RULES_MAX)
			break;
	}
	/* Different programs in one folder are different programs. */
	learn_paths_join(learned->programs, ENTRIES_FIRST);
	learn_hosts_join(&learned->hosts);
}

static void put_rule(struct learned *learned, const char *what, uint64_t uses)
{
	fields_put(&learned->request, "rule", learned->section);
	fields_put(&learned->request, "what", what);
	fields_format(&learned->request, "reason",
		      "learned, used %" PRIu64 " times", uses);
	learned->rules++;
}

static void put_found(struct learned *learned, const char *what, uint64_t uses)
{
	fields_format(&learned->found, "rule", "%s %" PRIu64 " %s",
		      learned->section, uses, what);
}

/* Does a rule allow it already?  Then it stands, secret or not. */
static bool is_allowed(const struct learned *learned, const char *path)
{
	struct fields request = {NULL, 0, 0, false};
	struct fields reply;
	bool allowed;

	fields_put(&request, "kind", "open");
	fields_put(&request, "path", path);
	fields_put(&request, "account", learned->account);
	allowed = !explain_client_ask(&request, &reply) &&
		  !strcmp(fields_get(&reply, "verdict"), "allow");
	fields_free(&reply);
	fields_free(&request);
	return allowed;
}

/* What a folder that is learned must not open with it. */
static void put_secret(const char *path, void *context)
{
	struct learned *learned = context;
	CLEANUP_FREE char *literal = NULL;

	if (is_allowed(learned, path))
		return;
	literal = narrow_literal(path);
	if (!literal) {
		learned->out_of_memory = true;
		return;
	}
	fields_put(&learned->request, "rule", "file.deny");
	fields_put(&learned->request, "what", literal);
	fields_put(&learned->request, "reason", "it may hold secrets");
	fields_format(&learned->found, "not",
		      "%s: it may hold secrets, and stays closed", path);
}

static void put_path(const struct learn_path *path, void *context)
{
	struct learned *learned = context;
	CLEANUP_FREE char *literal = narrow_literal(path->path);

	if (!literal) {
		learned->out_of_memory = true;
		return;
	}
	put_rule(learned, literal, path->uses);
	put_found(learned, path->path, path->uses);
	if (strcmp(learned->section, "program.allow") != 0)
		narrow_secrets_below(path->path, SECRETS_MAX, put_secret,
				     learned);
}

struct cover {
	const char *path;
	bool covered;
};

static void look_for_cover(const struct learn_path *path, void *context)
{
	struct cover *cover = context;
	size_t length = strlen(path->path);

	if (!strncmp(cover->path, path->path, length) &&
	    (cover->path[length] == '\0' ||
	     (path->folder && cover->path[length] == '/')))
		cover->covered = true;
}

/* What may be written may be read. */
static void put_read(const struct learn_path *path, void *context)
{
	struct learned *learned = context;
	struct cover cover = {path->path, false};

	learn_paths_visit(learned->writes, look_for_cover, &cover);
	if (!cover.covered)
		put_path(path, context);
}

static bool was_reached(const struct learned *learned, const char *name)
{
	const char *parent = strchr(name, '.');

	for (size_t i = 0; i < learned->hosts.count; i++) {
		const char *host = learned->hosts.hosts[i].host;

		if (!strcmp(host, name) ||
		    (host[0] == '*' && parent && !strcmp(host + 1, parent)))
			return true;
	}
	return false;
}

static void put_hosts(struct learned *learned)
{
	learned->section = "host.allow";
	for (size_t i = 0; i < learned->hosts.count; i++) {
		const struct learn_host *host = &learned->hosts.hosts[i];
		char shown[512];

		put_rule(learned, host->host, host->uses);
		if (host->port)
			fields_format(&learned->request, "ports", "%u",
				      host->port);
		if (host->protocol[0])
			fields_put(&learned->request, "protocol",
				   host->protocol);
		snprintf(shown, sizeof(shown), host->port ? "%s:%u" : "%s",
			 host->host, host->port);
		put_found(learned, shown, host->uses);
	}
	for (size_t i = 0; i < learned->asked.count; i++)
		if (!was_reached(learned, learned->asked.hosts[i].host))
			fields_format(&learned->found, "not",
				      "%s: asked for, and not reached",
				      learned->asked.hosts[i].host);
}

static void put_all(struct learned *learned, const struct options *options)
{
	fields_put(&learned->request, "do", "add");
	fields_put(&learned->request, "account", options->account);
	fields_put(&learned->request, "why", "leash learn");
	if (!options->apply)
		fields_put(&learned->request, "dry", "1");
	learned->section = "file.write";
	learn_paths_visit(learned->writes, put_path, learned);
	learned->section = "file.read";
	learn_paths_visit(learned->reads, put_read, learned);
	learned->section = "program.allow";
	learn_paths_visit(learned->programs, put_path, learned);
	put_hosts(learned);
}

static void print_left_out(const struct learned *learned)
{
	struct fields_cursor cursor = {0};

	while (fields_next(&learned->found, &cursor))
		if (fields_is(&cursor, "not"))
			printf("# not learned: %s\n",
			       terminal_shown(cursor.value));
}

static void say_how(const struct options *options)
{
	struct suggestion suggestion = {.count = 0};

	suggestion_add(&suggestion, "learn", "--account");
	suggestion_add(&suggestion, options->account, NULL);
	if (options->since)
		suggestion_add(&suggestion, "--since", options->since);
	if (options->refused)
		suggestion_add(&suggestion, "--refused", NULL);
	suggestion_add(&suggestion, "--apply", NULL);
	suggestion_print(&suggestion);
}

static int work(struct learned *learned, const struct options *options)
{
	static const struct json_list lists[] = {
		{"rule", {"section", "uses", "what"}},
		{"not", {NULL}},
		{.key = NULL},
	};
	static const char *const numbers[] = {"uses", NULL};
	sqlite3 *log;
	int r = open_log(&log);

	if (r)
		return r;
	r = read_log(learned, log, options);
	sqlite3_close(log);
	if (r)
		return r;
	join(learned);
	put_all(learned, options);
	if (learned->out_of_memory) {
		complaint_print("%s", strerror(ENOMEM));
		return EXIT_ERROR;
	}
	if (!options->json)
		print_left_out(learned);
	if (!learned->rules) {
		if (options->json)
			json_output_print(&learned->found, lists, numbers);
		else
			puts("# nothing to learn: no rule was missing");
		return EXIT_NO;
	}
	if (!options->json)
		printf("# %" PRIu64 " rule(s)\n", learned->rules);
	r = edit_ask(CONTROL_ASK_EDIT, &learned->request,
		     &(struct edit_options){
			     .dry_run = !options->apply,
			     .json = options->json,
			     .found = &learned->found,
			     .lists = lists,
		     });
	if (!r && !options->apply && !options->json)
		say_how(options);
	return r;
}

static int parse(int argc, char **argv, struct options *ret)
{
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{"apply", 0, NULL, "add the rules", .flag = &ret->apply},
		{LEASH_JSON, .flag = &ret->json},
		{"refused", 0, NULL, "from what was refused, too",
		 .flag = &ret->refused},
		{"since", 0, "TIME", "90s, 15m, 2h, 7d ago, or 2026-11-20",
		 .text = &ret->since},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash learn",
		.synopsis = "[OPTION...]",
		.rows = rows,
	};

	return options_read(&command, argc, argv, NULL);
}

int leash_learn(int argc, char **argv)
{
	struct options options = {.account = NULL};
	struct learned learned = {.rules = 0};
	char account[256];
	const struct passwd *passwd;
	int r = parse(argc, argv, &options);

	if (r >= 0)
		return r;
	r = EXIT_DONE;
	if (!options.account) {
		r = only_account(account, sizeof(account));
		options.account = account;
	}
	if (r)
		return r;
	learned.account = options.account;
	passwd = getpwnam(options.account);
	if (learn_paths_new(passwd ? passwd->pw_dir : NULL, keeps_secrets,
			    &learned.reads) ||
	    learn_paths_new(passwd ? passwd->pw_dir : NULL, keeps_secrets,
			    &learned.writes) ||
	    learn_paths_new(passwd ? passwd->pw_dir : NULL, NULL,
			    &learned.programs))
		r = EXIT_ERROR;
	if (!r)
		r = work(&learned, &options);
	learn_paths_free(learned.reads);
	learn_paths_free(learned.writes);
	learn_paths_free(learned.programs);
	learn_hosts_free(&learned.hosts);
	learn_hosts_free(&learned.asked);
	fields_free(&learned.request);
	fields_free(&learned.found);
	return r;
}
