#pragma once

/*
 * command_rules - the table made of rules/commands.rules
 */

#include <stddef.h>

#include "gatekeeper/policy/vocabulary.h"

enum clause_kind {
	CLAUSE_RUN,   /* words: programs, then one pattern for each word */
	CLAUSE_WRITE, /* words: paths */
	CLAUSE_SAYS,  /* words: programs, and an expression */
	CLAUSE_SQL,   /* the same, of SQL without its texts */
	CLAUSE_FORM,
};

enum form {
	FORM_NONE,
	FORM_AS_OTHER_USER,
	FORM_PRELOAD,
	FORM_DOWNLOAD_AND_RUN,
	FORM_REVERSE_SHELL,
	FORM_SEND_SECRET,
	FORM_HIDE_SECRET,
	FORM_DNS_TUNNEL,
	FORM_HIDDEN_COMMAND,
	FORM_REMOVE_ALL,
	FORM_WRITE_DEVICE,
	FORM_FORK_BOMB,
};

struct clause {
	enum clause_kind kind;
	enum form form;
	const char *const *words; /* ends with NULL */
};

struct command_rule {
	const char *id;
	const char *about;
	enum policy_inspect_kind kind;
	const struct clause *clauses;
	size_t clause_count;
};

extern const struct command_rule command_rules[];
extern const size_t command_rule_count;
