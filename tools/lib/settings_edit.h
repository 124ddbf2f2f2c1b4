#pragma once

/*
 * settings_edit - put hooks into an agent's settings, beside what is there
 *
 * A user's settings are JSON, often with comments, always with an order and
 * a layout of their own.  They are not parsed and written anew: text is put in
 * where it belongs, and every byte that was there stays as it was.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

struct settings_hook {
	const char *event; /* NULL ends a list */
	const char *entry; /* JSON of what goes into the event's array */
};

/* Expected outcomes. */
enum {
	SETTINGS_EDIT_THERE = 1, /* nothing to do */
	SETTINGS_EDIT_STRANGE,	 /* not an object, or hooks of another shape */
};

/*
 * The text with each hook added to "hooks": {EVENT: [...]}, unless an entry of
 * that array holds mark; `top` is put into the object if it is new (or NULL).
 * The result is the caller's.
 */
MUST_CHECK int settings_edit_add(const char *text,
				 const struct settings_hook *hooks,
				 const char *mark, const char *top, char **ret);

/* The text without the entries of hooks' arrays that hold mark. */
MUST_CHECK int settings_edit_remove(const char *text, const char *mark,
				    char **ret);
