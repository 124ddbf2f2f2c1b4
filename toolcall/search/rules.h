#pragma once

/*
 * rules - what is searched for, as rules/<name>.rules have it
 *
 * Made into a table by make_rules.py when Leash is built.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/policy/vocabulary.h"
#include "toolcall/search/checks.h"

struct rule {
	const char *id;
	const char *about;
	const char *pattern; /* of PCRE2; group 1, if any, is the thing */
	/* Expressions of Hyperscan, one of which must match; ends with NULL. */
	const char *const *triggers;
	enum policy_inspect_kind kind;
	enum check check;
	unsigned int back; /* bytes before the trigger that it may begin */
	double entropy;	   /* bits a character, at least */
	bool caseless;	   /* of the triggers */
	bool generic;	   /* placeholders are passed over */
	bool random;	   /* and so are words */
	char begin;	   /* of a word before this; 0: anywhere */
};

extern const struct rule rules[];
extern const size_t rule_count;
