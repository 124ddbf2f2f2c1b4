#pragma once

/*
 * leash_trust - leash tools list, trust: definitions that are withheld
 */

#include <stdbool.h>

struct leash_trust_options {
	const char *account; /* NULL: the only one */
	bool list;
	bool yes;
	bool json;
};

/* Those of [SERVER [TOOL]]; an exit code. */
int leash_trust(int argc, char **argv,
		const struct leash_trust_options *options);
