/*
 * mcp_client - an MCP client of few words, for tests and bench
 *
 *   mcp_client MESSAGES COMMAND...
 *
 * Starts the command, has it initialized, lists its tools and calls the tool
 * `echo` so many times, each call once the one before is answered.  Every
 * answer must be the one to its question.  Prints the names of the tools, and
 * the microseconds of a call at p50 and p99.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static FILE *to, *from;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fail(const char *what)
{
	fprintf(stderr, "mcp_client: %s\n", what);
	exit(1);
}

/* Ask, and wait for the answer; its result is the caller's. */
static json_t *ask(int id, const char *method, const char *params)
{
	static char *line;
	static size_t room;
	json_t *reply, *result;
	json_error_t error;

	fprintf(to,
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\","
		"\"params\":%s}\n",
		id, method, params);
	fflush(to);
	if (getline(&line, &room, from) < 0)
		fail("no answer");
	reply = json_loads(line, 0, &error);
	if (json_integer_value(json_object_get(reply, "id")) != id)
		fail("an answer to another question");
	result = json_incref(json_object_get(reply, "result"));
	json_decref(reply);
	if (!result)
		fail("an error");
	return result;
}

static pid_t start(char **command)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe(in) || pipe(out))
		fail("no pipe");
	pid = fork();
	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		close(in[1]);
		close(out[0]);
		execvp(command[0], command);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to = fdopen(in[1], "w");
	from = fdopen(out[0], "r");
	return pid;
}

static void print_tools(void)
{
	json_t *result = ask(1, "tools/list", "{}"), *tool;
	size_t index;

	json_array_foreach(json_object_get(result, "tools"), index, tool)
		printf("%s%s", index ? " " : "",
		       json_string_value(json_object_get(tool, "name")));
	putchar('\n');
	json_decref(result);
}

static int by_size(const void *a, const void *b)
{
	const double *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static void call(int messages)
{
	double *took = calloc((size_t)messages, sizeof(*took));

	if (!took)
		fail("no memory");
	for (int i = 0; i < messages; i++) {
		double begin = now_us();
		json_t *result =
			ask(i + 2, "tools/call",
			    "{\"name\":\"echo\",\"arguments\":{\"text\":"
			    "\"some words that nobody minds\",\"path\":"
			    "\"/usr/share/common-licenses/GPL-3\"}}");

		took[i] = now_us() - begin;
		if (json_is_true(json_object_get(result, "isError")))
			fail("a call was refused");
		json_decref(result);
	}
	qsort(took, (size_t)messages, sizeof(*took), by_size);
	printf("%.1f %.1f\n", took[messages / 2], took[messages * 99 / 100]);
	free(took);
}

int main(int argc, char **argv)
{
	int messages = argc > 2 ? atoi(argv[1]) : 0, status;
	pid_t pid;

	if (messages <= 0)
		fail("see its source");
	pid = start(argv + 2);
	json_decref(
		ask(0, "initialize",
		    "{\"protocolVersion\":\"2025-03-26\",\"capabilities\":"
		    "{},\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}"));
	print_tools();
	call(messages);
	fclose(to);
	while (fgetc(from) != EOF)
		;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
