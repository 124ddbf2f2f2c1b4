#pragma once

/*
 * digest - a program allowed by its content
 */

#include "gatekeeper/config/rules/rule_entry.h"

/*
 * The program that is at resolved now, if it has the content that entry asks
 * for; else noted, and nothing that is.
 */
struct policy_digest digest_take(struct compiler *compiler,
				 const struct rule_entry *entry,
				 struct account_entry *account,
				 const struct resolved *resolved);
