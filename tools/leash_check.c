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

#define LINE_SIZE 8192

static void run_gatekeeper(const char *file, int errors)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(errors, STDERR_FILENO);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	execlp("gatekeeper", "gatekeeper", "--check", "--config", file,
	       (char *)NULL);
	execl("/usr/sbin/gatekeeper", "gatekeeper", "--check", "--config", file,
	      (char *)NULL);
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
static int check(const char *file, bool json, struct fields *found)
{
	int ends[2], status, notes = 0;
	FILE *in;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return EXIT_ERROR;
	pid = fork();
	if (pid == 0)
		run_gatekeeper(file, ends[1]);
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

int leash_check(int argc, char **argv)
{
	static const struct option names[] = {
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
	bool json = false;
	int option, r;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (option != 'j')
			return leash_usage("check");
		json = true;
	}
	if (argc - optind > 1)
		return leash_usage("check");
	if (optind < argc)
		file = argv[optind];
	fields_put(&found, "config", file);
	r = check(file, json, &found);
	if (json)
		leash_print_json(&found, lists, numbers);
	else if (r == EXIT_DONE)
		printf("%s: correct\n", file);
	fields_free(&found);
	return r;
}
