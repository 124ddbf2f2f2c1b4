#pragma once

/*
 * network - the group `network`: who may be reached, and who may reach
 */

#include "gatekeeper/config/compile/compiler.h"

MUST_CHECK int network_rules(struct compiler *compiler,
			     const config_setting_t *setting, void *account);
