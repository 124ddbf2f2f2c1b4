#pragma once

/*
 * rule_path - the path of a rule, completed and resolved
 */

#include "gatekeeper/config/rules/rule_entry.h"

/*
 * The path with ~ as the account's home, its shape checked.  False: reported.
 */
bool rule_path_complete(struct compiler *compiler,
			const struct rule_entry *entry,
			const struct account_entry *account,
			char ret[static RESOLVE_PATH_MAX]);

/*
 * What path, complete, speaks of: as far as it may be followed, or, now, all
 * the way.  CONFIG_WRONG: reported.
 */
MUST_CHECK int rule_path_resolve(struct compiler *compiler,
				 const struct rule_entry *entry,
				 const char *path, struct resolved *ret);
MUST_CHECK int rule_path_resolve_now(struct compiler *compiler,
				     const char *path, struct resolved *ret);
