/*
 * leash-hook - an agent's hook: may this tool be called?  See leash-hook(1)
 *
 * Whatever goes wrong ends with exit code 2 and a reason on standard error,
 * which the agents take as no: any other failure of a hook they pass over.
 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/options.h"
#include "gatekeeper/wire/toolcall.h"
#include "tools/hook/hook_formats.h"
#include "tools/lib/tool_client.h"

#define EXIT_BLOCKED 2
#define REASON_MAX   2200

static int blocked(const char *reason)
{
	fprintf(stderr, "Blocked by Leash: %s\n", reason);
	return EXIT_BLOCKED;
}

static const char *word_of(const json_t *reply, const char *key)
{
	const char *word = json_string_value(json_object_get(reply, key));

	return word ? word : "";
}

static bool is_denied(const json_t *reply)
{
	const char *verdict = word_of(reply, "verdict");

	/* Whatever is no yes is no. */
	return strcmp(verdict, "allow") && strcmp(verdict, "observe");
}

static void print(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT);
	putchar('\n');
}

/* The agent's own question: both, where there are two. */
static json_t *ask(struct tool_client *client,
		   const struct hook_question *question,
		   const char **ret_problem)
{
	json_t *reply = tool_client_ask(client, question->request, ret_problem);

	if (!reply || is_denied(reply) || !question->then)
		return reply;
	json_decref(reply);
	return tool_client_ask(client, question->then, ret_problem);
}

static int answer(const struct hook_format *format, const json_t *input)
{
	struct hook_question question = {.input = input};
	struct tool_client client = TOOL_CLIENT_NONE;
	struct hook_verdict verdict;
	char reason[REASON_MAX];
	const char *problem;
	json_t *reply, *said;

	if (!format->read(input, &question))
		return blocked("this is no event that leash-hook knows; see "
			       "leash-hook(1)");
	reply = ask(&client, &question, &problem);
	tool_client_done(&client);
	if (!reply) {
		json_decref(question.request);
		json_decref(question.then);
		return blocked(problem);
	}
	snprintf(reason, sizeof(reason), "%s%s",
		 is_denied(reply) ? "Blocked by Leash: " : "Leash: ",
		 word_of(reply, "reason"));
	verdict = (struct hook_verdict){
		.denied = is_denied(reply),
		.reason = reason,
		.changed = json_object_get(reply, "arguments"),
	};
	said = format->answer(&question, &verdict);
	if (said)
		print(said);
	json_decref(said);
	json_decref(reply);
	json_decref(question.request);
	json_decref(question.then);
	return 0;
}

/* The question as wire/toolcall.h has it, and its answer likewise. */
static int answer_plain(const json_t *input)
{
	struct tool_client client = TOOL_CLIENT_NONE;
	const char *problem;
	json_t *reply = tool_client_ask(&client, input, &problem);
	int code;

	tool_client_done(&client);
	if (!reply)
		return blocked(problem);
	print(reply);
	code = is_denied(reply) ? blocked(word_of(reply, "reason")) : 0;
	json_decref(reply);
	return code;
}

static bool read_input(char **ret, size_t *ret_length)
{
	size_t length = 0, room = 0;
	char *text = NULL;
	ssize_t n;

	do {
		if (room - length < 65536) {
			char *grown = realloc(text, room * 2 + 131072);

			if (!grown || room > TOOLCALL_REQUEST_MAX) {
				free(grown ? grown : text);
				return false;
			}
			text = grown;
			room = room * 2 + 131072;
		}
		n = read(STDIN_FILENO, text + length, room - length);
		if (n > 0)
			length += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0) {
		free(text);
		return false;
	}
	*ret = text;
	*ret_length = length;
	return true;
}

static int parse(int argc, char **argv, const char **ret_format)
{
	const struct options_row rows[] = {{.name = NULL}};
	char notes[128];
	const struct options_command command = {
		.name = "leash-hook",
		.version = LEASH_VERSION,
		.synopsis = "FORMAT < EVENT",
		.notes = notes,
		.rows = rows,
		.least = 1,
		.most = 1,
	};
	char **words;
	int r;

	snprintf(notes, sizeof(notes), "FORMAT is %s.\n", hook_formats_names);
	r = options_read(&command, argc, argv, &words);
	if (r == OPTIONS_GO_ON)
		*ret_format = words[0];
	return r;
}

int main(int argc, char **argv)
{
	const struct hook_format *format = NULL;
	CLEANUP_FREE char *text = NULL;
	size_t length = 0;
	const char *name;
	json_t *input;
	int code;

	code = parse(argc, argv, &name);
	if (code >= 0)
		return code;
	/* What passes here must not end in a core dump. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return blocked("core dumps cannot be switched off");
	if (strcmp(name, "auto") && strcmp(name, "json")) {
		format = hook_formats_find(name);
		if (!format)
			return options_wrong("leash-hook",
					     "FORMAT is %s, not \"%s\"",
					     hook_formats_names, name);
	}
	if (!read_input(&text, &length))
		return blocked("its input cannot be read, or is over 8 MiB");
	input = tool_client_read(text, length);
	if (!json_is_object(input)) {
		json_decref(input);
		return blocked("its input is no JSON object, or has a key "
			       "twice");
	}
	if (!strcmp(name, "json"))
		code = answer_plain(input);
	else
		code = answer(format ? format : hook_formats_guess(input),
			      input);
	json_decref(input);
	if (fflush(stdout) || ferror(stdout))
		return blocked("its answer cannot be written");
	return code;
}
