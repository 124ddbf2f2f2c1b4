#include "tools/mcp/mcp_judge.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/mcp/mcp_asker.h"

#define PENDING_MAX  20000 /* requests without a response yet */

#define CODE_PARSE   (-32700)
#define CODE_INVALID (-32600)
#define CODE_BLOCKED (-32001)

struct mcp_judge {
	struct mcp_asker asker;
	json_t *pending; /* id, as JSON -> [method, tool] */
};

static const char *text_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	/* With a NUL in it, it is another text to others. */
	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* A message on its way: what is left of it, and what goes back. */
struct passage {
	struct mcp_judge *judge;
	bool from_client;
	bool changed;
	json_t *back; /* an array of responses */
};

int mcp_judge_new(const char *server, struct mcp_judge **ret)
{
	CLEANUP(mcp_judge_free)
	struct mcp_judge *judge = calloc(1, sizeof(*judge));

	if (!judge)
		return -ENOMEM;
	judge->asker.client = TOOL_CLIENT_NONE;
	judge->asker.server = strdup(server);
	judge->asker.folder = getcwd(NULL, 0);
	judge->pending = json_object();
	if (!judge->asker.server || !judge->pending)
		return -ENOMEM;
	*ret = STEAL(judge);
	return 0;
}

struct mcp_judge *mcp_judge_free(struct mcp_judge *judge)
{
	if (!judge)
		return NULL;
	tool_client_done(&judge->asker.client);
	json_decref(judge->pending);
	free(judge->asker.folder);
	free(judge->asker.server);
	free(judge);
	return NULL;
}

/* ---- answering in another's stead */

static void answer(struct passage *passage, json_t *id, json_t *error,
		   json_t *result)
{
	json_t *response = json_pack("{s:s, s:O}", "jsonrpc", "2.0", "id",
				     id ? id : json_null());

	if (error)
		json_object_set_new(response, "error", error);
	if (result)
		json_object_set_new(response, "result", result);
	json_array_append_new(passage->back, response);
}

static json_t *error_of(int code, const char *message)
{
	return json_pack("{s:i, s:s}", "code", code, "message", message);
}

/* The form in which a model reads it. */
static json_t *tool_error(const char *message)
{
	return json_pack("{s:[{s:s, s:s}], s:b}", "content", "type", "text",
			 "text", message, "isError", 1);
}

static void become(struct passage *passage, json_t *message, const char *key,
		   json_t *value)
{
	json_object_set_new(message, key, value);
	passage->changed = true;
}

/* ---- requests on their way to be answered */

/* By its JSON: 1 and "1" are different. */
static char *key_of(const json_t *id)
{
	return json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY);
}

static bool remember(struct mcp_judge *judge, const json_t *id,
		     const char *method, const char *tool)
{
	char *key = key_of(id);
	bool room = key && json_object_size(judge->pending) < PENDING_MAX;

	if (room)
		json_object_set_new(
			judge->pending, key,
			json_pack("[s, s]", method, tool ? tool : method));
	free(key);
	return room;
}

/* [method, tool], now the caller's; NULL: nobody has asked. */
static json_t *recall(struct mcp_judge *judge, const json_t *id)
{
	char *key = key_of(id);
	json_t *found = key ? json_object_get(judge->pending, key) : NULL;

	json_incref(found);
	if (found)
		json_object_del(judge->pending, key);
	free(key);
	return found;
}

/* ---- from the client */

/* Nothing in it but the protocol's own. */
static bool is_housekeeping(const char *method)
{
	return !strncmp(method, "notifications/", 14) ||
	       !strcmp(method, "initialize") || !strcmp(method, "ping") ||
	       !strcmp(method, "tools/list") ||
	       !strcmp(method, "resources/list") ||
	       !strcmp(method, "resources/templates/list") ||
	       !strcmp(method, "prompts/list") ||
	       !strcmp(method, "logging/setLevel");
}

