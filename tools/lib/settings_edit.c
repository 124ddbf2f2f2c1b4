#include "tools/lib/settings_edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 200

/* All functions here take and yield positions in a NUL-terminated text. */

static const char *skip_space(const char *at)
{
	for (;;) {
		at += strspn(at, " \t\r\n");
		if (at[0] == '/' && at[1] == '/') {
			at += strcspn(at, "\n");
		} else if (at[0] == '/' && at[1] == '*') {
			const char *end = strstr(at + 2, "*/");

			at = end ? end + 2 : at + strlen(at);
		} else {
			return at;
		}
	}
}

/* Behind the string that begins here; NULL: it does not end. */
static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : NULL;
}

static const char *skip_value(const char *at, int depth);

/* Behind the object or array that begins here. */
static const char *skip_group(const char *at, int depth)
{
	char end = *at == '{' ? '}' : ']';

	if (depth > DEPTH_MAX)
		return NULL;
	at = skip_space(at + 1);
	while (*at && *at != end) {
		if (end == '}') {
			if (*at != '"')
				return NULL;
			at = skip_string(at);
			at = at ? skip_space(at) : NULL;
			if (!at || *at != ':')
				return NULL;
			at = skip_space(at + 1);
		}
		at = skip_value(at, depth + 1);
		if (!at)
			return NULL;
		at = skip_space(at);
		if (*at == ',')
			at = skip_space(at + 1);
		else if (*at != end)
			return NULL;
	}
	return *at ? at + 1 : NULL;
}

static const char *skip_value(const char *at, int depth)
{
	size_t length;

	if (*at == '"')
		return skip_string(at);
	if (*at == '{' || *at == '[')
		return skip_group(at, depth);
	length = strcspn(at, " \t\r\n,]}/\"[{:");
	return length ? at + length : NULL;
}

/* The value of a member of the object that begins here, or NULL. */
static const char *find_member(const char *object, const char *name)
{
	const char *at = skip_space(object + 1);
	size_t length = strlen(name);

	while (*at == '"') {
		const char *key = at + 1, *end = skip_string(at);
		const char *value = skip_space(end);

		value = skip_space(value + 1); /* the colon */
		if ((size_t)(end - 1 - key) == length &&
		    !strncmp(key, name, length))
			return value;
		at = skip_space(skip_value(value, 0));
		if (*at == ',')
			at = skip_space(at + 1);
	}
	return NULL;
}

/* One object and nothing else. */
static bool is_settings(const char *text)
{
	const char *at = skip_space(text), *end;

	if (*at != '{')
		return false;
	end = skip_value(at, 0);
	return end && !*skip_space(end);
}

/* text with `added` put in at `at`; the caller's. */
static char *insert(const char *text, const char *at, const char *added)
{
	size_t before = (size_t)(at - text), length = strlen(added);
	char *made = malloc(strlen(text) + length + 1);

	if (!made)
		return NULL;
	memcpy(made, text, before);
	memcpy(made + before, added, length);
	strcpy(made + before + length, at);
	return made;
}

/* Put the first thing into the group that begins here. */
static char *insert_first(const char *text, const char *group,
			  const char *indent, const char *added)
{
	const char *next = skip_space(group + 1);
	bool empty = *next == '}' || *next == ']';
	char *piece, *made;

	if (asprintf(&piece, "\n%s%s%s%.*s", indent, added, empty ? "" : ",",
		     empty && *next == group[1] ? (int)strlen(indent) - 1 : 0,
		     "\n          ") < 0)
		return NULL;
	made = insert(text, group + 1, piece);
	free(piece);
	return made;
}

/* Does any element of the array hold mark? */
static bool holds(const char *array, const char *mark)
{
	const char *end = skip_value(array, 0);
	const char *found = strstr(array, mark);

	return found && found < end;
}

