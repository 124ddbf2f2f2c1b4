/*
 * What the group leash may send to the socket "control", and what may stand in
 * the drop-in that leash(1) writes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/config/local_rules.h"
#include "gatekeeper/wire/fields.h"
#include "tests/fuzz/fuzz.h"

static void read_fields(const struct fields *request)
{
	struct fields copy = {NULL, 0, 0, false};
	struct fields_cursor cursor = {0};

	while (fields_next(request, &cursor)) {
		char key[64];

		snprintf(key, sizeof(key), "%.*s", (int)cursor.key_length,
			 cursor.key);
		if (cursor.key_length < sizeof(key) &&
		    !fields_get(request, key))
			abort();
		fields_put(&copy, key, cursor.value);
	}
	fields_free(&copy);
}

static void read_drop_in(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct local_rules rules;
	size_t line;

	if (text && local_rules_read(text, &rules, &line) == 0) {
		char *again = local_rules_text(&rules);

		if (!again || (text[0] && strcmp(text, again)))
			abort(); /* something would be lost */
		free(again);
		local_rules_tidy(&rules, "2026-11-21T10:00:00Z");
		local_rules_undo(&rules, local_rules_last(&rules));
		local_rules_free(&rules);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fields request;

	if (fields_view(data, size, &request))
		read_fields(&request);
	read_drop_in(data, size);
	return 0;
}
