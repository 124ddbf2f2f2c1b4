/*
 * A network rule is a group with a net or a host and, where wanted, ports,
 * protocol and program.
 */

#include "gatekeeper/config/rules/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/config/rules/names.h"
#include "gatekeeper/config/rules/rule_meta.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/glob.h"
#include "gatekeeper/policy/host_name.h"

#define IPV4_BITS	 32
#define IPV6_BITS	 128
#define MAPPED_BITS	 (IPV6_BITS - IPV4_BITS)
#define PORT_MAX	 65535
#define PORT_RANGES_MAX	 64
#define PROTOCOL_DEFAULT (POLICY_PROTOCOL_TCP | POLICY_PROTOCOL_UDP)

struct port_range {
	uint16_t first;
	uint16_t last;
};

struct net_entry {
	struct policy_rule_meta meta; /* first: rule_meta_*() expect it */
	struct policy_net_spec spec;
	struct port_range ports[PORT_RANGES_MAX];
	size_t port_count;
	const char *program;
	const config_setting_t *program_setting;
	char host[HOST_NAME_SIZE];
	bool has_net;
	bool has_host;
};

static bool parse_number(const char *text, unsigned long max,
			 unsigned long *ret)
{
	char *end;

	if (!*text || strlen(text) > 5 ||
	    text[strspn(text, "0123456789")] != '\0')
		return false;
	*ret = strtoul(text, &end, 10);
	return *ret <= max;
}

static bool parse_net(const char *text, struct policy_net_spec *spec)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits, all;

	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	switch (address_read(address, &spec->address)) {
	case AF_INET:
		all = IPV4_BITS;
		break;
	case AF_INET6:
		all = IPV6_BITS;
		break;
	default:
		return false;
	}
	bits = all;
	if (slash && !parse_number(slash + 1, all, &bits))
		return false;
	spec->length = (uint32_t)(bits + (all == IPV4_BITS ? MAPPED_BITS : 0));
	return true;
}

static int read_net(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct net_entry *entry = context;
	struct policy_address prefix;
	const char *text;

	if (!schema_string(compiler, setting, &text))
		return 0;
	entry->has_net = true;
	if (!parse_net(text, &entry->spec)) {
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be an address or a network "
			       "such as \"192.0.2.7\", \"10.1.0.0/16\" or "
			       "\"2001:db8::/32\"",
			       text);
		return 0;
	}
	prefix =
		policy_address_prefix(&entry->spec.address, entry->spec.length);
	if (memcmp(&prefix, &entry->spec.address, sizeof(prefix)))
		compiler_error(compiler, setting,
			       "\"%s\" has bits set beyond its prefix; write "
			       "the network's own address, or a longer prefix",
			       text);
	return 0;
}

static int read_host(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct net_entry *entry = context;
	struct policy_net_spec address;
	const char *text, *name;

	if (!schema_string(compiler, setting, &text))
		return 0;
	entry->has_host = true;
	entry->spec.below = text[0] == '*';
	name = text;
	if (entry->spec.below)
		name += text[1] == '.' ? 2 : 1;
	/* `*` alone is every name: those below the root. */
	if (!strcmp(text, "*"))
		return 0;
	if (parse_net(text, &address))
		compiler_error(compiler, setting,
			       "\"%s\" is an address; write net = \"%s\"", text,
			       text);
	else if (host_name_read(name, strlen(name), entry->host) ||
		 name == text + 1)
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be a name such as "
			       "\"example.org\" or \"*.example.org\", letters "
			       "beyond ASCII in the form \"xn--...\"",
			       text);
	return 0;
}

static bool parse_port_range(const config_setting_t *setting,
			     struct port_range *ret)
{
	unsigned long first, last;
	char text[12];
	const char *given;
	char *dash;
	int number;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
		number = config_setting_get_int(setting);
		if (number < 0 || number > PORT_MAX)
			return false;
		ret->first = ret->last = (uint16_t)number;
		return true;
	case CONFIG_TYPE_STRING:
		given = config_setting_get_string(setting);
		break;
	default:
		return false;
	}
	if (strlen(given) >= sizeof(text))
		return false;
	strcpy(text, given);
	dash = strchr(text, '-');
	if (dash)
		*dash++ = '\0';
	if (!parse_number(text, PORT_MAX, &first) ||
	    !parse_number(dash ? dash : text, PORT_MAX, &last) || last < first)
		return false;
	ret->first = (uint16_t)first;
	ret->last = (uint16_t)last;
	return true;
}

