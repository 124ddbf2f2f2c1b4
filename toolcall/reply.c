#include "toolcall/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/escape.h"

static const char *action_word(enum policy_inspect action)
{
	switch (action) {
	case POLICY_INSPECT_NOT:
		return "ignore";
	case POLICY_INSPECT_OBSERVE:
		return "observe";
	case POLICY_INSPECT_REDACT:
		return "redact";
	case POLICY_INSPECT_DENY:
		return "deny";
	}
	return "?";
}

/* Texts from configuration and names of keys may be no UTF-8. */
static json_t *text(const char *bytes)
{
	char shown[VERDICT_TEXT_MAX * 4];

	if (escape_is_utf8(bytes, strlen(bytes)))
		return json_string(bytes);
	escape_text(shown, sizeof(shown), bytes, strlen(bytes));
	return json_string(shown);
}

static json_t *findings_list(const struct findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *one = &findings->all[i];
		json_t *object = json_object();

		json_object_set_new(object, "rule", json_string(one->rule));
		json_object_set_new(
			object, "kind",
			json_string(policy_inspect_word(one->kind)));
		json_object_set_new(object, "action",
				    json_string(action_word(one->action)));
		json_object_set_new(object, "path", text(one->path));
		json_object_set_new(object, "offset",
				    json_integer((json_int_t)one->offset));
		json_object_set_new(object, "form",
				    json_string(decode_word(one->form)));
		json_array_append_new(list, object);
	}
	return list;
}

char *reply_line(json_t *object)
{
	char *dumped = json_dumps(object, JSON_COMPACT);
	size_t length = dumped ? strlen(dumped) : 0;
	char *grown = dumped ? realloc(dumped, length + 2) : NULL;

	json_decref(object);
	if (!grown) {
		free(dumped);
		return NULL;
	}
	grown[length] = '\n';
	grown[length + 1] = '\0';
	return grown;
}

char *reply_verdict(const struct policy *policy, const struct request *request,
		    const struct verdict *verdict)
{
	const struct policy_answer *answer = &verdict->answer;
	json_t *object = json_object();

	json_object_set_new(object, "verdict",
			    json_string(policy_verdict_word(answer->verdict)));
	json_object_set_new(object, "reason", text(verdict->reason));
	if (answer->rule != POLICY_NONE) {
		const struct policy_rule *rule =
			policy_rule(policy, answer->rule);

		json_object_set_new(object, "rule",
				    text(policy_text(policy, rule->name)));
		json_object_set_new(object, "origin",
				    text(policy_text(policy, rule->origin)));
	}
	if (answer->reason == POLICY_REASON_DEFAULT &&
	    answer->verdict != POLICY_ALLOW)
		json_object_set_new(object, "fix", json_string("allow"));
	if (verdict->findings.count)
		json_object_set_new(object, "findings",
				    findings_list(&verdict->findings));
	/* Without what was redacted, "allow" would allow what was not. */
	if (verdict->findings.redacted && answer->verdict != POLICY_DENY &&
	    json_object_set(object, request->body_key, request->body)) {
		json_decref(object);
		return NULL;
	}
	return reply_line(object);
}

char *reply_value(const char *key, json_t *value)
{
	json_t *object = json_object();

	if (json_object_set_new(object, key, value) ||
	    json_object_set_new(object, "verdict", json_string("allow"))) {
		json_decref(object);
		return NULL;
	}
	return reply_line(object);
}

char *reply_plain(const char *verdict, const char *reason)
{
	json_t *object = json_object();

	json_object_set_new(object, "verdict", json_string(verdict));
	json_object_set_new(object, "reason", json_string(reason));
	return reply_line(object);
}
