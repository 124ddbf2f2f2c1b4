#pragma once

/*
 * rules - the groups `files` and `programs`
 */

#include "gatekeeper/config/compile/compiler.h"

MUST_CHECK int rules_files(struct compiler *compiler,
			   const config_setting_t *setting, void *account);
MUST_CHECK int rules_programs(struct compiler *compiler,
			      const config_setting_t *setting, void *account);
