#pragma once

/*
 * leash_parts - the commands of leash(1), one function each
 *
 * Each takes its own name and arguments, as main() does, and returns an exit
 * code: 0 done, 1 the answer is no, 2 wrong usage or an error.
 */

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "tools/talk.h"

int leash_allow(int argc, char **argv); /* allow and deny */
int leash_undo(int argc, char **argv);
int leash_mode(int argc, char **argv);
int leash_reload(int argc, char **argv);
int leash_explain(int argc, char **argv);
int leash_status(int argc, char **argv);
int leash_watch(int argc, char **argv);
int leash_check(int argc, char **argv);
int leash_learn(int argc, char **argv);
int leash_init(int argc, char **argv);
int leash_tools(int argc, char **argv);

struct leash_trust_options {
	const char *account; /* NULL: the only one */
	bool list;
	bool yes;
	bool json;
};

/* leash tools list, trust [SERVER [TOOL]]: of these words. */
int leash_trust(int argc, char **argv,
		const struct leash_trust_options *options);

/* The name of the account, where only one is leashed; an exit code. */
int leash_only_account(char *ret, size_t size);

/* Print how a command is used; returns EXIT_ERROR. */
int leash_usage(const char *command);

/*
 * The path as gatekeeper knows it: absolute, symlinks followed as far as it
 * exists.  A pattern is left as it is.  Owned by the caller; NULL: reported.
 */
char *leash_path(const char *path);

/* Split "HOST:PORTS", "[ADDRESS]:PORTS", HOST: *ret_ports or NULL. */
void leash_split_host(char *text, const char **ret_host,
		      const char **ret_ports);

/* A key that may come several times: in JSON an array. */
struct leash_list {
	const char *key; /* NULL: the end of the lists */
	/* Of objects whose members are the value's words, the last the rest;
	 * or, without any, of texts. */
	const char *members[4];
};

/*
 * All fields as one JSON object on standard output; the keys, and members of
 * lists, in numbers, which ends with NULL, are numbers.
 */
void leash_print_json(const struct fields *fields,
		      const struct leash_list *lists,
		      const char *const *numbers);

struct leash_edit_options {
	bool dry_run;
	bool json;
	/* What else the object is to hold; either may be NULL. */
	const struct fields *found;
	const struct leash_list *lists;
};

/* Have an edit (wire/control.h) done and print what it did; an exit code. */
int leash_ask_edit(struct fields *request,
		   const struct leash_edit_options *options);

/* A value for a terminal: escaped, in a buffer that the next 8 calls reuse. */
const char *leash_shown(const char *text);
