#include "gatekeeper/config/compile/schema.h"

#include <stdio.h>
#include <string.h>

static const char *type_word(int type)
{
	switch (type) {
	case CONFIG_TYPE_GROUP:
		return "a group { ... }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a whole number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a text";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return "a list";
	default:
		return "nothing";
	}
}

static bool wrong_type(struct compiler *compiler,
		       const config_setting_t *setting, const char *wanted)
{
	compiler_error(compiler, setting, "is %s; it must be %s",
		       type_word(config_setting_type(setting)), wanted);
	return false;
}

static void unknown_key(struct compiler *compiler,
			const config_setting_t *setting,
			const struct schema_key *keys)
{
	char known[512] = "";

	for (size_t i = 0; keys[i].name; i++) {
		if (i)
			strncat(known, ", ", sizeof(known) - strlen(known) - 1);
		strncat(known, keys[i].name, sizeof(known) - strlen(known) - 1);
	}
	compiler_error(compiler, setting,
		       "there is no such key here; there are: %s", known);
}

int schema_read(struct compiler *compiler, const config_setting_t *group,
		const struct schema_key *keys, void *context)
{
	if (!config_setting_is_group(group)) {
		wrong_type(compiler, group, "a group { ... }");
		return 0;
	}
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting =
			config_setting_get_elem(group, (unsigned int)i);
		const char *name = config_setting_name(setting);
		const struct schema_key *key = keys;
		int r;

		while (key->name && strcmp(key->name, name))
			key++;
		if (!key->name) {
			unknown_key(compiler, setting, keys);
			continue;
		}
		if (!key->read)
			continue;
		r = key->read(compiler, setting, context);
		if (r)
			return r;
	}
	return 0;
}

bool schema_string(struct compiler *compiler, const config_setting_t *setting,
		   const char **ret)
{
	const char *text;

	if (config_setting_type(setting) != CONFIG_TYPE_STRING)
		return wrong_type(compiler, setting, "a text in quotes");
	text = config_setting_get_string(setting);
	if (!*text) {
		compiler_error(compiler, setting, "is empty");
		return false;
	}
	*ret = text;
	return true;
}

bool schema_integer(struct compiler *compiler, const config_setting_t *setting,
		    long long low, long long high, long long *ret)
{
	int type = config_setting_type(setting);
	long long value;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		return wrong_type(compiler, setting, "a whole number");
	value = config_setting_get_int64(setting);
	if (value < low || value > high) {
		compiler_error(compiler, setting,
			       "is %lld; it must be from %lld to %lld", value,
			       low, high);
		return false;
	}
	*ret = value;
	return true;
}

bool schema_bool(struct compiler *compiler, const config_setting_t *setting,
		 bool *ret)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		return wrong_type(compiler, setting, "true or false");
	*ret = config_setting_get_bool(setting);
	return true;
}

bool schema_list(struct compiler *compiler, const config_setting_t *setting)
{
	if (config_setting_type(setting) != CONFIG_TYPE_LIST &&
	    config_setting_type(setting) != CONFIG_TYPE_ARRAY)
		return wrong_type(compiler, setting, "a list [ ... ]");
	return true;
}

bool schema_mode(struct compiler *compiler, const config_setting_t *setting,
		 enum policy_mode *ret)
{
	const char *word = NULL;

	if (!schema_string(compiler, setting, &word))
		return false;
	if (!strcmp(word, "enforce"))
		*ret = POLICY_MODE_ENFORCE;
	else if (!strcmp(word, "observe"))
		*ret = POLICY_MODE_OBSERVE;
	else {
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be \"enforce\" or "
			       "\"observe\"",
			       word);
		return false;
	}
	return true;
}

int schema_default(struct compiler *compiler, const config_setting_t *setting,
		   const struct account_entry *account, enum policy_class class)
{
	const char *word = NULL;

	if (!schema_string(compiler, setting, &word))
		return 0;
	if (strcmp(word, "allow") && strcmp(word, "deny")) {
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be \"deny\" or \"allow\"",
			       word);
		return 0;
	}
	policy_builder_account_default(compiler->builder, account->index, class,
				       strcmp(word, "allow") ? POLICY_DENY
							     : POLICY_ALLOW);
	return 0;
}
