#pragma once

/*
 * tools - the group `tools`: which tools may be called, and how
 */

#include "gatekeeper/config/compile/compiler.h"

MUST_CHECK int tools_rules(struct compiler *compiler,
			   const config_setting_t *setting, void *account);
