#pragma once

/*
 * rule_links - the rules whose paths lead through a symlink that an account can
 * change
 *
 * They are kept until all others are there, then settled.
 */

#include "gatekeeper/config/rules/rule_entry.h"

MUST_CHECK int rule_links_add(struct compiler *compiler,
			      const struct rule_entry *entry,
			      struct account_entry *account, const char *path,
			      const struct resolved *resolved);

/* Add what they allow or deny where they lead now. */
MUST_CHECK int rule_links_settle(struct compiler *compiler);

/* Note each that is not followed, by the policy in image. */
MUST_CHECK int rule_links_note(struct compiler *compiler, int image);

void rule_links_free(struct compiler *compiler);
