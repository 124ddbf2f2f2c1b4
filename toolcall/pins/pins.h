#pragma once

/*
 * pins - the definitions of tools as they were first seen
 *
 * For each account and server one file in a folder that is ours alone, so that
 * the agent cannot trust in our stead.  A definition seen for the first time is
 * pinned, unless it is suspicious; one that is not as pinned is withheld, and
 * a call of it refused, until an administrator trusts it.
 *
 * The account chooses the servers' names and what they define, so what is kept
 * of it is bounded, in files and in bytes.  At a bound what is pinned is shown
 * as before; what would have to be written down, is withheld.
 */

#include <jansson.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/effort.h"

/*
 * A definition of small parts takes some forty times as much memory as its text
 * does, so few are kept there; all are on disk (pins_files.h).
 */
#define PINS_TOOLS_MAX	   2000		     /* of one server */
#define PINS_SERVERS_MAX   256		     /* kept in memory */
#define PINS_IN_MEMORY_MAX ((size_t)4 << 20) /* bytes of their files */

struct pins;

/* folder is a descriptor, ours; -1: nothing is kept over our end. */
MUST_CHECK int pins_new(int folder, struct pins **ret);
struct pins *pins_free(struct pins *pins);
DEFINE_CLEANUP(struct pins *, pins_free)

/*
 * Compare tools, as `tools/list` has them, with what is pinned.  *ret_why is
 * an array as long: null for each that may be shown, or why it is withheld.
 * What could not be written down counts as never seen, and is withheld.
 * Returns 0 or an errno; then nothing is to be shown.
 */
MUST_CHECK int pins_define(struct pins *pins, const char *account,
			   const char *server, const json_t *tools,
			   struct effort *effort, json_t **ret_why);

/* Why that tool must not be called: a sentence, or NULL. */
const char *pins_withheld(struct pins *pins, const char *account,
			  const char *server, const char *tool);

/*
 * What is withheld of the account's servers that are known:
 * [{server, tool, why, before (or null), now, digest}].
 */
json_t *pins_pending(struct pins *pins, const char *account);

/*
 * Trust the pending definition of that digest.  0, PINS_UNKNOWN where it is
 * not (or no longer) that one, or an errno.
 */
enum {
	PINS_UNKNOWN = 1,
};
MUST_CHECK int pins_trust(struct pins *pins, const char *account,
			  const char *server, const char *tool,
			  const char *digest);
