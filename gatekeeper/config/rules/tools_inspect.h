#pragma once

/*
 * tools_inspect - `inspect` of the group `tools`: what calls are searched for
 */

#include "gatekeeper/config/compile/compiler.h"

MUST_CHECK int tools_inspect(struct compiler *compiler,
			     const config_setting_t *setting, void *account);
