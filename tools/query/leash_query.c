/*
 * leash-query - browse the verdict log; see leash-query(1)
 */

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/options.h"
#include "gatekeeper/policy/vocabulary.h"
#include "tools/lib/query_filter.h"
#include "tools/query/query_names.h"
#include "tools/lib/query_output.h"
#include "tools/lib/verdict_log.h"

#define LIMIT_DEFAULT	20
#define LIMIT_ALL	INT64_MAX
#define SQL_SECONDS	30
#define SQL_SECONDS_MAX 86400
#define SQL_CHECK_STEPS 10000
#define FOLLOW_MS	200

enum exit_code {
	EXIT_DONE = 0,
	EXIT_ERROR = 2,
};

struct options {
	const char *database;
	const char *sql;
	long long seconds; /* that sql may take */
	const struct query_format *format;
	struct query_filter filter;
	bool follow;
};

static void complain(const char *what, const char *detail)
{
	fprintf(stderr, "leash-query: %s%s%s\n", what, detail ? ": " : "",
		detail ? detail : "");
}

static const char notes[] =
	"Without a filter: the last 20 verdicts.  Filters combine: --denied,\n"
	"--account, --kind, --path, --program, --rule, --pid, --since, "
	"--until.\n";

static int read_options(int argc, char **argv, struct options *ret,
			const char **ret_format, const char *kinds)
{
	struct query_filter *filter = &ret->filter;
	const struct options_row rows[] = {
		{"denied", 0, NULL, "what was refused, or would have been",
		 .flag = &filter->denied},
		{"account", 0, "NAME", "of this account",
		 .text = &filter->account},
		{"kind", 0, "KIND", kinds, .text = &filter->kind},
		{"path", 0, "GLOB", "whose target matches, '/srv/*'",
		 .text = &filter->path},
		{"program", 0, "GLOB", "done by this program",
		 .text = &filter->program},
		{"rule", 0, "GLOB", "decided by this rule",
		 .text = &filter->rule},
		{"pid", 0, "PID", "done by this process",
		 .number = &filter->pid},
		{"since", 0, "TIME", "90s, 15m, 2h, 7d ago, or 2026-11-20",
		 .text = &filter->since},
		{"until", 0, "TIME", "the same", .text = &filter->until},
		{"follow", 0, NULL, "go on with what happens from now on",
		 .flag = &ret->follow},
		{"limit", 0, "N", "the last N; 0: all",
		 .number = &filter->limit},
		{"format", 0, "FORMAT",
		 "table, json (one object a line) or csv", .text = ret_format},
		{"sql", 0, "QUERY",
		 "on the views verdicts, denials, files, programs, hosts, "
		 "tools; read-only; ptr(host) asks the resolver who an address "
		 "is",
		 .text = &ret->sql},
		{"seconds", 0, "N", "how long that may take, by default 30",
		 .number = &ret->seconds},
		{"database", 0, "FILE", "default " VERDICT_LOG_DEFAULT,
		 .text = &ret->database},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash-query",
		.version = LEASH_VERSION,
		.synopsis = "[OPTION...]",
		.notes = notes,
		.rows = rows,
	};

	return options_read(&command, argc, argv, NULL);
}

