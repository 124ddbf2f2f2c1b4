/*
 * What belongs to names rather than to a rule: whom an account may ask for
 * them, and how long and how much they may say.
 */

#include "gatekeeper/config/rules/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/policy/address.h"

#define RESOLV_CONF "/etc/resolv.conf"

int names_resolvers(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct account_entry *account = context;
	int r = 0;

	if (!schema_list(compiler, setting))
		return 0;
	account->has_resolvers = true;
	for (int i = 0; !r && i < config_setting_length(setting); i++) {
		const config_setting_t *entry =
			config_setting_get_elem(setting, (unsigned int)i);
		struct policy_address address;
		const char *text;

		if (!schema_string(compiler, entry, &text))
			continue;
		if (address_read(text, &address))
			r = policy_builder_resolver(compiler->builder,
						    account->index, &address);
		else
			compiler_error(compiler, entry,
				       "is \"%s\"; it must be the address of a "
				       "resolver, such as \"192.0.2.53\"",
				       text);
	}
	return r;
}

/* The address in a line of resolv.conf, without its scope. */
static bool parse_line(char *line, struct policy_address *ret)
{
	char *word = strtok(line, " \t\n");

	if (!word || strcmp(word, "nameserver"))
		return false;
	word = strtok(NULL, " \t\n%");
	return word && address_read(word, ret) != 0;
}

static int use_resolv_conf(struct compiler *compiler,
			   const struct account_entry *account)
{
	FILE *file = fopen(RESOLV_CONF, "re");
	struct policy_address address;
	char line[512];
	int count = 0, r = 0;

	while (file && !r && fgets(line, sizeof(line), file)) {
		if (!parse_line(line, &address))
			continue;
		r = policy_builder_resolver(compiler->builder, account->index,
					    &address);
		count++;
	}
	if (file)
		fclose(file);
	/* What resolv.conf(5) says for one that names nobody. */
	if (!r && !count && address_read("127.0.0.1", &address))
		r = policy_builder_resolver(compiler->builder, account->index,
					    &address);
	return r;
}

int names_default_resolvers(struct compiler *compiler)
{
	int r = 0;

	for (size_t i = 0; !r && i < compiler->account_count; i++) {
		if (compiler->accounts[i].has_resolvers)
			continue;
		compiler->settings.follows_system = true;
		r = use_resolv_conf(compiler, &compiler->accounts[i]);
	}
	return r;
}

static int read_number(struct compiler *compiler,
		       const config_setting_t *setting, long long low,
		       long long high, uint32_t *slot)
{
	long long value;

	if (schema_integer(compiler, setting, low, high, &value))
		*slot = (uint32_t)value;
	return 0;
}

static int read_floor(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	(void)context;
	return read_number(compiler, setting, 0, 86400,
			   &compiler->settings.names_floor_s);
}

static int read_grace(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	(void)context;
	return read_number(compiler, setting, 0, 86400,
			   &compiler->settings.names_grace_s);
}

static int read_label(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	(void)context;
	return read_number(compiler, setting, 1, 253,
			   &compiler->settings.names_label_max);
}

static int read_per_minute(struct compiler *compiler,
			   const config_setting_t *setting, void *context)
{
	(void)context;
	return read_number(compiler, setting, 1, 20000,
			   &compiler->settings.names_per_minute);
}

int names_settings(struct compiler *compiler, const config_setting_t *setting,
		   void *context)
{
	static const struct schema_key keys[] = {
		{"floor", read_floor},
		{"grace", read_grace},
		{"longest", read_label},
		{"per_minute", read_per_minute},
		{NULL, NULL},
	};

	return schema_read(compiler, setting, keys, context);
}