static int read_ports(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	struct net_entry *entry = context;
	int count;

	if (!schema_list(compiler, setting))
		return 0;
	count = config_setting_length(setting);
	if (!count || count > PORT_RANGES_MAX) {
		compiler_error(compiler, setting,
			       "has %d entries; it must have from 1 to %d",
			       count, PORT_RANGES_MAX);
		return 0;
	}
	for (int i = 0; i < count; i++) {
		const config_setting_t *port =
			config_setting_get_elem(setting, (unsigned int)i);

		if (!parse_port_range(port, &entry->ports[i]))
			compiler_error(compiler, port,
				       "each entry must be a port, 0 to 65535, "
				       "or a range such as \"8000-8099\"");
	}
	entry->port_count = (size_t)count;
	return 0;
}

static int read_protocol(struct compiler *compiler,
			 const config_setting_t *setting, void *context)
{
	static const struct {
		const char *word;
		uint32_t bits;
	} known[] = {
		{"tcp", POLICY_PROTOCOL_TCP},
		{"udp", POLICY_PROTOCOL_UDP},
		{"udplite", POLICY_PROTOCOL_UDPLITE},
		{"sctp", POLICY_PROTOCOL_SCTP},
		{"icmp", POLICY_PROTOCOL_ICMP},
		{"any", POLICY_PROTOCOL_ALL},
	};
	struct net_entry *entry = context;
	const char *word;

	if (!schema_string(compiler, setting, &word))
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(word, known[i].word)) {
			entry->spec.protocols = known[i].bits;
			return 0;
		}
	compiler_error(compiler, setting,
		       "is \"%s\"; it must be \"tcp\", \"udp\", \"udplite\", "
		       "\"sctp\", \"icmp\" or \"any\"; left out, tcp and udp",
		       word);
	return 0;
}

static int read_program(struct compiler *compiler,
			const config_setting_t *setting, void *context)
{
	struct net_entry *entry = context;

	if (!schema_string(compiler, setting, &entry->program))
		return 0;
	entry->program_setting = setting;
	if (entry->program[0] != '/' ||
	    glob_is_pattern(entry->program, strlen(entry->program)))
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be the path of one program, "
			       "beginning with / and without wildcards",
			       entry->program);
	return 0;
}

static const struct schema_key net_keys[] = {
	{"net", read_net},
	{"host", read_host},
	{"ports", read_ports},
	{"protocol", read_protocol},
	{"program", read_program},
	RULE_META_KEYS,
	{NULL, NULL},
};

/* The program as the kernel names it.  False: reported. */
static bool resolve_program(struct compiler *compiler, struct net_entry *entry,
			    struct resolved *resolved, int *ret)
{
	*ret = 0;
	if (!entry->program)
		return true;
	*ret = resolve_path(&compiler->resolver, entry->program, resolved);
	if (*ret > 0) {
		compiler_error(
			compiler, entry->program_setting,
			"\"%s\" cannot be followed to a program (a loop "
			"of symlinks, or too long); write where it leads",
			entry->program);
		*ret = 0;
		return false;
	}
	if (*ret)
		return false;
	if (resolved->link[0])
		compiler_note(compiler, entry->program_setting,
			      "\"%s\" leads through %s, a symlink that an "
			      "account can change, and is not followed; write "
			      "where it leads",
			      entry->program, resolved->link);
	resolved_done(resolved);
	return true;
}

static int add_net(struct compiler *compiler, const config_setting_t *setting,
		   struct net_entry *entry)
{
	struct report_place place = compiler_place(compiler, setting);
	struct policy_net_spec spec;
	struct resolved resolved;
	uint32_t rule = POLICY_NONE;
	char origin[4200];
	int r;

