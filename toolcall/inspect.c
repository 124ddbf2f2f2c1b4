#include "toolcall/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hit {
	const struct rule *rule;
	size_t from, to;
};

#define HITS_MAX 256

struct inspection {
	struct search *search;
	const uint8_t *actions;
	uint32_t kinds;
	struct findings *findings;
	char path[INSPECT_PATH_MAX];
	size_t path_length;

	/* Of the string under way. */
	enum decode_form form;
	size_t at; /* where what is decoded stood */
	struct hit hits[HITS_MAX];
	size_t hit_count;
	bool whole; /* what is to be redacted is all of it */
	bool fixed; /* a key or a number: it cannot be redacted */
};

void inspect_note(struct findings *findings, const struct finding *finding)
{
	if (findings->count < INSPECT_FINDINGS_MAX)
		findings->all[findings->count++] = *finding;
	else
		findings->more++;
}

/*
 * What a rule for anything has found, one for just that thing often finds too:
 * the latter says more.  True: the finding is settled.
 */
static bool settle(struct inspection *inspection, const struct finding *finding)
{
	struct findings *findings = inspection->findings;

	for (size_t i = 0; i < findings->count; i++) {
		struct finding *one = &findings->all[i];

		if (one->generic == finding->generic ||
		    one->form != finding->form ||
		    one->offset != finding->offset ||
		    strcmp(one->path, finding->path))
			continue;
		if (one->generic && one->action <= finding->action)
			*one = *finding;
		return true;
	}
	return false;
}

/* The same thing is often found plain and decoded: once is enough. */
static bool is_known(const struct inspection *inspection,
		     const struct rule *rule, size_t offset)
{
	const struct findings *findings = inspection->findings;

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *one = &findings->all[i];

		if (one->rule == rule->id &&
		    !strcmp(one->path, inspection->path) &&
		    (inspection->form != DECODE_PLAIN || one->offset == offset))
			return true;
	}
	return false;
}

static void found(void *context, const struct rule *rule, size_t from,
		  size_t to)
{
	struct inspection *inspection = context;
	bool plain = inspection->form == DECODE_PLAIN;
	struct finding finding = {
		.rule = rule->id,
		.kind = rule->kind,
		.action = inspection->actions[rule->kind],
		.form = inspection->form,
		.generic = rule->generic,
		.offset = plain ? from : inspection->at,
	};

	if (finding.action == POLICY_INSPECT_REDACT && inspection->fixed)
		finding.action = POLICY_INSPECT_DENY;
	if (finding.action == POLICY_INSPECT_REDACT) {
		if (plain && inspection->hit_count < HITS_MAX)
			inspection->hits[inspection->hit_count++] =
				(struct hit){rule, from, to};
		else
			inspection->whole = inspection->whole ||
					    !is_known(inspection, rule, from);
	}
	if (is_known(inspection, rule, finding.offset))
		return;
	memcpy(finding.path, inspection->path, sizeof(finding.path));
	if (!settle(inspection, &finding))
		inspect_note(inspection->findings, &finding);
}

static int search_decoded(void *context, enum decode_form form, size_t at,
			  const char *text, size_t length)
{
	struct inspection *inspection = context;

	inspection->form = form;
	inspection->at = at;
	return search_text(inspection->search, text, length, inspection->kinds,
			   found, inspection);
}

static int by_from(const void *a, const void *b)
{
	const struct hit *one = a, *other = b;

	return (one->from > other->from) - (one->from < other->from);
}

/* Put a mark in place of each hit. */
static int redact(struct inspection *inspection, json_t *string)
{
	const char *text = json_string_value(string);
	size_t length = json_string_length(string), at = 0, made = 0;
	CLEANUP_FREE char *out =
		malloc(length + inspection->hit_count * 64 + 64);
	int r;

	if (!out)
		return -ENOMEM;
	if (inspection->whole) {
		made = (size_t)sprintf(out, "[redacted]");
	} else {
		qsort(inspection->hits, inspection->hit_count,
		      sizeof(inspection->hits[0]), by_from);
		for (size_t i = 0; i < inspection->hit_count; i++) {
			const struct hit *hit = &inspection->hits[i];

			if (hit->from >= at) {
				memcpy(out + made, text + at, hit->from - at);
				made += hit->from - at;
				made += (size_t)snprintf(out + made, 64,
							 "[redacted:%s]",
							 hit->rule->id);
			}
			if (hit->to > at)
				at = hit->to;
		}
		memcpy(out + made, text + at, length - at);
		made += length - at;
	}
	/* A cut through a character leaves what is no UTF-8. */
	r = json_string_setn(string, out, made);
	if (r)
		r = json_string_set(string, "[redacted]");
	inspection->findings->redacted = true;
	return r ? -ENOMEM : 0;
}

