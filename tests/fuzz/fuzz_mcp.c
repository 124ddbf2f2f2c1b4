/*
 * JSON-RPC from a client or a server that lies, before a gate that says yes,
 * no, or something else: nothing unjudged passes
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/mcp/mcp_judge.h"
#include "tools/lib/tool_client.h"

static unsigned int turn, asked;

/* In place of tools/lib/tool_client.c. */
json_t *tool_client_ask(struct tool_client *client, const json_t *request,
			const char **ret_problem)
{
	const json_t *tools = json_object_get(request, "tools");
	json_t *reply, *withheld;

	(void)client;
	asked++;
	*ret_problem = "no gate";
	switch (turn++ % 4) {
	case 0:
		return NULL;
	case 1:
		return json_pack("{s:s, s:s}", "verdict", "deny", "reason",
				 "no");
	default:
		break;
	}
	reply = json_pack("{s:s}", "verdict", "allow");
	withheld = json_array();
	for (size_t i = 0; i < json_array_size(tools); i++)
		json_array_append_new(withheld,
				      i % 2 ? json_string("why") : json_null());
	json_object_set_new(reply, "withheld", withheld);
	if (turn % 8 == 3)
		json_object_set_new(reply, "arguments", json_string("changed"));
	return reply;
}

json_t *tool_client_read(const char *text, size_t length)
{
	json_error_t error;

	return json_loadb(text, length,
			  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
				  JSON_DECODE_ANY,
			  &error);
}

void tool_client_done(struct tool_client *client)
{
	(void)client;
}

/* By another's reading of it: one that takes the last of two keys. */
static bool is_call(const char *text, size_t length)
{
	json_error_t error;
	json_t *message = json_loadb(text, length,
				     JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
	const char *method =
		json_string_value(json_object_get(message, "method"));
	bool call = method && !strcmp(method, "tools/call");

	json_decref(message);
	return call;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mcp_judge *judge = NULL;
	const char *at = (const char *)data, *end = at + size;
	bool from_client = true;

	static FILE *quiet;

	/* What it complains of would drown what the fuzzer says. */
	if (!quiet) {
		quiet = fopen("/dev/null", "w");
		stderr = quiet;
	}
	turn = 0;
	if (mcp_judge_new("x", &judge))
		abort();
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct mcp_fate fate;
		unsigned int before = asked;
		size_t length;

		stop = stop ? stop : end;
		length = (size_t)(stop - at);
		if (from_client)
			mcp_judge_from_client(judge, at, length, &fate);
		else
			mcp_judge_from_server(judge, at, length, &fate);
		/* A call passes only if somebody was asked. */
		if (from_client && fate.unchanged && asked == before &&
		    is_call(at, length))
			abort();
		if (fate.unchanged && fate.forward)
			abort();
		free(fate.forward);
		free(fate.back);
		from_client = !from_client;
		at = stop + 1;
	}
	mcp_judge_free(judge);
	return 0;
}
