#include "toolcall/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX  1000
#define VALUES_MAX 500000

/*
 * The library's own limit is twice as deep, and it parses by recursion: count
 * before it does.  And each value takes up to 200 bytes, so that `[[],[],...`
 * of 8 MiB would become 600.
 */
static bool too_deep(const char *text, size_t length)
{
	size_t depth = 0, values = 0;
	bool quoted = false;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > DEPTH_MAX || ++values > VALUES_MAX)
				return true;
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		} else if (c == ',' && ++values > VALUES_MAX) {
			return true;
		}
	}
	return false;
}

json_t *request_json(const char *text, size_t length, bool *ret_exact)
{
	const size_t flags =
		JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	json_error_t error;
	json_t *json;

	*ret_exact = true;
	if (too_deep(text, length))
		return NULL;
	json = json_loadb(text, length, flags, &error);
	if (!json && json_error_code(&error) == json_error_numeric_overflow) {
		*ret_exact = false;
		json = json_loadb(text, length, flags | JSON_DECODE_INT_AS_REAL,
				  &error);
	}
	return json;
}

const char *request_text(const struct request *request, const char *key)
{
	const json_t *value = json_object_get(request->root, key);
	const char *text = json_string_value(value);

	/* A text with a NUL in it is none that we know. */
	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int wrong(const char **ret_problem, const char *problem)
{
	*ret_problem = problem;
	return REQUEST_WRONG;
}

static int read_ask(struct request *request, const char **ret_problem)
{
	static const struct {
		const char *word;
		enum request_ask ask;
		const char *body; /* NULL: it has none */
		bool tool;	  /* it must name one */
	} asks[] = {
		{"call", REQUEST_CALL, "arguments", true},
		{"result", REQUEST_RESULT, "result", true},
		{"prompt", REQUEST_PROMPT, "text", false},
		{"define", REQUEST_DEFINE, "tools", false},
		{"pending", REQUEST_PENDING, NULL, false},
		{"trust", REQUEST_TRUST, NULL, true},
		{"event", REQUEST_EVENT, NULL, false},
		{"explain", REQUEST_EXPLAIN, NULL, false},
	};
	const char *ask = request_text(request, "ask");
	const char *tool = request_text(request, "tool");

	for (size_t i = 0; ask && i < sizeof(asks) / sizeof(asks[0]); i++) {
		if (strcmp(ask, asks[i].word))
			continue;
		request->ask = asks[i].ask;
		request->body_key = asks[i].body;
		if (asks[i].tool && (!tool || !*tool))
			return wrong(ret_problem, "tool is missing");
		if (asks[i].body)
			request->body =
				json_object_get(request->root, asks[i].body);
		return 0;
	}
	return wrong(ret_problem, "ask is call, result, prompt, define, "
				  "event, explain, pending or trust");
}

/* mcp__SERVER__TOOL, as the agents write it. */
static int name_tool(struct request *request, const char **ret_problem)
{
	const char *tool = request_text(request, "tool");
	int length;

	request->server = request_text(request, "server");
	request->own = tool;
	if (!tool)
		tool = request->ask == REQUEST_PROMPT ? "prompt" : "";
	length = request->server
			 ? snprintf(request->tool, sizeof(request->tool),
				    "mcp__%s__%s", request->server, tool)
			 : snprintf(request->tool, sizeof(request->tool), "%s",
				    tool);
	return length < (int)sizeof(request->tool)
		       ? 0
		       : wrong(ret_problem, "the tool's name is too long");
}

int request_read(const char *text, size_t length, struct request *ret,
		 const char **ret_problem)
{
	struct request request = {.root = NULL};
	int r;

	request.root = request_json(text, length, &request.exact);
	if (!json_is_object(request.root)) {
		json_decref(request.root);
		return wrong(ret_problem,
			     "it is no JSON object, has a key twice, is "
			     "nested too deeply, or has too many values");
	}
	r = read_ask(&request, ret_problem);
	if (!r)
		r = name_tool(&request, ret_problem);
	if (r) {
		json_decref(request.root);
		return r;
	}
	request.cwd = request_text(&request, "cwd");
	if (request.cwd && request.cwd[0] != '/')
		request.cwd = NULL;
	request.client = request_text(&request, "client");
	request.account = request_text(&request, "account");
	request.event = request_text(&request, "event");
	request.detail = request_text(&request, "detail");
	request.digest = request_text(&request, "digest");
	request.explain =
		json_is_true(json_object_get(request.root, "explain"));
	*ret = request;
	return 0;
}

void request_done(struct request *request)
{
	json_decref(request->root);
	request->root = NULL;
}
