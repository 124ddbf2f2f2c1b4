#pragma once

/*
 * narrow - what may become a rule because it happened
 *
 * An account chooses what it asks for, and so what stands in the log.  Out of
 * that no rule is made which opens more than the one thing, or a secret: what
 * is told here holds for `leash learn` and `leash allow --last` alike.  A
 * person who means it writes the rule.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

/* Whether a path is one that usually keeps secrets. */
bool narrow_is_secret(const char *path);

/*
 * Whether one rule may open all below path, absolute.  Not where things of
 * several kinds or owners live together: the root, what lies directly in it,
 * a home folder (home is the account's, or NULL), /usr/lib and their like.
 */
bool narrow_is_folder(const char *path, const char *home);

/* Whether below name anybody may register (the public suffix list, all). */
bool narrow_is_suffix(const char *name);

/*
 * Call visit for what keeps secrets below folder, a folder of secrets being
 * one.  How many there are, max and no more visits where there are more or it
 * is too much to look through.
 */
size_t narrow_secrets_below(const char *folder, size_t max,
			    void (*visit)(const char *path, void *context),
			    void *context);

/*
 * The text of a rule for path alone, whatever bytes are in it; the caller's.
 * NULL without memory.
 */
char *narrow_literal(const char *path);
