/*
 * decide - the cost of rules: time to load, time to decide, memory
 *
 *   decide RULES SECONDS
 *
 * Writes a configuration of so many rules, loads it as gatekeeper would, and
 * asks the same 64 questions again and again, of paths that meet rules and
 * paths that meet none.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/decide.h"

#define QUESTIONS 64

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int write_config(int rules)
{
	int fd = memfd_create("config", 0);
	FILE *out = fdopen(dup(fd), "w");

	fputs("user = \"daemon\"; accounts = ( { account = \"nobody\"; "
	      "files = { write = [ ",
	      out);
	for (int i = 0; i < rules; i++)
		fprintf(out, "%s\"/srv/team%d/project%d/folder%d\"\n",
			i ? "," : "", i % 100, i / 100 % 100, i);
	fputs("]; deny = [ \"**/.env\", \"**/*.pem\", \"**/id_*\" ]; }; "
	      "programs = { list = [ \"/usr/bin\" ]; }; } );\n",
	      out);
	fclose(out);
	if (fchmod(fd, 0600))
		exit(1);
	return fd;
}

int main(int argc, char **argv)
{
	int rules = argc == 3 ? atoi(argv[1]) : 0;
	struct report report = {.out = stderr};
	struct policy *policy = NULL;
	char paths[QUESTIONS][256], file[64];
	double begin, load, end;
	long asked = 0;
	int image;

	if (!rules)
		return 2;
	snprintf(file, sizeof(file), "/proc/self/fd/%d", write_config(rules));
	begin = now();
	if (config_compile(
		    &(struct config_source){.path = file, .profiles_dir = "/"},
		    1, &report, &image) ||
	    policy_map(image, &policy))
		return 1;
	load = now() - begin;
	for (int i = 0; i < QUESTIONS; i++)
		snprintf(paths[i], sizeof(paths[i]),
			 i % 2 ? "/srv/team%d/project%d/folder%d/src/main.c"
			       : "/usr/lib/python3/team%d/x%d/module%d.py",
			 i % 10, 0, i % 10);
	begin = now();
	end = begin + atof(argv[2]);
	while (now() < end) {
		for (int i = 0; i < QUESTIONS * 16; i++, asked++) {
			const char *path = paths[i % QUESTIONS];
			const struct policy_question question = {
				.kind = POLICY_KIND_OPEN,
				.access = POLICY_ACCESS_READ,
				.path = path,
				.path_length = strlen(path),
			};
			struct policy_answer answer;

			if (policy_decide(policy, &question, &answer))
				return 1;
		}
	}
	printf("%.1f %.3f %.0f\n", (now() - begin) / (double)asked * 1e9, load,
	       (double)policy_size(policy) / rules);
	return 0;
}
