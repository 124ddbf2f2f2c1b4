#include "tools/leash/dialog/json_output.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/escape.h"
#include "tools/leash/dialog/terminal.h"

static json_t *json_text(const char *text)
{
	return json_string(escape_is_utf8(text, strlen(text))
				   ? text
				   : terminal_shown(text));
}

static bool is_among(const char *key, const char *const *keys)
{
	for (; *keys; keys++)
		if (!strcmp(key, *keys))
			return true;
	return false;
}

static json_t *json_words(const char *const *members, const char *value,
			  const char *const *numbers)
{
	json_t *object = json_object();
	char word[4200];

	for (int i = 0; i < 4 && members[i]; i++) {
		bool last = i == 3 || !members[i + 1];
		size_t length = last ? strlen(value) : strcspn(value, " ");

		snprintf(word, sizeof(word), "%.*s", (int)length, value);
		json_object_set_new(object, members[i],
				    is_among(members[i], numbers)
					    ? json_integer(atoll(word))
					    : json_text(word));
		value += length + (value[length] == ' ');
	}
	return object;
}

void json_output_print(const struct fields *fields,
		       const struct json_list *lists,
		       const char *const *numbers)
{
	json_t *object = json_object();
	struct fields_cursor cursor = {0};

	for (const struct json_list *list = lists; list->key; list++)
		json_object_set_new(object, list->key, json_array());
	while (fields_next(fields, &cursor)) {
		const struct json_list *list = lists;
		char key[64];
		json_t *value;

		snprintf(key, sizeof(key), "%.*s", (int)cursor.key_length,
			 cursor.key);
		while (list->key && strcmp(list->key, key))
			list++;
		if (list->key && list->members[0])
			value = json_words(list->members, cursor.value,
					   numbers);
		else if (is_among(key, numbers))
			value = json_integer(atoll(cursor.value));
		else
			value = json_text(cursor.value);
		if (list->key)
			json_array_append_new(json_object_get(object, key),
					      value);
		else
			json_object_set_new(object, key, value);
	}
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}
