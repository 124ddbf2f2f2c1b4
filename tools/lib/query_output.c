#include "tools/lib/query_output.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <wchar.h>

#include "gatekeeper/base/escape.h"

#define TABLE_ROWS_HELD 1000 /* widths are found over so many rows */
#define COLUMN_MIN	5

/* Columns of the view `verdicts`, in its order (store/database.c). */
enum verdict_column {
	COLUMN_TIME = 1,
	COLUMN_KIND = 5,
	COLUMN_ACCESS = 6,
	COLUMN_VERDICT = 7,
	COLUMN_ACCOUNT = 8,
	COLUMN_PID = 11,
	COLUMN_RULE = 13,
	COLUMN_REASON = 14,
	COLUMN_NOTE = 15,
	COLUMN_PROGRAM = 16,
	COLUMN_TARGET = 18,
};

struct row {
	char **cells; /* owned texts, escaped */
	const char *colour;
};

struct query_output {
	const struct query_format *format;
	struct query_output_options options;
	int columns;
	bool headed;
	char **titles;
	int *widths;
	struct row *rows;
	size_t count;
};

static char *escaped(const void *bytes, int length)
{
	char *text = malloc(ESCAPE_ROOM((size_t)length));

	if (text)
		escape_text(text, ESCAPE_ROOM((size_t)length), bytes,
			    (size_t)length);
	return text;
}

static char *cell_text(sqlite3_stmt *row, int column)
{
	const void *bytes = sqlite3_column_blob(row, column);

	return escaped(bytes ? bytes : "", sqlite3_column_bytes(row, column));
}

/* Columns that a text takes on a terminal. */
static int width_of(const char *text)
{
	mbstate_t state = {0};
	int width = 0;

	while (*text) {
		wchar_t wide;
		size_t n = mbrtowc(&wide, text, strlen(text), &state);
		int w;

		if (n == (size_t)-1 || n == (size_t)-2)
			return width + (int)strlen(text);
		w = wcwidth(wide);
		width += w > 0 ? w : 0;
		text += n;
	}
	return width;
}

/* Print text in exactly width columns, cut in the middle where too long. */
static void print_fitted(FILE *out, const char *text, int width, bool last)
{
	int have = width_of(text);
	int head = (width - 1) / 2, tail = width - 1 - head, at = 0;
	mbstate_t state = {0};
	bool cut = have > width, marked = false;

	if (!cut) {
		fputs(text, out);
		if (!last)
			fprintf(out, "%*s", width - have, "");
		return;
	}
	while (*text) {
		wchar_t wide;
		size_t n = mbrtowc(&wide, text, strlen(text), &state);
		int w;

		if (n == (size_t)-1 || n == (size_t)-2)
			break;
		w = wcwidth(wide) > 0 ? wcwidth(wide) : 0;
		if (at + w <= head || at >= have - tail) {
			fwrite(text, 1, n, out);
		} else if (!marked) {
			fputs("~", out);
			marked = true;
		}
		at += w;
		text += n;
	}
}

static const char *colour_of(const char *verdict)
{
	if (!strcmp(verdict, "deny"))
		return "\033[31m";
	if (!strcmp(verdict, "observe"))
		return "\033[33m";
	if (!strcmp(verdict, "allow"))
		return "\033[32m";
	return "\033[36m";
}

static char *text_of(sqlite3_stmt *row, int column)
{
	char *text = cell_text(row, column);

	return text ? text : strdup("");
}

/* "why": who said so, in the fewest words. */
static char *why(sqlite3_stmt *row)
{
	CLEANUP_FREE char *rule = text_of(row, COLUMN_RULE);
	CLEANUP_FREE char *reason = text_of(row, COLUMN_REASON);
	CLEANUP_FREE char *note = text_of(row, COLUMN_NOTE);
	char *text = NULL;
	int n;

	if (!*reason)
		n = asprintf(&text, "%s", note);
	else if (!*rule)
		n = asprintf(&text, "%s", reason);
	else
		n = asprintf(&text, "%s: %s%s%s", reason, rule,
			     *note ? " - " : "", note);
	return n < 0 ? NULL : text;
}

