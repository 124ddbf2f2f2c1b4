#pragma once

/*
 * accounts - who is on a leash, and what each may do
 */

#include "gatekeeper/config/compile/compiler.h"

/* `accounts` of the file being read, its first time: who is on a leash. */
MUST_CHECK int accounts_collect(struct compiler *compiler,
				const config_setting_t *setting, void *context);

/* And, once all are known, what each of them may do. */
MUST_CHECK int accounts_compile(struct compiler *compiler,
				const config_setting_t *setting);

/* Once all is read: is somebody left, and none who must not be? */
MUST_CHECK int accounts_check(struct compiler *compiler);

void accounts_free(struct compiler *compiler);
