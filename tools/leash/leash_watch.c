/*
 * leash watch - the verdicts as they happen
 *
 * With --json each is one line, as leash-query writes it.  For people, ten a
 * second are shown one by one; ten thousand are folded into one line for each
 * different one, refusals first, and what does not fit is counted.
 */

#include "tools/leash/leash_watch.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/vocabulary.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/leash/log/open_log.h"
#include "tools/leash/log/watch_top.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"
#include "tools/lib/query_filter.h"
#include "tools/lib/query_output.h"

#define LOOK_MS	    250
#define BATCH_ROWS  20000
#define LINES_EACH  20 /* of a look: refusals, and others */
#define FOLDS_MAX   4096
#define FOLDS_PROBE 8

/* Columns of the view `verdicts`. */
enum column {
	COLUMN_SEQ = 0,
	COLUMN_TIME = 1,
	COLUMN_KIND = 5,
	COLUMN_ACCESS = 6,
	COLUMN_VERDICT = 7,
	COLUMN_ACCOUNT = 8,
	COLUMN_RULE = 13,
	COLUMN_REASON = 14,
	COLUMN_NOTE = 15,
	COLUMN_PROGRAM = 16,
	COLUMN_TARGET = 18,
	COLUMN_HOST = 19,
};

/* One line, and how often it came in this look. */
struct fold {
	char *line; /* owned; NULL: a free place */
	uint64_t times;
	bool refused;
};

struct watch {
	sqlite3 *log;
	struct query_filter filter;
	int64_t last; /* seq */
	bool colour;
	struct query_output *json; /* NULL: lines for people */
	struct fold folds[FOLDS_MAX];
	struct fold *order[FOLDS_MAX]; /* as they came */
	size_t count;
	uint64_t unfolded; /* rows that found no place */
};

static const char *cell(sqlite3_stmt *row, enum column column)
{
	const char *text = (const char *)sqlite3_column_text(row, (int)column);

	return text ? terminal_shown(text) : "";
}

static char *line_of(sqlite3_stmt *row, bool colour)
{
	const char *verdict = cell(row, COLUMN_VERDICT);
	bool denied = !strcmp(verdict, "deny");
	bool observed = !strcmp(verdict, "observe");
	bool daemon = !strcmp(cell(row, COLUMN_KIND), "daemon");
	const char *paint = !colour    ? ""
			    : denied   ? "\033[31m"
			    : observed ? "\033[33m"
				       : "";
	char head[128], *line = NULL;
	const char *target;

	if (daemon) {
		if (asprintf(&line, "Leash: %s", cell(row, COLUMN_NOTE)) < 0)
			return NULL;
		return line;
	}
	snprintf(head, sizeof(head), "%-7s %s %s",
		 observed ? "OBSERVE" : verdict, cell(row, COLUMN_ACCOUNT),
		 cell(row, COLUMN_KIND));
	target = cell(row, COLUMN_TARGET);
	if (!*target)
		target = cell(row, COLUMN_HOST);
	if (asprintf(&line, "%s%s%s%s %s%s%s%s%s%s", paint, head,
		     strcmp(cell(row, COLUMN_ACCESS), "write") ? ""
							       : " (write)",
		     "", target, *paint ? "\033[0m" : "",
		     denied || observed ? ": " : "",
		     denied || observed ? cell(row, COLUMN_REASON) : "",
		     sqlite3_column_bytes(row, COLUMN_RULE) ? ", " : "",
		     cell(row, COLUMN_RULE)) < 0)
		return NULL;
	return line;
}

static size_t hash(const char *text)
{
	size_t h = 5381;

	while (*text)
		h = h * 33 + (unsigned char)*text++;
	return h;
}

/* Count a line, taking it over. */
static void fold(struct watch *watch, char *line, bool refused)
{
	size_t at = hash(line);

	for (size_t i = 0; i < FOLDS_PROBE; i++) {
		struct fold *place = &watch->folds[(at + i) % FOLDS_MAX];

		if (place->line && strcmp(place->line, line))
			continue;
		if (place->line) {
			free(line);
		} else {
			*place = (struct fold){line, 0, refused};
			watch->order[watch->count++] = place;
		}
		place->times++;
		return;
	}
	free(line);
	watch->unfolded++;
}

static void print_folds(struct watch *watch, bool refused, const char *clock)
{
	uint64_t left = 0;
	size_t shown = 0, kinds = 0;

	for (size_t i = 0; i < watch->count; i++) {
		const struct fold *fold = watch->order[i];

		if (fold->refused != refused)
			continue;
		if (shown++ >= LINES_EACH) {
			left += fold->times;
			kinds++;
			continue;
		}
		printf("%s %s", clock, fold->line);
		if (fold->times > 1)
			printf("  x%llu", (unsigned long long)fold->times);
		putchar('\n');
	}
	if (left)
		printf("%s   and %llu more %s, of %zu kinds\n", clock,
		       (unsigned long long)left,
		       refused ? "refusals" : "others", kinds);
}

