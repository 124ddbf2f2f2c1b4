#include "tools/lib/explain_client.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/escape.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"
#include "tools/lib/tool_client.h"

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Texts that are no UTF-8 stand under KEY_hex (wire/toolcall.h). */
static json_t *write_request(const struct fields *request)
{
	json_t *object = json_pack("{s:s}", "ask", "explain");
	struct fields_cursor cursor = {0};

	while (fields_next(request, &cursor)) {
		size_t length = strlen(cursor.value);
		char key[64], hex[2 * PATH_MAX + 1] = "";
		bool is_text = escape_is_utf8(cursor.value, length);

		for (size_t i = 0; !is_text && i < length && i < PATH_MAX; i++)
			snprintf(hex + 2 * i, 3, "%02x",
				 (unsigned char)cursor.value[i]);
		snprintf(key, sizeof(key), "%.*s%s", (int)cursor.key_length,
			 cursor.key, is_text ? "" : "_hex");
		json_object_set_new(object, key,
				    json_string(is_text ? cursor.value : hex));
	}
	return object;
}

/* NULL: it has none; borrowed, the latest 4. */
static const char *read_text(const json_t *object, const char *key)
{
	static char buffers[4][PATH_MAX];
	static unsigned int next;
	const char *text = text_of(object, key), *hex;
	char hex_key[64], *buffer = buffers[next++ % 4];
	unsigned int byte;
	size_t n = 0, count;

	if (text)
		return text;
	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	hex = text_of(object, hex_key);
	if (!hex)
		return NULL;
	count = strlen(hex) / 2;
	while (n < count && n < PATH_MAX - 1 &&
	       sscanf(hex + 2 * n, "%2x", &byte) == 1)
		buffer[n++] = (char)byte;
	buffer[n] = '\0';
	return buffer;
}

static void read_reply(const json_t *reply, struct fields *ret)
{
	static const char *const keys[] = {"account", "mode", "verdict",
					   "reason",  "rule", "origin",
					   "note",    "fix",  "resolve"};
	const json_t *until = json_object_get(reply, "until");
	const json_t *other;
	size_t index;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *text = read_text(reply, keys[i]);

		if (text)
			fields_put(ret, keys[i], text);
		if (!strcmp(keys[i], "note") && json_is_integer(until))
			fields_format(ret, "until", "%" JSON_INTEGER_FORMAT,
				      json_integer_value(until));
	}
	json_array_foreach(json_object_get(reply, "others"), index, other)
	{
		const char *origin = read_text(other, "origin");
		const char *verdict = read_text(other, "verdict");
		const char *rule = read_text(other, "rule");

		if (origin && verdict && rule)
			fields_format(ret, "other", "%s %s %s", origin, verdict,
				      rule);
	}
}

int explain_client_ask(const struct fields *request, struct fields *ret)
{
	struct tool_client client = TOOL_CLIENT_NONE;
	json_t *question = write_request(request);
	const char *problem = "the request is too long", *reason;
	json_t *reply = request->failed
				? NULL
				: tool_client_ask(&client, question, &problem);
	int r = EXIT_ERROR;

	*ret = (struct fields){NULL, 0, 0, false};
	json_decref(question);
	if (!reply) {
		complaint_print("%s", client.nobody ? CONTROL_CLIENT_NOBODY
						    : problem);
	} else if (read_text(reply, "account")) {
		read_reply(reply, ret);
		r = EXIT_DONE;
	} else {
		reason = read_text(reply, "reason");
		complaint_print("%s", reason ? reason : "refused");
	}
	tool_client_done(&client);
	json_decref(reply);
	return r;
}
