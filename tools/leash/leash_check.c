/*
 * leash check - what is wrong with a configuration, and what of it is in vain
 *
 * gatekeeper --check looks, as it does before it loads anything; this counts
 * what it finds, and adds hosts and JSON.
 */

#include "tools/leash/leash_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "tools/leash/check_hosts.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/json_output.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"

#define LINE_SIZE 8192

struct found {
	struct fields lines;
	int mistakes;
	int notes;
};

/* What it says of hosts goes to list. */
static void run_gatekeeper(const char *file, int errors, int list)
{
	dup2(errors, STDERR_FILENO);
	dup2(list, STDOUT_FILENO);
	execlp("gatekeeper", "gatekeeper", "--check", "--hosts", "--config",
	       file, (char *)NULL);
	execl("/usr/sbin/gatekeeper", "gatekeeper", "--check", "--hosts",
	      "--config", file, (char *)NULL);
	dprintf(errors, "cannot run gatekeeper: %s\n", strerror(errno));
	_exit(EXIT_ERROR);
}

/* Where a line says what it is about: "FILE:LINE: " or "FILE: ". */
static char *after_place(char *line)
{
	char *end = strstr(line, ": ");

	return end ? end + 2 : line;
}

/* "N mistake(s)", as it ends what is wrong? */
static bool is_count(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && !strcmp(text + digits, " mistake(s)");
}

/* Print what it says, or collect it, and count. */
static void take_lines(FILE *in, bool json, struct found *found)
{
	char line[LINE_SIZE];

	while (fgets(line, sizeof(line), in)) {
		const char *text = after_place(line);
		bool note = !strncmp(text, "note: ", strlen("note: "));
		bool count;

		line[strcspn(line, "\n")] = '\0';
		count = is_count(text);
		found->notes += note;
		found->mistakes += !note && !count;
		if (!json)
			fprintf(stderr, "%s\n", line);
		else if (!count)
			fields_put(&found->lines, note ? "note" : "mistake",
				   line);
	}
}

/* The exit code. */
static int check(const char *file, FILE *list, bool json, struct found *found)
{
	int ends[2], status;
	FILE *in;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return EXIT_ERROR;
	pid = fork();
	if (pid == 0)
		run_gatekeeper(file, ends[1], fileno(list));
	fd_close(ends[1]);
	in = pid < 0 ? NULL : fdopen(ends[0], "r");
	if (!in) {
		fd_close(ends[0]);
		return EXIT_ERROR;
	}
	take_lines(in, json, found);
	fclose(in);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return EXIT_ERROR;
	return WEXITSTATUS(status);
}

struct looking {
	struct found *found;
	bool json;
};

static void report_host(void *context, const char *place, const char *host,
			const char *problem)
{
	const struct looking *looking = context;

	looking->found->notes++;
	if (looking->json)
		fields_format(&looking->found->lines, "note",
			      "%s: note: %s: %s", place, host, problem);
	else
		fprintf(stderr, "%s: note: %s: %s\n", place,
			terminal_shown(host), problem);
}

/* The exit code: EXIT_NO where a host has no address. */
static int check_found_hosts(FILE *list, bool json, struct found *found)
{
	struct looking looking = {found, json};
	int r;

	rewind(list);
	r = check_hosts(list, report_host, &looking);
	if (r < 0) {
		fprintf(stderr, "leash: cannot look hosts up: %s\n",
			strerror(-r));
		return EXIT_ERROR;
	}
	return r ? EXIT_NO : EXIT_DONE;
}

static void print_object(const char *file, const struct found *found)
{
	static const struct json_list lists[] = {
		{"mistake", {NULL}},
		{"note", {NULL}},
		{.key = NULL},
	};
	static const char *const numbers[] = {"mistakes", "notes", NULL};
	struct fields all = {NULL, 0, 0, false};
	struct fields_cursor cursor = {0};

	/* The numbers first: of very many lines the last may not fit. */
	fields_put(&all, "config", file);
	fields_format(&all, "mistakes", "%d", found->mistakes);
	fields_format(&all, "notes", "%d", found->notes);
	while (fields_next(&found->lines, &cursor))
		fields_put(&all,
			   fields_is(&cursor, "note") ? "note" : "mistake",
			   cursor.value);
	json_output_print(&all, lists, numbers);
	fields_free(&all);
}

static void print_correct(const char *file, int notes)
{
	printf("%s: correct", file);
	if (notes)
		printf(", with %d note(s)", notes);
	putchar('\n');
}

int leash_check(int argc, char **argv)
{
	struct found found = {.mistakes = 0};
	const char *file = "/etc/leash.conf";
	bool json = false, hosts = false, correct;
	const struct options_row rows[] = {
		{"hosts", 0, NULL, "look up the hosts it allows by name, too",
		 .flag = &hosts},
		{LEASH_JSON, .flag = &json},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash check",
		.synopsis = "[FILE] [OPTION...]",
		.rows = rows,
		.most = 1,
	};
	char **words;
	FILE *list;
	int r = options_read(&command, argc, argv, &words);

	if (r >= 0)
		return r;
	if (words[0])
		file = words[0];
	list = tmpfile();
	if (!list) {
		fprintf(stderr, "leash: cannot make a temporary file: %s\n",
			strerror(errno));
		return EXIT_ERROR;
	}
	r = check(file, list, json, &found);
	correct = r == EXIT_DONE;
	if (hosts && correct)
		r = check_found_hosts(list, json, &found);
	fclose(list);
	if (json)
		print_object(file, &found);
	else if (correct)
		print_correct(file, found.notes);
	fields_free(&found.lines);
	return r;
}