/* False: it goes no further. */
static bool pass_call(struct passage *passage, json_t *message)
{
	json_t *params = json_object_get(message, "params");
	json_t *id = json_object_get(message, "id");
	const char *tool = text_of(params, "name");
	struct mcp_outcome outcome = {NULL, NULL};
	json_t *request, *arguments;
	bool passes;

	if (!tool) {
		if (id)
			answer(passage, id,
			       error_of(CODE_INVALID,
					"Blocked by Leash: the call names no "
					"tool"),
			       NULL);
		return false;
	}
	request = mcp_asker_begin(&passage->judge->asker, "call");
	arguments = json_object_get(params, "arguments");
	json_object_set_new(request, "tool", json_string(tool));
	json_object_set(request, "arguments",
			arguments ? arguments : json_null());
	mcp_asker_ask(&passage->judge->asker, request, "arguments", &outcome);
	if (!outcome.reason && id &&
	    !remember(passage->judge, id, "tools/call", tool))
		mcp_asker_deny(&outcome, "too many calls are unanswered");
	passes = !outcome.reason;
	if (!passes && id)
		answer(passage, id, NULL, tool_error(outcome.reason));
	if (passes && outcome.changed) {
		json_object_set(params, "arguments", outcome.changed);
		passage->changed = true;
	}
	mcp_asker_done(&outcome);
	return passes;
}

static bool pass_request(struct passage *passage, json_t *message,
			 const char *method, size_t size)
{
	json_t *params = json_object_get(message, "params");
	json_t *id = json_object_get(message, "id");
	struct mcp_outcome outcome = {NULL, NULL};
	bool passes;

	if (params && !is_housekeeping(method))
		mcp_asker_search(&passage->judge->asker, true, method, params,
				 size, &outcome);
	if (!outcome.reason && id &&
	    !remember(passage->judge, id, method, NULL))
		mcp_asker_deny(&outcome, "too many requests are unanswered");
	passes = !outcome.reason;
	if (!passes && id)
		answer(passage, id, error_of(CODE_BLOCKED, outcome.reason),
		       NULL);
	if (passes && outcome.changed)
		become(passage, message, "params",
		       json_incref(outcome.changed));
	mcp_asker_done(&outcome);
	return passes;
}

/* The client's answer to what the server has asked it. */
static bool pass_answer(struct passage *passage, json_t *message, size_t size)
{
	const char *key =
		json_object_get(message, "result") ? "result" : "error";
	struct mcp_outcome outcome = {NULL, NULL};

	mcp_asker_search(&passage->judge->asker, true, key,
			 json_object_get(message, key), size, &outcome);
	if (outcome.reason) {
		json_object_del(message, "result");
		become(passage, message, "error",
		       error_of(CODE_BLOCKED, outcome.reason));
	} else if (outcome.changed) {
		become(passage, message, key, json_incref(outcome.changed));
	}
	mcp_asker_done(&outcome);
	return true;
}

static bool pass_from_client(struct passage *passage, json_t *message,
			     size_t size)
{
	const json_t *named = json_object_get(message, "method");
	const char *method = json_string_value(named);

	if (method && strlen(method) == json_string_length(named))
		return strcmp(method, "tools/call")
			       ? pass_request(passage, message, method, size)
			       : pass_call(passage, message);
	if (!named && (json_object_get(message, "result") ||
		       json_object_get(message, "error")))
		return pass_answer(passage, message, size);
	answer(passage, json_object_get(message, "id"),
	       error_of(CODE_INVALID, "Blocked by Leash: no JSON-RPC message"),
	       NULL);
	return false;
}

/* ---- from the server */

