/*
 * Not getopt_long(3): it names the program where a command is meant, takes
 * names that are cut short, which the next option makes ambiguous, and goes by
 * the environment.
 */

#include "gatekeeper/base/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 80

/* What is left of the line, while it is read. */
struct line {
	const struct options_command *command;
	const struct options_row *own; /* of every command */
	char **next;
	char **end; /* of the words, which are put where options were */
	bool words_only;
};

int options_wrong(const char *name, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see %s --help\n", name);
	return OPTIONS_WRONG;
}

/* By its name of that length, or where that is 0 by its letter. */
static const struct options_row *find(const struct options_row *rows,
				      const char *name, size_t length)
{
	for (; rows->name; rows++)
		if (length ? strlen(rows->name) == length &&
				     !memcmp(rows->name, name, length)
			   : rows->letter == *name)
			return rows;
	return NULL;
}

static const struct options_row *find_in_line(const struct line *line,
					      const char *name, size_t length)
{
	const struct options_row *row = find(line->command->rows, name, length);

	return row ? row : find(line->own, name, length);
}

static int take_number(const struct line *line, const struct options_row *row,
		       const char *argument)
{
	char *end;

	errno = 0;
	*row->number = strtoll(argument, &end, 10);
	if (errno || end == argument || *end || *row->number < 0)
		return options_wrong(line->command->name,
				     "--%s takes a number, not \"%s\"",
				     row->name, argument);
	return OPTIONS_GO_ON;
}

/* With the argument that came in the same word, or NULL. */
static int take(struct line *line, const struct options_row *row,
		const char *argument)
{
	if (argument && !row->argument)
		return options_wrong(line->command->name,
				     "--%s takes no argument", row->name);
	if (!argument && row->argument && !row->flag) {
		argument = *line->next;
		if (!argument)
			return options_wrong(line->command->name,
					     "--%s takes %s", row->name,
					     row->argument);
		line->next++;
	}
	if (row->flag)
		*row->flag = true;
	if (row->text && argument)
		*row->text = argument;
	return row->number ? take_number(line, row, argument) : OPTIONS_GO_ON;
}

static int take_long(struct line *line, const char *text)
{
	size_t length = strcspn(text, "=");
	const struct options_row *row =
		length ? find_in_line(line, text, length) : NULL;

	if (!row)
		return options_wrong(line->command->name,
				     "there is no option --%.*s", (int)length,
				     text);
	return take(line, row, text[length] ? text + length + 1 : NULL);
}

static int take_letters(struct line *line, const char *text)
{
	int r = OPTIONS_GO_ON;

	while (r == OPTIONS_GO_ON && *text) {
		const struct options_row *row = find_in_line(line, text++, 0);

		if (!row)
			return options_wrong(line->command->name,
					     "there is no option -%c",
					     text[-1]);
		if (row->argument)
			return take(line, row, *text ? text : NULL);
		r = take(line, row, NULL);
	}
	return r;
}

static int check_count(const struct options_command *command, char **words)
{
	int count = 0;

	while (words[count])
		count++;
	if (count > command->most)
		return options_wrong(command->name, "does not take \"%s\"",
				     words[command->most]);
	if (count < command->least)
		return options_wrong(command->name, "something is missing");
	return OPTIONS_GO_ON;
}

/* "-n, --name WORD" */
static void write_form(const struct options_row *row, char *ret, size_t size)
{
	char letter[] = {'-', row->letter, ',', ' ', '\0'};

	snprintf(ret, size,
		 !row->argument ? "%s--%s"
		 : row->flag	? "%s--%s[=%s]"
				: "%s--%s %s",
		 row->letter ? letter : "", row->name, row->argument);
}

/* Words from column on, folded; the first line is there already. */
static void print_folded(const char *text, int column)
{
	int at = column;

	while (*text) {
		size_t length = strcspn(text, " ");

		if (at > column && at + 1 + (int)length >= WIDTH) {
			printf("\n%*s", column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)length, text);
		at += (int)length;
		text += length + strspn(text + length, " ");
	}
	putchar('\n');
}

static int widest_form(const struct options_row *rows)
{
	char form[64];
	int widest = 0;

	for (; rows->name; rows++) {
		write_form(rows, form, sizeof(form));
		if ((int)strlen(form) > widest)
			widest = (int)strlen(form);
	}
	return widest;
}

static void print_rows(const struct options_row *rows, int width)
{
	char form[64];

	for (; rows->name; rows++) {
		write_form(rows, form, sizeof(form));
		printf("  %-*s  ", width, form);
		print_folded(rows->help, width + 4);
	}
}

static void print(const struct line *line)
{
	const struct options_command *command = line->command;
	const char *way = command->synopsis, *head = "Usage:";
	int width = widest_form(command->rows), own = widest_form(line->own);

	if (own > width)
		width = own;
	for (; way; way = strchr(way, '\n') ? strchr(way, '\n') + 1 : NULL) {
		printf("%-6s %s %.*s\n", head, command->name,
		       (int)strcspn(way, "\n"), way);
		head = "";
	}
	putchar('\n');
	print_rows(command->rows, width);
	print_rows(line->own, width);
	if (command->notes)
		printf("\n%s", command->notes);
}

static int take_word(struct line *line, char *text)
{
	if (line->words_only || text[0] != '-' || !text[1]) {
		*line->end++ = text;
		line->words_only |= line->command->stops;
		return OPTIONS_GO_ON;
	}
	if (text[1] != '-')
		return take_letters(line, text + 1);
	if (text[2])
		return take_long(line, text + 2);
	line->words_only = true;
	return OPTIONS_GO_ON;
}

int options_read(const struct options_command *command, int argc, char **argv,
		 char ***ret_words)
{
	bool help = false, version = false;
	const struct options_row own[] = {
		{"help", 'h', NULL, "print this", .flag = &help},
		{command->version ? "version" : NULL, 0, NULL,
		 "print the version", .flag = &version},
		{.name = NULL},
	};
	char **words = argv + (argc > 0);
	struct line line = {command, own, words, words, false};
	int r = OPTIONS_GO_ON;

	while (r == OPTIONS_GO_ON && !help && !version && *line.next)
		r = take_word(&line, *line.next++);
	if (r != OPTIONS_GO_ON)
		return r;
	if (help)
		print(&line);
	else if (version)
		printf("%s %s\n", command->name, command->version);
	if (help || version)
		return OPTIONS_TOLD;
	*line.end = NULL;
	if (ret_words)
		*ret_words = words;
	return check_count(command, words);
}
