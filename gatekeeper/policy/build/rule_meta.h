#pragma once

/*
 * rule_meta - what any rule may carry besides what it is about
 *
 * All texts here are borrowed.
 */

#include <stdbool.h>
#include <stdint.h>

struct policy_rule_meta {
	const char *origin; /* FILE:LINE */
	const char *name;   /* NULL: the origin */
	const char *reason; /* NULL: none */
	int64_t until_s;
	bool observe;
	bool quiet;
};
