#include "tools/mcp/mcp_asker.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX     ((size_t)6 << 20) /* more is judged in pieces */
#define PIECE_BYTES   ((size_t)2 << 20)
#define OVERLAP_BYTES ((size_t)16 << 10) /* longer than any secret */

json_t *mcp_asker_begin(const struct mcp_asker *asker, const char *ask)
{
	json_t *request = json_pack("{s:s, s:s, s:s}", "ask", ask, "client",
				    "mcp", "server", asker->server);

	if (asker->folder)
		json_object_set_new(request, "cwd", json_string(asker->folder));
	return request;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

void mcp_asker_done(struct mcp_outcome *outcome)
{
	free(outcome->reason);
	json_decref(outcome->changed);
}

void mcp_asker_deny(struct mcp_outcome *outcome, const char *reason)
{
	if (outcome->reason)
		return;
	if (asprintf(&outcome->reason, "Blocked by Leash: %s", reason) < 0)
		outcome->reason = strdup("Blocked by Leash");
	/* Even without memory it does not pass. */
	if (!outcome->reason)
		abort();
}

void mcp_asker_ask(struct mcp_asker *asker, json_t *request, const char *body,
		   struct mcp_outcome *ret)
{
	const char *problem, *verdict, *reason;
	json_t *reply = tool_client_ask(&asker->client, request, &problem);

	json_decref(request);
	if (!reply) {
		mcp_asker_deny(ret, problem);
		return;
	}
	verdict = text_of(reply, "verdict");
	reason = text_of(reply, "reason");
	if (strcmp(verdict, "allow") && strcmp(verdict, "observe"))
		mcp_asker_deny(ret, reason ? reason : "no reason was given");
	else if (body && json_object_get(reply, body))
		ret->changed = json_incref(json_object_get(reply, body));
	json_decref(reply);
}

/* ---- big ones, in pieces */

struct pieces {
	struct mcp_asker *asker;
	const char *kind; /* "result" or "prompt" */
	const char *body;
	const char *tool;
	json_t *batch; /* texts that wait */
	size_t bytes;
	struct mcp_outcome *outcome;
};

static void ask_batch(struct pieces *pieces)
{
	struct mcp_outcome outcome = {NULL, NULL};
	json_t *request;

	if (!json_array_size(pieces->batch) || pieces->outcome->reason)
		return;
	request = mcp_asker_begin(pieces->asker, pieces->kind);
	json_object_set_new(request, "tool", json_string(pieces->tool));
	json_object_set(request, pieces->body, pieces->batch);
	mcp_asker_ask(pieces->asker, request, pieces->body, &outcome);
	if (outcome.changed)
		mcp_asker_deny(&outcome, "it is too big to be redacted");
	if (outcome.reason && !pieces->outcome->reason)
		pieces->outcome->reason = STEAL(outcome.reason);
	mcp_asker_done(&outcome);
	json_array_clear(pieces->batch);
	pieces->bytes = 0;
}

static void add_piece(struct pieces *pieces, const char *text, size_t length)
{
	json_array_append_new(pieces->batch, json_stringn(text, length));
	pieces->bytes += length;
	if (pieces->bytes >= PIECE_BYTES)
		ask_batch(pieces);
}

/* Not within a character. */
static size_t whole_characters(const char *text, size_t length)
{
	while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

static void add_text(struct pieces *pieces, const char *text, size_t length)
{
	size_t at = 0;

	while (length - at > PIECE_BYTES) {
		size_t end = whole_characters(text, at + PIECE_BYTES);

		add_piece(pieces, text + at, end - at);
		at = whole_characters(text, end - OVERLAP_BYTES);
	}
	add_piece(pieces, text + at, length - at);
}

static void add_value(struct pieces *pieces, const json_t *value)
{
	const char *key;
	json_t *inner;
	size_t index;

	if (pieces->outcome->reason)
		return;
	if (json_is_string(value)) {
		add_text(pieces, json_string_value(value),
			 json_string_length(value));
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, inner)
		{
			add_text(pieces, key, strlen(key));
			add_value(pieces, inner);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, index, inner)
			add_value(pieces, inner);
	} else if (json_is_integer(value)) {
		char number[32];

		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		add_text(pieces, number, strlen(number));
	}
}

void mcp_asker_search(struct mcp_asker *asker, bool from_client,
		      const char *tool, json_t *value, size_t size,
		      struct mcp_outcome *ret)
{
	const char *kind = from_client ? "prompt" : "result";
	const char *body = from_client ? "text" : "result";
	struct pieces pieces = {
		.asker = asker,
		.kind = kind,
		.body = body,
		.tool = tool,
		.outcome = ret,
	};
	json_t *request;

	if (size <= WHOLE_MAX) {
		request = mcp_asker_begin(asker, kind);
		json_object_set_new(request, "tool", json_string(tool));
		json_object_set(request, body, value);
		mcp_asker_ask(asker, request, body, ret);
		return;
	}
	pieces.batch = json_array();
	add_value(&pieces, value);
	ask_batch(&pieces);
	json_decref(pieces.batch);
}
