/*
 * leash check - what is wrong with a configuration, and what of it is in vain
 *
 * gatekeeper --check looks, as it does before it loads anything; this adds the
 * exit code for findings, and JSON.
 */

#include "tools/leash_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "tools/check_hosts.h"

#define LINE_SIZE 8192

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

/* Print what it says, or collect it; the notes among it are counted. */
static int take_lines(FILE *in, bool json, struct fields *found)
{
	char line[LINE_SIZE];
	int notes = 0;

	while (fgets(line, sizeof(line), in)) {
		const char *text = after_place(line);
		bool note = !strncmp(text, "note: ", strlen("note: "));

		notes += note;
		line[strcspn(line, "\n")] = '\0';
		if (json)
			fields_put(found, note ? "note" : "mistake", line);
		else
			fprintf(stderr, "%s\n", line);
	}
	return notes;
}

/* The exit code; EXIT_NO with findings, too. */
static int check(const char *file, FILE *list, bool json, struct fields *found)
{
	int ends[2], status, notes = 0;
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
	notes = take_lines(in, json, found);
	fclose(in);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return EXIT_ERROR;
	status = WEXITSTATUS(status);
	return !status && notes ? EXIT_NO : status;
}

struct looking {
	struct fields *found;
	bool json;
};

static void report_host(void *context, const char *place, const char *host,
			const char *problem)
{
	const struct looking *looking = context;

	if (looking->json)
		fields_format(looking->found, "note", "%s: note: %s: %s", place,
			      host, problem);
	else
		fprintf(stderr, "%s: note: %s: %s\n", place, leash_shown(host),
			problem);
}

/* The exit code: that of before, or EXIT_NO where a host has no address. */
static int check_found_hosts(FILE *list, int before, bool json,
			     struct fields *found)
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
	return r ? EXIT_NO : before;
}

int leash_check(int argc, char **argv)
{
	static const struct option names[] = {
		{"hosts", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	static const struct leash_list lists[] = {
		{"mistake", {NULL}},
		{"note", {NULL}},
		{.key = NULL},
	};
	static const char *const numbers[] = {NULL};
	struct fields found = {NULL, 0, 0, false};
	const char *file = "/etc/leash.conf";
	bool json = false, hosts = false;
	FILE *list;
	int option, r;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (option == '?')
			return leash_usage("check");
		json |= option == 'j';
		hosts |= option == 'n';
	}
	if (argc - optind > 1)
		return leash_usage("check");
	if (optind < argc)
		file = argv[optind];
	fields_put(&found, "config", file);
	list = tmpfile();
	if (!list) {
		fprintf(stderr, "leash: cannot make a temporary file: %s\n",
			strerror(errno));
		fields_free(&found);
		return EXIT_ERROR;
	}
	r = check(file, list, json, &found);
	if (hosts && (r == EXIT_DONE || r == EXIT_NO))
		r = check_found_hosts(list, r, json, &found);
	fclose(list);
	if (json)
		leash_print_json(&found, lists, numbers);
	else if (r == EXIT_DONE)
		printf("%s: correct\n", file);
	fields_free(&found);
	return r;
}
