#pragma once

/*
 * schema - the keys that a group may hold, and values of the right type
 */

#include "gatekeeper/config/compile/compiler.h"

typedef int (*schema_fn)(struct compiler *compiler,
			 const config_setting_t *setting, void *context);

/* An array of these ends with NULL; read NULL: the key is read elsewhere. */
struct schema_key {
	const char *name;
	schema_fn read;
};

/* Call the function of each key present; each that is none is reported. */
MUST_CHECK int schema_read(struct compiler *compiler,
			   const config_setting_t *group,
			   const struct schema_key *keys, void *context);

/* A value of the right type and range, else a report and false. */
bool schema_string(struct compiler *compiler, const config_setting_t *setting,
		   const char **ret);
bool schema_integer(struct compiler *compiler, const config_setting_t *setting,
		    long long low, long long high, long long *ret);
bool schema_bool(struct compiler *compiler, const config_setting_t *setting,
		 bool *ret);
bool schema_list(struct compiler *compiler, const config_setting_t *setting);
bool schema_mode(struct compiler *compiler, const config_setting_t *setting,
		 enum policy_mode *ret);

/* "allow" or "deny", as what class of the account does by default. */
int schema_default(struct compiler *compiler, const config_setting_t *setting,
		   const struct account_entry *account,
		   enum policy_class class);