static int add_one(const char *text, const struct settings_hook *hook,
		   const char *mark, char **ret)
{
	const char *root = skip_space(text);
	const char *hooks = find_member(root, "hooks");
	const char *array;
	char *added = NULL;

	if (!hooks) {
		if (asprintf(&added,
			     "\"hooks\": {\n    \"%s\": [\n      %s\n"
			     "    ]\n  }",
			     hook->event, hook->entry) < 0)
			return -ENOMEM;
		*ret = insert_first(text, root, "  ", added);
		free(added);
		return *ret ? 0 : -ENOMEM;
	}
	if (*hooks != '{')
		return SETTINGS_EDIT_STRANGE;
	array = find_member(hooks, hook->event);
	if (!array) {
		if (asprintf(&added, "\"%s\": [\n      %s\n    ]", hook->event,
			     hook->entry) < 0)
			return -ENOMEM;
		*ret = insert_first(text, hooks, "    ", added);
		free(added);
		return *ret ? 0 : -ENOMEM;
	}
	if (*array != '[')
		return SETTINGS_EDIT_STRANGE;
	if (holds(array, mark))
		return SETTINGS_EDIT_THERE;
	*ret = insert_first(text, array, "      ", hook->entry);
	return *ret ? 0 : -ENOMEM;
}

int settings_edit_add(const char *text, const struct settings_hook *hooks,
		      const char *mark, const char *top, char **ret)
{
	CLEANUP_FREE char *made = NULL;
	bool changed = false;
	int r = 0;

	if (!*skip_space(text)) { /* nothing yet, but perhaps a comment */
		if (asprintf(&made, "%s{%s%s%s}\n", text, top ? "\n  " : "",
			     top ? top : "", top ? "\n" : "") < 0)
			return -ENOMEM;
	} else {
		made = strdup(text);
	}
	if (!made)
		return -ENOMEM;
	if (!is_settings(made))
		return SETTINGS_EDIT_STRANGE;
	for (; hooks->event; hooks++) {
		char *next = NULL;

		r = add_one(made, hooks, mark, &next);
		if (r == SETTINGS_EDIT_THERE)
			continue;
		if (r)
			return r;
		free(made);
		made = next;
		changed = true;
	}
	if (!changed)
		return SETTINGS_EDIT_THERE;
	*ret = STEAL(made);
	return 0;
}

/* Does what is at `at` perhaps belong to a comment of its line? */
static bool in_comment(const char *text, const char *at)
{
	for (; at > text && at[-1] != '\n'; at--)
		if (at[-1] == '/' && at[0] == '/')
			return true;
	return false;
}

/* Cut [from, to) and one comma beside it, in place. */
static void cut(char *text, const char *from, const char *to)
{
	const char *next = skip_space(to);
	char *begin = text + (from - text);

	while (begin > text && strchr(" \t", begin[-1]))
		begin--;
	if (begin > text && begin[-1] == '\n' && !in_comment(text, begin - 1))
		begin--;
	if (*next == ',') {
		to = next + 1;
	} else {
		/* It was the last: the comma before it goes. */
		char *before = begin;

		while (before > text && strchr(" \t\r\n", before[-1]))
			before--;
		if (before > text && before[-1] == ',' &&
		    !in_comment(text, before - 1)) {
			memmove(before - 1, before, strlen(before) + 1);
			begin--;
			to--;
		}
	}
	memmove(begin, to, strlen(to) + 1);
}

/* The next element of an array of hooks that holds mark. */
static bool find_entry(const char *text, const char *mark,
		       const char **ret_from, const char **ret_to)
{
	const char *hooks = find_member(skip_space(text), "hooks");
	const char *at;

	if (!hooks || *hooks != '{')
		return false;
	at = skip_space(hooks + 1);
	while (*at == '"') {
		const char *array = skip_space(skip_space(skip_string(at)) + 1);
		const char *entry = *array == '[' ? skip_space(array + 1) : "]";

		while (*entry && *entry != ']') {
			const char *end = skip_value(entry, 0);
			const char *found = strstr(entry, mark);

			if (found && found < end) {
				*ret_from = entry;
				*ret_to = end;
				return true;
			}
			entry = skip_space(end);
			if (*entry == ',')
				entry = skip_space(entry + 1);
		}
		at = skip_space(skip_value(array, 0));
		if (*at == ',')
			at = skip_space(at + 1);
	}
	return false;
}

int settings_edit_remove(const char *text, const char *mark, char **ret)
{
	CLEANUP_FREE char *made = strdup(text);
	const char *from, *to;
	bool changed = false;

	if (!made)
		return -ENOMEM;
	if (!*skip_space(made))
		return SETTINGS_EDIT_THERE;
	if (!is_settings(made))
		return SETTINGS_EDIT_STRANGE;
	while (find_entry(made, mark, &from, &to)) {
		cut(made, from, to);
		changed = true;
		if (!is_settings(made))
			return SETTINGS_EDIT_STRANGE;
	}
	if (!changed)
		return SETTINGS_EDIT_THERE;
	*ret = STEAL(made);
	return 0;
}
