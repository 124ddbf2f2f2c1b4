#include "tools/leash/log/watch_top.h"

#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/vocabulary.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/lib/complaint.h"

#define WINDOW_S       5
#define LOOK_MS	       1000
#define ROWS	       5 /* of each table */

#define HOME_AND_CLEAR "\033[H\033[J"

/* Grouped by number first, and named only then: the log may be large. */
static const struct {
	const char *title;
	const char *sql; /* ?1: since when, ?2: how many */
} tables[] = {
	{"accounts",
	 "SELECT t.text, n, refused FROM (SELECT account AS k, count(*) AS n,"
	 " sum(verdict <> 1) AS refused FROM log WHERE time > ?1 GROUP BY k"
	 " ORDER BY n DESC LIMIT ?2) JOIN texts t ON t.id = k"},
	{"files",
	 "SELECT t.text, n, refused FROM (SELECT target AS k, count(*) AS n,"
	 " sum(verdict <> 1) AS refused FROM log WHERE time > ?1"
	 " AND kind IN (1, 2) GROUP BY k ORDER BY refused DESC, n DESC"
	 " LIMIT ?2) JOIN texts t ON t.id = k"},
	{"programs",
	 "SELECT t.text, n, refused FROM (SELECT program AS k, count(*) AS n,"
	 " sum(verdict <> 1) AS refused FROM log WHERE time > ?1"
	 " AND kind <> 4 GROUP BY k ORDER BY n DESC LIMIT ?2)"
	 " JOIN texts t ON t.id = k"},
	{"hosts",
	 "SELECT host, count(*) AS n, sum(verdict <> 1) AS refused FROM log"
	 " WHERE time > ?1 AND kind IN (5, 6, 7) GROUP BY host"
	 " ORDER BY refused DESC, n DESC LIMIT ?2"},
	{"tools",
	 "SELECT t.text, n, refused FROM (SELECT target AS k, count(*) AS n,"
	 " sum(verdict <> 1) AS refused FROM log WHERE time > ?1"
	 " AND kind IN (8, 9) GROUP BY k ORDER BY refused DESC, n DESC"
	 " LIMIT ?2) JOIN texts t ON t.id = k"},
};

_Static_assert(POLICY_KIND_OPEN == 1 && POLICY_KIND_LIST == 2 &&
		       POLICY_KIND_DAEMON == 4 && POLICY_KIND_CONNECT == 5 &&
		       POLICY_KIND_RESOLVE == 7 && POLICY_KIND_CALL == 8 &&
		       POLICY_KIND_RESULT == 9 && POLICY_ALLOW == 1,
	       "the queries above have these numbers in them");

static int width(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col
		       ? size.ws_col
		       : 80;
}

static int print_table(sqlite3 *log, size_t index, int64_t since_ns)
{
	sqlite3_stmt *row = NULL;
	int room = width() - 24;
	int code = sqlite3_prepare_v2(log, tables[index].sql, -1, &row, NULL);

	if (code)
		return code;
	printf("%-*.*s %10s %10s\n", room, room, tables[index].title,
	       "a second", "refused");
	sqlite3_bind_int64(row, 1, since_ns);
	sqlite3_bind_int(row, 2, ROWS);
	while (sqlite3_step(row) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(row, 0);
		const char *shown = terminal_shown(text ? text : "?");
		int length = (int)strlen(shown);

		/* The end of a path says more than its beginning. */
		printf("%-*s %10.1f %10.1f\n", room,
		       length > room ? shown + length - room : shown,
		       (double)sqlite3_column_int64(row, 1) / WINDOW_S,
		       (double)sqlite3_column_int64(row, 2) / WINDOW_S);
	}
	putchar('\n');
	return sqlite3_finalize(row);
}

int watch_top(sqlite3 *log)
{
	while (!ferror(stdout)) {
		int64_t since_ns =
			clock_realtime_ns() - WINDOW_S * CLOCK_NS_PER_S;
		int code = 0;

		printf(HOME_AND_CLEAR "Leash, the last %d seconds\n\n",
		       WINDOW_S);
		for (size_t i = 0;
		     !code && i < sizeof(tables) / sizeof(tables[0]); i++)
			code = print_table(log, i, since_ns);
		if (code && code != SQLITE_BUSY) {
			complaint_print("%s", sqlite3_errmsg(log));
			return EXIT_ERROR;
		}
		fflush(stdout);
		poll(NULL, 0, LOOK_MS);
	}
	return EXIT_DONE;
}
