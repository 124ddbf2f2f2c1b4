#pragma once

/*
 * rule_entry - a rule for a path, while it is read
 */

#include "gatekeeper/config/compile/compiler.h"

struct rule_entry {
	struct policy_rule_meta meta; /* first: rule_meta_*() expect it */
	const config_setting_t *setting;
	const char *path;
	const char *sha256;
	bool wants_sha256;
	struct policy_rule_spec spec;
};
