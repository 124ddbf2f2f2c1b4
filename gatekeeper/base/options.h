#pragma once

/*
 * options - a command line, read by the table that --help is printed from
 *
 * A table is made where the variables are that it fills.  Every command has
 * --help (-h) besides, and --version if it has one to tell.  Options and words
 * may come in any order; after "--" all are words.
 *
 * A mistake is reported in one line, which names the command and its --help.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"

/* Exit codes. */
enum {
	OPTIONS_GO_ON = -1, /* there is something to be done yet */
	OPTIONS_TOLD = 0,   /* --help or --version */
	OPTIONS_WRONG = 2,  /* reported */
};

#define OPTIONS_ANY 4096 /* words: as many as you like */

struct options_row {
	const char *name;     /* without its dashes; NULL: the table's end */
	char letter;	      /* its short form, not h; or 0 */
	const char *argument; /* what --help calls it; NULL: it takes none */
	const char *help;     /* what it does, for --help to fold */

	/* Where it goes: one of these. */
	bool *flag;	   /* becomes true; */
	const char **text; /* with flag, too: the argument may be left out */
	long long *number; /* 0 or more */
};

struct options_command {
	const char *name;     /* as it is typed: "leash allow" */
	const char *version;  /* NULL: not told */
	const char *synopsis; /* its words; several lines: ways to say it */
	const char *notes;    /* printed below the options, or NULL */
	const struct options_row *rows;
	int least, most; /* words */
	bool stops;	 /* what follows the first word is not ours */
};

/*
 * Read a command line; argv[0] is passed over.  OPTIONS_GO_ON: the rows'
 * variables are filled, and *ret_words are the words, ended by NULL, which lie
 * in argv where options were; ret_words may be NULL where most is 0.  Else an
 * exit code.
 */
MUST_CHECK int options_read(const struct options_command *command, int argc,
			    char **argv, char ***ret_words);

/* Report how a command was used wrongly; OPTIONS_WRONG. */
__attribute__((format(printf, 2, 3))) int
options_wrong(const char *name, const char *format, ...);