/* Only what may be shown, of what tools/list has brought. */
static void filter_tools(struct passage *passage, json_t *message,
			 json_t *result)
{
	struct mcp_judge *judge = passage->judge;
	json_t *tools = json_object_get(result, "tools"), *withheld, *reply;
	json_t *request = mcp_asker_begin(&judge->asker, "define");
	const char *problem;

	json_object_set(request, "tools", tools);
	reply = tool_client_ask(&judge->asker.client, request, &problem);
	json_decref(request);
	withheld = json_object_get(reply, "withheld");
	if (!json_is_array(withheld) ||
	    json_array_size(withheld) != json_array_size(tools)) {
		const char *reason = text_of(reply, "reason");
		char text[1024];

		snprintf(text, sizeof(text), "Blocked by Leash: %s",
			 !reply	  ? problem
			 : reason ? reason
				  : "the tools cannot be judged");
		json_object_del(message, "result");
		become(passage, message, "error", error_of(CODE_BLOCKED, text));
		json_decref(reply);
		return;
	}
	for (size_t i = json_array_size(tools); i-- > 0;) {
		const char *name = text_of(json_array_get(tools, i), "name");
		const char *why =
			json_string_value(json_array_get(withheld, i));

		if (json_is_null(json_array_get(withheld, i)))
			continue;
		fprintf(stderr, "leash-mcp: tool %s is withheld: %s\n",
			name ? name : "?", why ? why : "?");
		json_array_remove(tools, i);
		passage->changed = true;
	}
	json_decref(reply);
}

/* `tools` with names in it, whoever asked for it: a list of tools. */
static bool is_list_of_tools(const json_t *result)
{
	const json_t *tools = json_object_get(result, "tools");

	return json_is_array(tools) &&
	       (!json_array_size(tools) ||
		text_of(json_array_get(tools, 0), "name"));
}

static bool pass_response(struct passage *passage, json_t *message, size_t size)
{
	json_t *result = json_object_get(message, "result");
	json_t *error = json_object_get(message, "error");
	json_t *asked = recall(passage->judge, json_object_get(message, "id"));
	const char *method = json_string_value(json_array_get(asked, 0));
	const char *tool = json_string_value(json_array_get(asked, 1));
	bool call = method && !strcmp(method, "tools/call");
	bool list = method && !strcmp(method, "tools/list");
	struct mcp_outcome outcome = {NULL, NULL};

	if (result && !call && (list || is_list_of_tools(result))) {
		filter_tools(passage, message, result);
		json_decref(asked);
		return true;
	}
	mcp_asker_search(&passage->judge->asker, false,
			 tool ? tool : "response", result ? result : error,
			 size, &outcome);
	if (outcome.reason && call) {
		json_object_del(message, "error");
		become(passage, message, "result", tool_error(outcome.reason));
	} else if (outcome.reason) {
		json_object_del(message, "result");
		become(passage, message, "error",
		       error_of(CODE_BLOCKED, outcome.reason));
	} else if (outcome.changed) {
		become(passage, message, result ? "result" : "error",
		       json_incref(outcome.changed));
	}
	mcp_asker_done(&outcome);
	json_decref(asked);
	return true;
}

/* A request or notification of the server's own. */
static bool pass_server_request(struct passage *passage, json_t *message,
				const char *method, size_t size)
{
	json_t *params = json_object_get(message, "params");
	json_t *id = json_object_get(message, "id");
	struct mcp_outcome outcome = {NULL, NULL};
	bool passes;

	if (json_object_size(params) || json_array_size(params))
		mcp_asker_search(&passage->judge->asker, false, method, params,
				 size, &outcome);
	passes = !outcome.reason;
	if (!passes && id)
		answer(passage, id, error_of(CODE_BLOCKED, outcome.reason),
		       NULL);
	if (passes && outcome.changed)
		become(passage, message, "params",
		       json_incref(outcome.changed));
	mcp_asker_done(&outcome);
	return passes;
}

static bool pass_from_server(struct passage *passage, json_t *message,
			     size_t size)
{
	const json_t *named = json_object_get(message, "method");
	const char *method = json_string_value(named);

	if (method && strlen(method) == json_string_length(named))
		return pass_server_request(passage, message, method, size);
	if (!named && (json_object_get(message, "result") ||
		       json_object_get(message, "error")))
		return pass_response(passage, message, size);
	fputs("leash-mcp: the server has sent what is no JSON-RPC message; it "
	      "was not passed on\n",
	      stderr);
	return false;
}

