#pragma once

/*
 * names - whom an account may ask for names, and what they may say
 */

#include "gatekeeper/config/compile/compiler.h"

/* The group `names`. */
MUST_CHECK int names_settings(struct compiler *compiler,
			      const config_setting_t *setting, void *context);

/* `resolvers` of an account. */
MUST_CHECK int names_resolvers(struct compiler *compiler,
			       const config_setting_t *setting, void *account);

/* Those of resolv.conf for every account that names none. */
MUST_CHECK int names_default_resolvers(struct compiler *compiler);