static int inspect_string(struct inspection *inspection, json_t *string)
{
	const char *text = json_string_value(string);
	size_t length = json_string_length(string);
	int r;

	inspection->form = DECODE_PLAIN;
	inspection->hit_count = 0;
	inspection->whole = false;
	r = search_text(inspection->search, text, length, inspection->kinds,
			found, inspection);
	if (!r)
		r = decode_each(text, length, search_decoded, inspection);
	if (!r && (inspection->hit_count || inspection->whole))
		r = redact(inspection, string);
	return r;
}

/* A key, or a number, as a text. */
static int inspect_fixed(struct inspection *inspection, const char *text)
{
	json_t *string = json_string_nocheck(text);
	int r;

	if (!string)
		return -ENOMEM;
	inspection->fixed = true;
	r = inspect_string(inspection, string);
	inspection->fixed = false;
	json_decref(string);
	return r;
}

static int inspect_number(struct inspection *inspection, const json_t *value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
		 json_integer_value(value));
	return strlen(text) < 9 ? 0 : inspect_fixed(inspection, text);
}

static size_t push(struct inspection *inspection, const char *key, size_t index)
{
	size_t before = inspection->path_length;
	size_t room = INSPECT_PATH_MAX - before;
	int length =
		key ? snprintf(inspection->path + before, room, ".%.60s", key)
		    : snprintf(inspection->path + before, room, "[%zu]", index);

	inspection->path_length +=
		(size_t)length < room ? (size_t)length : room - 1;
	return before;
}

static void pop(struct inspection *inspection, size_t before)
{
	inspection->path_length = before;
	inspection->path[before] = '\0';
}

static int inspect_value(struct inspection *inspection, json_t *value)
{
	const char *key;
	json_t *inner;
	size_t index, before;
	int r = 0;

	switch (json_typeof(value)) {
	case JSON_STRING:
		return inspect_string(inspection, value);
	case JSON_OBJECT:
		json_object_foreach(value, key, inner)
		{
			size_t known = inspection->findings->count;

			/* A key that is a secret is in no path. */
			before = push(inspection, "(a key)", 0);
			if (strlen(key) > 12)
				r = inspect_fixed(inspection, key);
			if (inspection->findings->count == known) {
				pop(inspection, before);
				push(inspection, key, 0);
			}
			if (!r)
				r = inspect_value(inspection, inner);
			pop(inspection, before);
			if (r)
				return r;
		}
		return 0;
	case JSON_ARRAY:
		json_array_foreach(value, index, inner)
		{
			before = push(inspection, NULL, index);
			r = inspect_value(inspection, inner);
			pop(inspection, before);
			if (r)
				return r;
		}
		return 0;
	case JSON_INTEGER:
		return inspect_number(inspection, value);
	case JSON_REAL:
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		return 0;
	}
	return 0;
}

int inspect(struct search *search, json_t *value, const uint8_t *actions,
	    struct findings *findings)
{
	struct inspection inspection = {
		.search = search,
		.actions = actions,
		.findings = findings,
		.path = "$",
		.path_length = 1,
	};

	for (unsigned int i = 0; i < POLICY_INSPECT_KINDS; i++)
		if (actions[i] != POLICY_INSPECT_NOT)
			inspection.kinds |= UINT32_C(1) << i;
	return inspection.kinds && value ? inspect_value(&inspection, value)
					 : 0;
}

static void note_any(void *context, const struct rule *rule, size_t from,
		     size_t to)
{
	bool *any = context;

	(void)rule;
	(void)from;
	(void)to;
	*any = true;
}

bool inspect_is_secret(struct search *search, const char *text)
{
	bool any = false;

	return search_text(search, text, strlen(text),
			   UINT32_C(1) << POLICY_INSPECT_SECRETS, note_any,
			   &any) ||
	       any;
}