/* ---- whole messages */

static bool pass_one(struct passage *passage, json_t *message, size_t size)
{
	return passage->from_client ? pass_from_client(passage, message, size)
				    : pass_from_server(passage, message, size);
}

static char *line(const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	size_t length = text ? strlen(text) : 0;
	char *grown = text ? realloc(text, length + 2) : NULL;

	if (!grown) {
		free(text);
		return NULL;
	}
	memcpy(grown + length, "\n", 2);
	return grown;
}

/* The id in what cannot be read as it should, so that nobody waits for ever. */
static json_t *find_id(const char *text, size_t length)
{
	CLEANUP_FREE char *copy = malloc(length + 1);
	json_error_t error;
	json_t *message, *id;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < length; i++)
		copy[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	message = json_loadb(copy, length,
			     JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
	json_decref(message);
	message = json_loadb(copy, length, JSON_ALLOW_NUL, &error);
	id = json_incref(json_object_get(message, "id"));
	json_decref(message);
	return id;
}

/* Not understood: the one who waits for it is told. */
static void refuse_unread(struct passage *passage, const char *text,
			  size_t length, struct mcp_fate *ret)
{
	json_t *id = find_id(text, length);

	answer(passage, id,
	       error_of(CODE_PARSE, "Blocked by Leash: the message is no JSON, "
				    "or has a key twice"),
	       NULL);
	json_decref(id);
	if (passage->from_client) {
		ret->back = line(json_array_get(passage->back, 0));
		return;
	}
	fputs("leash-mcp: the server has sent what is no JSON; it was not "
	      "passed on\n",
	      stderr);
	/* For the client, in place of the response it waits for. */
	if (!json_is_null(
		    json_object_get(json_array_get(passage->back, 0), "id")))
		ret->forward = line(json_array_get(passage->back, 0));
}

static void settle(struct passage *passage, json_t *message, bool passes,
		   struct mcp_fate *ret)
{
	size_t answers = json_array_size(passage->back);

	if (passes && !passage->changed)
		ret->unchanged = true;
	else if (passes)
		ret->forward = line(message);
	if (answers == 1 && !json_is_array(message))
		ret->back = line(json_array_get(passage->back, 0));
	else if (answers)
		ret->back = line(passage->back);
}

static void judge_text(struct mcp_judge *judge, bool from_client,
		       const char *text, size_t length, struct mcp_fate *ret)
{
	struct passage passage = {
		.judge = judge,
		.from_client = from_client,
		.back = json_array(),
	};
	json_t *message = tool_client_read(text, length);
	bool passes = false;

	*ret = (struct mcp_fate){false, NULL, NULL};
	if (json_is_object(message)) {
		passes = pass_one(&passage, message, length);
	} else if (json_is_array(message) && json_array_size(message)) {
		for (size_t i = 0; i < json_array_size(message);) {
			if (pass_one(&passage, json_array_get(message, i),
				     length)) {
				i++;
				continue;
			}
			json_array_remove(message, i);
			passage.changed = true;
		}
		passes = json_array_size(message) > 0;
	}
	if (!json_is_object(message) &&
	    !(json_is_array(message) && (passes || passage.changed)))
		refuse_unread(&passage, text, length, ret);
	else
		settle(&passage, message, passes, ret);
	json_decref(message);
	json_decref(passage.back);
}

void mcp_judge_from_client(struct mcp_judge *judge, const char *text,
			   size_t length, struct mcp_fate *ret)
{
	judge_text(judge, true, text, length, ret);
}

void mcp_judge_from_server(struct mcp_judge *judge, const char *text,
			   size_t length, struct mcp_fate *ret)
{
	judge_text(judge, false, text, length, ret);
}

char *mcp_judge_too_long(void)
{
	return strdup("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"
		      "-32600,\"message\":\"Blocked by Leash: the message is "
		      "over 128 MiB\"}}\n");
}