static void print_look(struct watch *watch, const char *clock)
{
	print_folds(watch, true, clock);
	print_folds(watch, false, clock);
	if (watch->unfolded)
		printf("%s   and %llu more, too many to tell apart\n", clock,
		       (unsigned long long)watch->unfolded);
	for (size_t i = 0; i < watch->count; i++) {
		free(watch->order[i]->line);
		watch->order[i]->line = NULL;
	}
	watch->count = 0;
	watch->unfolded = 0;
	fflush(stdout);
}

static void take_row(struct watch *watch, sqlite3_stmt *row)
{
	const char *verdict = cell(row, COLUMN_VERDICT);
	bool refused = !strcmp(verdict, "deny") || !strcmp(verdict, "observe");
	char *line = line_of(row, watch->colour);

	if (line)
		fold(watch, line, refused);
}

/* What is new since the last look. */
static int look(struct watch *watch)
{
	struct query query;
	sqlite3_stmt *row = NULL;
	const char *wrong;
	char clock[16] = "";
	int code;

	if (query_build(&watch->filter, watch->last, clock_realtime_ns(),
			&query, &wrong)) {
		complaint_print("\"%s\" is no time", wrong);
		return EXIT_ERROR;
	}
	code = sqlite3_prepare_v2(watch->log, query.sql, -1, &row, NULL);
	if (!code)
		query_bind(&query, row);
	while (!code && sqlite3_step(row) == SQLITE_ROW) {
		watch->last = sqlite3_column_int64(row, COLUMN_SEQ);
		snprintf(clock, sizeof(clock), "%.8s",
			 cell(row, COLUMN_TIME) + strlen("2026-11-20T"));
		if (!watch->json)
			take_row(watch, row);
		else if (query_output_row(watch->json, row))
			break;
	}
	code = sqlite3_finalize(row);
	if (code && code != SQLITE_BUSY) {
		complaint_print("%s", sqlite3_errmsg(watch->log));
		return EXIT_ERROR;
	}
	print_look(watch, clock);
	return EXIT_DONE;
}

/* From now on: what was before is leash-query's. */
static void skip_old(struct watch *watch)
{
	sqlite3_stmt *row = NULL;

	if (!sqlite3_prepare_v2(watch->log, "SELECT max(seq) FROM log", -1,
				&row, NULL) &&
	    sqlite3_step(row) == SQLITE_ROW)
		watch->last = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
}

static int parse(int argc, char **argv, struct query_filter *ret, bool *ret_top,
		 bool *ret_json)
{
	char kinds[QUERY_KINDS_SIZE] = "";
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{"denied", 0, NULL, "what was refused, or would have been",
		 .flag = &ret->denied},
		{LEASH_JSON, .flag = ret_json},
		{"kind", 0, "KIND", kinds, .text = &ret->kind},
		{"path", 0, "GLOB", "whose target matches", .text = &ret->path},
		{"program", 0, "GLOB", "done by this program",
		 .text = &ret->program},
		{"top", 0, NULL, "a screen of the most, renewed every second",
		 .flag = ret_top},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash watch",
		.synopsis = "[OPTION...]",
		.rows = rows,
	};
	int r;

	query_list_kinds(kinds);
	r = options_read(&command, argc, argv, NULL);
	if (r >= 0)
		return r;
	if (ret->kind && !policy_kind_read(ret->kind))
		return options_wrong(command.name, "--kind is %s, not \"%s\"",
				     kinds, ret->kind);
	if (*ret_top && *ret_json)
		return options_wrong(command.name, "--top has no --json");
	return r;
}

/* Say at the start whether anything is held at all. */
static void say_mode(void)
{
	struct fields request = {NULL, 0, 0, false};
	struct control_client_reply reply;
	const char *mode;

	if (control_client_ask(CONTROL_ASK_STATUS, &request, &reply))
		return;
	mode = fields_get(&reply.fields, "mode");
	if (mode && !strcmp(mode, "observe"))
		puts("OBSERVE MODE: nothing is refused");
	control_client_free(&reply);
}

int leash_watch(int argc, char **argv)
{
	static struct watch watch = {.filter = {.limit = BATCH_ROWS}};
	bool top = false, json = false;
	int r = parse(argc, argv, &watch.filter, &top, &json);

	if (r >= 0)
		return r;
	r = open_log(&watch.log);
	if (r)
		return r;
	watch.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (json &&
	    query_output_new(query_format_find("json"),
			     &(struct query_output_options){.out = stdout},
			     &watch.json))
		r = EXIT_ERROR;
	if (top) {
		r = watch_top(watch.log);
	} else {
		if (!json)
			say_mode();
		skip_old(&watch);
		while (!r && !ferror(stdout)) {
			r = look(&watch);
			poll(NULL, 0, LOOK_MS);
		}
	}
	query_output_free(watch.json);
	sqlite3_close(watch.log);
	return r;
}
