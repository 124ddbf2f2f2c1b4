#pragma once

/*
 * rule_file - the examples in toolcall/rules/<name>.rules, for their tests
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct example {
	char rule[64];
	char kind[32];
	bool yes;
	char *text; /* owned; \n and \\n replaced */
};

struct rule_file {
	struct example *examples;
	size_t count;
};

/* All examples of the file; exits where it cannot be read. */
struct rule_file rule_file_read(const char *path);
void rule_file_free(struct rule_file *file);

/*
 * The text with each {0-9a-f:32} replaced by so many random characters of the
 * kind; the same seed gives the same text.  Owned by the caller.
 */
char *rule_file_fill(const char *text, uint64_t *seed);