static char *what(sqlite3_stmt *row)
{
	CLEANUP_FREE char *kind = text_of(row, COLUMN_KIND);
	CLEANUP_FREE char *access = text_of(row, COLUMN_ACCESS);
	char *text = NULL;

	if (strcmp(kind, "open") || !strcmp(access, "any"))
		return STEAL(kind);
	return asprintf(&text, "%s", access) < 0 ? NULL : text;
}

static char *short_time(sqlite3_stmt *row)
{
	const char *time = (const char *)sqlite3_column_text(row, COLUMN_TIME);

	/* 2026-11-20T14:30:00.123456Z: to the millisecond. */
	return time && strlen(time) > 23 ? strndup(time + 5, 18) : strdup("");
}

static const char *const verdict_titles[] = {"time (utc)", "verdict", "account",
					     "what",	   "target",  "program",
					     "why",	   NULL};

static void verdict_cells(sqlite3_stmt *row, char **cells)
{
	cells[0] = short_time(row);
	cells[1] = text_of(row, COLUMN_VERDICT);
	cells[2] = text_of(row, COLUMN_ACCOUNT);
	cells[3] = what(row);
	cells[4] = text_of(row, COLUMN_TARGET);
	cells[5] = text_of(row, COLUMN_PROGRAM);
	cells[6] = why(row);
}

static int begin_table(struct query_output *output, sqlite3_stmt *row)
{
	output->columns =
		output->options.verdicts ? 7 : sqlite3_column_count(row);
	output->titles = calloc((size_t)output->columns, sizeof(char *));
	output->widths = calloc((size_t)output->columns, sizeof(int));
	output->rows = calloc(TABLE_ROWS_HELD, sizeof(struct row));
	if (!output->titles || !output->widths || !output->rows)
		return -ENOMEM;
	for (int i = 0; i < output->columns; i++) {
		output->titles[i] = strdup(
			output->options.verdicts ? verdict_titles[i]
						 : sqlite3_column_name(row, i));
		if (!output->titles[i])
			return -ENOMEM;
	}
	return 0;
}

/* Take from the widest until the sum fits. */
static void fit(struct query_output *output)
{
	int room = output->options.width - 2 * (output->columns - 1);

	while (output->options.width) {
		int sum = 0, widest = 0;

		for (int i = 0; i < output->columns; i++) {
			sum += output->widths[i];
			if (output->widths[i] > output->widths[widest])
				widest = i;
		}
		if (sum <= room || output->widths[widest] <= COLUMN_MIN)
			return;
		output->widths[widest]--;
	}
}

static void print_row(struct query_output *output, char **cells,
		      const char *colour)
{
	FILE *out = output->options.out;

	if (colour && output->options.colour)
		fputs(colour, out);
	for (int i = 0; i < output->columns; i++) {
		bool last = i == output->columns - 1;

		print_fitted(out, cells[i], output->widths[i], last);
		if (!last)
			fputs("  ", out);
	}
	if (colour && output->options.colour)
		fputs("\033[0m", out);
	fputc('\n', out);
}

static int print_table(struct query_output *output)
{
	if (!output->columns)
		return 0;
	for (int i = 0; i < output->columns; i++) {
		int width = width_of(output->titles[i]);

		if (!output->headed && width > output->widths[i])
			output->widths[i] = width;
		for (size_t r = 0; r < output->count; r++) {
			width = width_of(output->rows[r].cells[i]);
			if (width > output->widths[i])
				output->widths[i] = width;
		}
	}
	fit(output);
	if (!output->headed)
		print_row(output, output->titles, "\033[1m");
	output->headed = true;
	for (size_t r = 0; r < output->count; r++) {
		struct row *row = &output->rows[r];

		print_row(output, row->cells, row->colour);
		for (int i = 0; i < output->columns; i++)
			free(row->cells[i]);
		free(row->cells);
	}
	output->count = 0;
	return 0;
}

