#include "gatekeeper/wire/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CUT FIELDS_CUT "=yes"

static bool grow(struct fields *fields, size_t wanted)
{
	char *grown;

	if (wanted <= fields->room)
		return true;
	wanted = wanted * 2 < 512 ? 512 : wanted * 2;
	grown = realloc(fields->bytes, wanted);
	if (!grown) {
		fields->failed = true;
		return false;
	}
	fields->bytes = grown;
	fields->room = wanted;
	return true;
}

/* Whoever reads it is to know that there was more. */
static void cut(struct fields *fields)
{
	bool said = fields->failed;

	fields->failed = true;
	if (said || !grow(fields, fields->length + sizeof(CUT)))
		return;
	memcpy(fields->bytes + fields->length, CUT, sizeof(CUT));
	fields->length += sizeof(CUT);
}

static bool make_room(struct fields *fields, size_t more)
{
	if (fields->length + more <= FIELDS_MAX - sizeof(CUT))
		return grow(fields, fields->length + more);
	cut(fields);
	return false;
}

void fields_put(struct fields *fields, const char *key, const char *value)
{
	size_t key_length = strlen(key), length = strlen(value);
	char *at;

	if (!make_room(fields, key_length + length + 2))
		return;
	at = fields->bytes + fields->length;
	memcpy(at, key, key_length);
	at[key_length] = '=';
	memcpy(at + key_length + 1, value, length + 1);
	fields->length += key_length + length + 2;
}

void fields_format(struct fields *fields, const char *key, const char *format,
		   ...)
{
	CLEANUP_FREE char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0) {
		value = NULL;
		fields->failed = true;
	}
	va_end(args);
	if (value)
		fields_put(fields, key, value);
}

void fields_copy(struct fields *fields, const struct fields *other)
{
	if (!other->length || !make_room(fields, other->length))
		return;
	memcpy(fields->bytes + fields->length, other->bytes, other->length);
	fields->length += other->length;
}

void fields_free(struct fields *fields)
{
	if (fields->room)
		free(fields->bytes);
	*fields = (struct fields){NULL, 0, 0, false};
}

bool fields_view(const void *bytes, size_t length, struct fields *ret)
{
	const char *at = bytes, *end = at + length;

	*ret = (struct fields){NULL, 0, 0, false};
	while (at < end) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));

		if (!nul || *at == '=' || !memchr(at, '=', (size_t)(nul - at)))
			return false;
		at = nul + 1;
	}
	ret->bytes = (char *)bytes; /* room is 0: never written to */
	ret->length = length;
	return true;
}

bool fields_next(const struct fields *fields, struct fields_cursor *cursor)
{
	const char *at;

	if (cursor->position >= fields->length)
		return false;
	at = fields->bytes + cursor->position;
	cursor->key = at;
	cursor->key_length = strcspn(at, "=");
	cursor->value = at + cursor->key_length + 1;
	cursor->position += strlen(at) + 1;
	return true;
}

bool fields_is(const struct fields_cursor *cursor, const char *key)
{
	return strlen(key) == cursor->key_length &&
	       !memcmp(cursor->key, key, cursor->key_length);
}

const char *fields_get(const struct fields *fields, const char *key)
{
	struct fields_cursor cursor = {0};

	while (fields_next(fields, &cursor))
		if (fields_is(&cursor, key))
			return cursor.value;
	return NULL;
}
