#pragma once

/*
 * query_output - rows of an SQLite statement as a table, JSON or CSV
 *
 * The table is for people: times are short, the columns fit the terminal, a
 * cell too long is cut in its middle, what could speak to a terminal is
 * escaped.  JSON (one object a line) and CSV are for programs and complete.
 */

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

#include "gatekeeper/base/cleanup.h"

struct query_output;

struct query_output_options {
	FILE *out;
	int width; /* of the terminal; 0: as wide as it gets */
	bool colour;
	bool verdicts; /* rows are those of the view verdicts: pick columns */
};

/* One way of writing; begin is called before the first row of each query. */
struct query_format {
	const char *name;
	int (*row)(struct query_output *output, sqlite3_stmt *row);
	int (*end)(struct query_output *output);
};

/* The format of that name, or NULL. */
const struct query_format *query_format_find(const char *name);

MUST_CHECK int query_output_new(const struct query_format *format,
				const struct query_output_options *options,
				struct query_output **ret);
struct query_output *query_output_free(struct query_output *output);
DEFINE_CLEANUP(struct query_output *, query_output_free)

MUST_CHECK int query_output_row(struct query_output *output, sqlite3_stmt *row);
/* Write what waits for its width to be known. */
MUST_CHECK int query_output_end(struct query_output *output);
