#pragma once

/*
 * query_filter - from command line filters to one SQL query
 *
 * Everything a person typed is bound as a value, never put into the text.
 */

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

#define QUERY_VALUES_MAX 16
#define QUERY_KINDS_SIZE 128

struct query_filter {
	bool denied;
	const char *account;
	const char *kind;
	const char *since;
	const char *until;
	const char *path; /* these three: globs */
	const char *program;
	const char *rule;
	long long pid; /* 0: any */
	long long limit;
};

struct query_value {
	const char *text; /* NULL: number */
	int64_t number;
};

struct query {
	char sql[2048];
	struct query_value values[QUERY_VALUES_MAX];
	size_t value_count;
};

/*
 * The last filter->limit rows with seq above after, oldest first.  A time
 * that cannot be read yields -EINVAL, and *ret_wrong is that time.
 */
MUST_CHECK int query_build(const struct query_filter *filter, int64_t after,
			   int64_t now_ns, struct query *ret,
			   const char **ret_wrong);

/* All kinds of the log, for people: "open, list, ... or daemon". */
void query_list_kinds(char ret[static QUERY_KINDS_SIZE]);

/* Bind the values of a query to its statement, which must not outlive it. */
void query_bind(const struct query *query, sqlite3_stmt *statement);

/*
 * A time as people write it: "90s", "15m", "2h", "7d" ago, or a date, UTC,
 * "2026-11-20", with a time "2026-11-20T14:30" or "2026-11-20T14:30:00Z".
 */
MUST_CHECK int query_parse_time(const char *text, int64_t now_ns,
				int64_t *ret_ns);
