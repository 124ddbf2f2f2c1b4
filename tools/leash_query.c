/*
 * leash-query - browse the verdict log; see leash-query(1)
 */

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "tools/query_filter.h"
#include "tools/query_names.h"
#include "tools/query_output.h"
#include "tools/verdict_log.h"

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

static void print_usage(FILE *out)
{
	fputs("Usage: leash-query [FILTER...] [--limit N] [--follow]\n"
	      "       leash-query --sql \"SELECT ...\"\n"
	      "\n"
	      "Without a filter: the last 20 verdicts.  Filters combine:\n"
	      "  --denied            what was refused, or would have been\n"
	      "  --account NAME      of this account\n"
	      "  --kind KIND         open, list, exec, connect, accept,\n"
	      "                      resolve, call, result or daemon\n"
	      "  --path GLOB         whose target matches, '/srv/*'\n"
	      "  --program GLOB      done by this program\n"
	      "  --rule GLOB         decided by this rule\n"
	      "  --pid PID           done by this process\n"
	      "  --since TIME        90s, 15m, 2h, 7d ago, or 2026-11-20\n"
	      "  --until TIME        the same\n"
	      "\n"
	      "  --follow            go on with what happens from now on\n"
	      "  --limit N           the last N; 0: all\n"
	      "  --format FORMAT     table, json (one object a line) or csv\n"
	      "  --sql QUERY         on the views verdicts, denials, files,\n"
	      "                      programs, hosts; read-only; ptr(host) "
	      "asks\n"
	      "                      the resolver who an address is\n"
	      "  --seconds N         how long that may take, by default 30\n"
	      "  --database FILE     default " VERDICT_LOG_DEFAULT "\n"
	      "  --version, --help\n",
	      out);
}

static int parse_number(const char *text, const char *option, long long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || end == text || *end || *ret < 0) {
		fprintf(stderr, "leash-query: %s takes a number, not \"%s\"\n",
			option, text);
		return EXIT_ERROR;
	}
	return -1;
}

static int take_option(int option, struct options *options)
{
	switch (option) {
	case 'd':
		options->filter.denied = true;
		break;
	case 'a':
		options->filter.account = optarg;
		break;
	case 'k':
		options->filter.kind = optarg;
		break;
	case 'p':
		options->filter.path = optarg;
		break;
	case 'P':
		options->filter.program = optarg;
		break;
	case 'r':
		options->filter.rule = optarg;
		break;
	case 'i':
		return parse_number(optarg, "--pid", &options->filter.pid);
	case 's':
		options->filter.since = optarg;
		break;
	case 'u':
		options->filter.until = optarg;
		break;
	case 'F':
		options->follow = true;
		break;
	case 'l':
		return parse_number(optarg, "--limit", &options->filter.limit);
	case 'o':
		options->format = query_format_find(optarg);
		if (options->format)
			break;
		complain("--format is table, json or csv, not", optarg);
		return EXIT_ERROR;
	case 'q':
		options->sql = optarg;
		break;
	case 'S':
		return parse_number(optarg, "--seconds", &options->seconds);
	case 'D':
		options->database = optarg;
		break;
	case 'v':
		puts("leash-query " LEASH_VERSION);
		return EXIT_DONE;
	case 'h':
		print_usage(stdout);
		return EXIT_DONE;
	default:
		print_usage(stderr);
		return EXIT_ERROR;
	}
	return -1;
}

static bool is_kind(const char *word)
{
	static const char *const kinds[] = {"open",    "list",	 "exec",
					    "connect", "accept", "resolve",
					    "call",    "result", "daemon"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(word, kinds[i]))
			return true;
	return false;
}

/* Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"denied", no_argument, NULL, 'd'},
		{"account", required_argument, NULL, 'a'},
		{"kind", required_argument, NULL, 'k'},
		{"path", required_argument, NULL, 'p'},
		{"program", required_argument, NULL, 'P'},
		{"rule", required_argument, NULL, 'r'},
		{"pid", required_argument, NULL, 'i'},
		{"since", required_argument, NULL, 's'},
		{"until", required_argument, NULL, 'u'},
		{"follow", no_argument, NULL, 'F'},
		{"limit", required_argument, NULL, 'l'},
		{"format", required_argument, NULL, 'o'},
		{"sql", required_argument, NULL, 'q'},
		{"seconds", required_argument, NULL, 'S'},
		{"database", required_argument, NULL, 'D'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, r = -1;

	while (r < 0 &&
	       (option = getopt_long(argc, argv, "", names, NULL)) >= 0)
		r = take_option(option, options);
	if (r >= 0)
		return r;
	if (optind < argc) {
		complain("does not take", argv[optind]);
		return EXIT_ERROR;
	}
	if (options->filter.kind && !is_kind(options->filter.kind)) {
		complain("--kind is open, list, exec, connect, accept, "
			 "resolve, call, result or daemon, not",
			 options->filter.kind);
		return EXIT_ERROR;
	}
	if (options->seconds < 1 || options->seconds > SQL_SECONDS_MAX) {
		complain("--seconds is 1 to 86400", NULL);
		return EXIT_ERROR;
	}
	if (!options->filter.limit)
		options->filter.limit = LIMIT_ALL;
	return -1;
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
		.format = query_format_find("table"),
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