	if (!resolve_program(compiler, entry, &resolved, &r))
		return r;
	snprintf(origin, sizeof(origin), "%s:%u", place.file, place.line);
	spec = entry->spec;
	spec.program = entry->program ? resolved.path : NULL;
	spec.meta = entry->meta;
	spec.meta.origin = origin;
	spec.host = entry->has_host ? entry->host : NULL;
	if (!entry->port_count)
		entry->ports[entry->port_count++] =
			(struct port_range){0, PORT_MAX};
	for (size_t i = 0; !r && i < entry->port_count; i++) {
		spec.port_first = entry->ports[i].first;
		spec.port_last = entry->ports[i].last;
		r = policy_builder_net(compiler->builder, &spec, &rule);
	}
	return r;
}

static int read_one(struct compiler *compiler, const config_setting_t *setting,
		    const struct account_entry *account,
		    enum policy_effect effect)
{
	int errors = compiler->report->errors;
	struct net_entry entry = {
		.spec =
			{
				.account = account->index,
				.effect = effect,
				.protocols = PROTOCOL_DEFAULT,
			},
	};
	int r;

	if (!config_setting_is_group(setting)) {
		compiler_error(compiler, setting,
			       "each entry must be { host = \"...\"; ... } "
			       "or { net = \"...\"; ... }");
		return 0;
	}
	r = schema_read(compiler, setting, net_keys, &entry);
	if (r)
		return r;
	if (entry.has_net == entry.has_host)
		compiler_error(compiler, setting,
			       "must have either host or net");
	if (entry.port_count && (entry.spec.protocols & POLICY_PROTOCOL_ICMP))
		compiler_error(compiler, setting,
			       "has ports, and icmp knows none; make it a "
			       "rule of its own");
	if (compiler->report->errors != errors)
		return 0;
	return add_net(compiler, setting, &entry);
}

static int read_nets(struct compiler *compiler, const config_setting_t *setting,
		     const struct account_entry *account,
		     enum policy_effect effect)
{
	int r = 0;

	if (!schema_list(compiler, setting))
		return 0;
	for (int i = 0; !r && i < config_setting_length(setting); i++)
		r = read_one(compiler,
			     config_setting_get_elem(setting, (unsigned int)i),
			     account, effect);
	return r;
}

static int read_allow(struct compiler *compiler,
		      const config_setting_t *setting, void *account)
{
	return read_nets(compiler, setting, account, POLICY_EFFECT_REACH);
}

static int read_deny(struct compiler *compiler, const config_setting_t *setting,
		     void *account)
{
	return read_nets(compiler, setting, account, POLICY_EFFECT_DENY);
}

static int read_network_default(struct compiler *compiler,
				const config_setting_t *setting, void *account)
{
	return schema_default(compiler, setting, account, POLICY_CLASS_NETWORK);
}

static int read_inbound(struct compiler *compiler,
			const config_setting_t *setting, void *account)
{
	static const struct {
		const char *word;
		enum policy_inbound inbound;
	} known[] = {
		{"deny", POLICY_INBOUND_DENY},
		{"loopback", POLICY_INBOUND_LOOPBACK},
		{"any", POLICY_INBOUND_ANY},
	};
	const struct account_entry *entry = account;
	const char *word;

	if (!schema_string(compiler, setting, &word))
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(word, known[i].word)) {
			policy_builder_inbound(compiler->builder, entry->index,
					       known[i].inbound);
			return 0;
		}
	compiler_error(compiler, setting,
		       "is \"%s\"; it must be \"deny\", \"loopback\" or "
		       "\"any\": who may connect to the account",
		       word);
	return 0;
}

static int read_quic(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	const char *word;

	(void)context;
	if (schema_string(compiler, setting, &word) && strcmp(word, "deny"))
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be \"deny\": this version "
			       "does not look into QUIC",
			       word);
	return 0;
}

int network_rules(struct compiler *compiler, const config_setting_t *setting,
		  void *account)
{
	static const struct schema_key keys[] = {
		{"allow", read_allow},
		{"deny", read_deny},
		{"default", read_network_default},
		{"inbound", read_inbound},
		{"resolvers", names_resolvers},
		{"quic", read_quic},
		{NULL, NULL},
	};

	return schema_read(compiler, setting, keys, account);
}