static int table_row(struct query_output *output, sqlite3_stmt *statement)
{
	struct row *row;
	int r = output->columns ? 0 : begin_table(output, statement);

	if (r)
		return r;
	if (output->count == TABLE_ROWS_HELD)
		print_table(output);
	row = &output->rows[output->count];
	row->colour = NULL;
	row->cells = calloc((size_t)output->columns, sizeof(char *));
	if (!row->cells)
		return -ENOMEM;
	output->count++;
	if (output->options.verdicts) {
		verdict_cells(statement, row->cells);
		if (row->cells[1])
			row->colour = colour_of(row->cells[1]);
	} else {
		for (int i = 0; i < output->columns; i++)
			row->cells[i] = cell_text(statement, i);
	}
	for (int i = 0; i < output->columns; i++)
		if (!row->cells[i])
			return -ENOMEM;
	return 0;
}

static json_t *json_cell(sqlite3_stmt *row, int column)
{
	CLEANUP_FREE char *text = NULL;

	switch (sqlite3_column_type(row, column)) {
	case SQLITE_NULL:
		return json_null();
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(row, column));
	case SQLITE_FLOAT:
		return json_real(sqlite3_column_double(row, column));
	case SQLITE_BLOB: /* bytes that are no text: shown as elsewhere */
		text = cell_text(row, column);
		return text ? json_string(text) : NULL;
	default:
		return json_stringn(
			(const char *)sqlite3_column_text(row, column),
			(size_t)sqlite3_column_bytes(row, column));
	}
}

static int json_row(struct query_output *output, sqlite3_stmt *row)
{
	json_t *object = json_object();
	int failed = !object;

	for (int i = 0; !failed && i < sqlite3_column_count(row); i++)
		failed = json_object_set_new(
			object, sqlite3_column_name(row, i), json_cell(row, i));
	if (!failed)
		failed = json_dumpf(object, output->options.out,
				    JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	fputc('\n', output->options.out);
	return failed ? -ENOMEM : 0;
}

/* RFC 4180. */
static void csv_cell(FILE *out, const char *text, size_t length)
{
	bool quote = memchr(text, ',', length) || memchr(text, '"', length) ||
		     memchr(text, '\n', length) || memchr(text, '\r', length);

	if (quote)
		fputc('"', out);
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"')
			fputc('"', out);
		fputc(text[i], out);
	}
	if (quote)
		fputc('"', out);
}

static int csv_row(struct query_output *output, sqlite3_stmt *row)
{
	FILE *out = output->options.out;
	int columns = sqlite3_column_count(row);

	for (int i = 0; !output->headed && i < columns; i++) {
		const char *name = sqlite3_column_name(row, i);

		csv_cell(out, name, strlen(name));
		fputs(i < columns - 1 ? "," : "\r\n", out);
	}
	output->headed = true;
	for (int i = 0; i < columns; i++) {
		const void *bytes = sqlite3_column_blob(row, i);

		csv_cell(out, bytes ? bytes : "",
			 (size_t)sqlite3_column_bytes(row, i));
		fputs(i < columns - 1 ? "," : "\r\n", out);
	}
	return 0;
}

static int nothing_to_end(struct query_output *output)
{
	(void)output;
	return 0;
}

static const struct query_format formats[] = {
	{"table", table_row, print_table},
	{"json", json_row, nothing_to_end},
	{"csv", csv_row, nothing_to_end},
};

const struct query_format *query_format_find(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

int query_output_new(const struct query_format *format,
		     const struct query_output_options *options,
		     struct query_output **ret)
{
	struct query_output *output = calloc(1, sizeof(*output));

	if (!output)
		return -ENOMEM;
	output->format = format;
	output->options = *options;
	*ret = output;
	return 0;
}

struct query_output *query_output_free(struct query_output *output)
{
	if (!output)
		return NULL;
	for (size_t r = 0; r < output->count; r++) {
		for (int i = 0; i < output->columns; i++)
			free(output->rows[r].cells[i]);
		free(output->rows[r].cells);
	}
	for (int i = 0; output->titles && i < output->columns; i++)
		free(output->titles[i]);
	free(output->titles);
	free(output->widths);
	free(output->rows);
	free(output);
	return NULL;
}

int query_output_row(struct query_output *output, sqlite3_stmt *row)
{
	return output->format->row(output, row);
}

int query_output_end(struct query_output *output)
{
	int r = output->format->end(output);

	fflush(output->options.out);
	return r;
}
