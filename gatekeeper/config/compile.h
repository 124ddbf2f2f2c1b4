#pragma once

/*
 * compile - what the parts of config share while they read
 *
 * Private to gatekeeper/config.  config.c reads files and settings, accounts.c
 * the accounts, rules.c, network.c and tools.c their rules, names.c whom they
 * may ask for names, rule_words.c what any rule may carry, schema.c the shape
 * of a group.
 */

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/config/config.h"
#include "gatekeeper/config/resolve.h"
#include "gatekeeper/policy/build.h"

struct config_file {
	config_t config;
	char *path; /* owned */
};

struct account_entry {
	const char *name; /* borrowed from its file */
	const config_setting_t *setting;
	uid_t uid;
	char *home; /* owned */
	uint32_t index;
	bool ban; /* programs.mode */
	bool has_programs;
	bool has_resolvers;
	bool seen_in_this_file;
	size_t tool_count;
	uint32_t inspects; /* bits: what it has said itself, no profile */
};

struct compiler {
	const struct config_source *source;
	struct report *report;
	struct policy_builder *builder;
	struct resolver resolver;

	struct config_file *files; /* main, drop-ins, then profiles */
	size_t file_count;
	const struct config_file *file; /* the one being read */
	bool in_profile;

	struct account_entry *accounts;
	size_t account_count;

	struct policy_settings settings; /* texts borrowed from files */
	bool has_watch;
};

/* Read the file at path into compiler->files; NULL where it is wrong. */
const struct config_file *compiler_read_file(struct compiler *compiler,
					     const char *path);

/* Where setting stands, for a report. */
struct report_place compiler_place(const struct compiler *compiler,
				   const config_setting_t *setting);

__attribute__((format(printf, 3, 4))) void
compiler_error(struct compiler *compiler, const config_setting_t *setting,
	       const char *format, ...);

/*
 * schema: the keys that a group may hold.  schema_read() calls the function
 * of each key present, and reports every key that is none.
 */
typedef int (*schema_fn)(struct compiler *compiler,
			 const config_setting_t *setting, void *context);

struct schema_key {
	const char *name;
	schema_fn read;
};

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

/*
 * rule_words.c: the keys that any rule may have.  Their context must begin
 * with the struct policy_words that they fill.
 */
int rule_words_name(struct compiler *compiler, const config_setting_t *setting,
		    void *words);
int rule_words_reason(struct compiler *compiler,
		      const config_setting_t *setting, void *words);
int rule_words_log(struct compiler *compiler, const config_setting_t *setting,
		   void *words);
int rule_words_mode(struct compiler *compiler, const config_setting_t *setting,
		    void *words);
int rule_words_until(struct compiler *compiler, const config_setting_t *setting,
		     void *words);

#define RULE_WORDS_KEYS                                                        \
	{"name", rule_words_name}, {"reason", rule_words_reason},              \
		{"log", rule_words_log}, {"mode", rule_words_mode},            \
	{                                                                      \
		"until", rule_words_until                                      \
	}

/* accounts.c: `accounts` of the file being read: who, and then what. */
MUST_CHECK int accounts_collect(struct compiler *compiler,
				const config_setting_t *setting, void *context);
MUST_CHECK int accounts_compile(struct compiler *compiler,
				const config_setting_t *setting);
MUST_CHECK int accounts_check(struct compiler *compiler);
void accounts_free(struct compiler *compiler);
bool accounts_leashed(void *compiler, uid_t uid);

/* rules.c: the groups `files` and `programs`. */
MUST_CHECK int rules_files(struct compiler *compiler,
			   const config_setting_t *setting, void *account);
MUST_CHECK int rules_programs(struct compiler *compiler,
			      const config_setting_t *setting, void *account);

/* names.c: the group `names`, and `resolvers` of an account. */
MUST_CHECK int names_settings(struct compiler *compiler,
			      const config_setting_t *setting, void *context);
MUST_CHECK int names_resolvers(struct compiler *compiler,
			       const config_setting_t *setting, void *account);

/* Those of resolv.conf for every account that names none. */
MUST_CHECK int names_default_resolvers(struct compiler *compiler);

/* tools.c: the group `tools`. */
MUST_CHECK int tools_rules(struct compiler *compiler,
			   const config_setting_t *setting, void *account);

/* tools_inspect.c: its `inspect`. */
MUST_CHECK int tools_inspect(struct compiler *compiler,
			     const config_setting_t *setting, void *account);

/* network.c: the group `network`. */
MUST_CHECK int network_rules(struct compiler *compiler,
			     const config_setting_t *setting, void *account);