/* OPTIONS_GO_ON, or an exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
	char kinds[QUERY_KINDS_SIZE];
	const char *format = "table";
	int r;

	query_list_kinds(kinds);
	r = read_options(argc, argv, options, &format, kinds);
	if (r >= 0)
		return r;
	options->format = query_format_find(format);
	if (!options->format)
		return options_wrong("leash-query",
				     "--format is table, json or csv, not "
				     "\"%s\"",
				     format);
	if (options->filter.kind && !policy_kind_read(options->filter.kind))
		return options_wrong("leash-query", "--kind is %s, not \"%s\"",
				     kinds, options->filter.kind);
	if (options->seconds < 1 || options->seconds > SQL_SECONDS_MAX)
		return options_wrong("leash-query", "--seconds is 1 to 86400");
	if (!options->filter.limit)
		options->filter.limit = LIMIT_ALL;
	return r;
}

/* Reading the log, and nothing else: --sql is somebody's text. */
static int authorize(void *context, int action, const char *a, const char *b,
		     const char *c, const char *d)
{
	(void)context, (void)a, (void)b, (void)c, (void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int out_of_time(void *context)
{
	const int64_t *deadline_ns = context;

	return clock_monotonic_ns() > *deadline_ns;
}

static int open_database(const char *path, sqlite3 **ret)
{
	char problem[4600];

	if (verdict_log_open(path, ret, problem, sizeof(problem)) == 0)
		return EXIT_DONE;
	complain(problem, NULL);
	return EXIT_ERROR;
}

static int terminal_width(void)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");

	if (columns && atoi(columns) > 0)
		return atoi(columns);
	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col
		       ? size.ws_col
		       : 80;
}

/* Run one query and print its rows; the first column of the last is kept. */
static int print_query(sqlite3 *sqlite, const struct query *query,
		       struct query_output *output, int64_t *last)
{
	sqlite3_stmt *statement = NULL;
	const char *rest = "";
	int code, r = 0;

	code = sqlite3_prepare_v2(sqlite, query->sql, -1, &statement, &rest);
	if (!code && (!statement || rest[strspn(rest, " \t\n;")])) {
		complain("--sql takes one query", NULL);
		sqlite3_finalize(statement);
		return EXIT_ERROR;
	}
	if (!code) {
		query_bind(query, statement);
		while (!r && (code = sqlite3_step(statement)) == SQLITE_ROW) {
			r = query_output_row(output, statement);
			if (last)
				*last = sqlite3_column_int64(statement, 0);
		}
	}
	if (!r)
		r = query_output_end(output);
	if (r)
		complain("cannot write", strerror(-r));
	else if (code != SQLITE_DONE)
		complain(code == SQLITE_INTERRUPT
				 ? "the query took too long; narrow it with a "
				   "WHERE on time_ns, or give it more --seconds"
			 : code == SQLITE_AUTH ? "--sql may only read"
					       : sqlite3_errmsg(sqlite),
			 NULL);
	sqlite3_finalize(statement);
	return r || code != SQLITE_DONE ? EXIT_ERROR : EXIT_DONE;
}

static int run_sql(sqlite3 *sqlite, const struct options *options,
		   struct query_output *output)
{
	struct query query = {.value_count = 0};
	int64_t deadline_ns =
		clock_monotonic_ns() + options->seconds * CLOCK_NS_PER_S;

	if (strlen(options->sql) >= sizeof(query.sql)) {
		complain("--sql is longer than 2047 bytes", NULL);
		return EXIT_ERROR;
	}
	strcpy(query.sql, options->sql);
	if (query_names_add(sqlite)) {
		complain("cannot add ptr()", sqlite3_errmsg(sqlite));
		return EXIT_ERROR;
	}
	sqlite3_set_authorizer(sqlite, authorize, NULL);
	sqlite3_progress_handler(sqlite, SQL_CHECK_STEPS, out_of_time,
				 &deadline_ns);
	return print_query(sqlite, &query, output, NULL);
}

static int run_filter(sqlite3 *sqlite, struct options *options,
		      struct query_output *output)
{
	int64_t last = 0;
	int r;

	do {
		const char *wrong;
		struct query query;

		if (query_build(&options->filter, last, clock_realtime_ns(),
				&query, &wrong)) {
			complain("is no time; write 90s, 15m, 2h, 7d or "
				 "2026-11-20T14:30",
				 wrong);
			return EXIT_ERROR;
		}
		r = print_query(sqlite, &query, output, &last);
		if (options->follow)
			poll(NULL, 0, FOLLOW_MS);
		options->filter.limit = LIMIT_ALL; /* of what is new */
	} while (!r && options->follow && !ferror(stdout));
	return r;
}

int main(int argc, char **argv)
{
	struct options options = {
		.database = VERDICT_LOG_DEFAULT,
		.seconds = SQL_SECONDS,
		.filter = {.limit = LIMIT_DEFAULT},
	};
	CLEANUP(query_output_free) struct query_output *output = NULL;
	struct query_output_options output_options;
	sqlite3 *sqlite = NULL;
	int r;

	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	r = parse_options(argc, argv, &options);
	if (r >= 0)
		return r;
	output_options = (struct query_output_options){
		.out = stdout,
		.width = terminal_width(),
		.colour = (isatty(STDOUT_FILENO) || getenv("CLICOLOR_FORCE")) &&
			  !getenv("NO_COLOR"),
		.verdicts = !options.sql,
	};
	r = open_database(options.database, &sqlite);
	if (!r && query_output_new(options.format, &output_options, &output))
		r = EXIT_ERROR;
	if (!r)
		r = options.sql ? run_sql(sqlite, &options, output)
				: run_filter(sqlite, &options, output);
	sqlite3_close(sqlite);
	return r;
}
