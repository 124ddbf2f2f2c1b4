#pragma once

/*
 * report - what is wrong with a configuration, all of it
 *
 * One line each: FILE:LINE: KEY: what is wrong; what would be right.  Reading
 * goes on after an error, so that one run shows every mistake.
 */

#include <stdio.h>

struct report {
	FILE *out;
	int errors;
	int notes; /* not wrong, but hardly meant */
};

struct report_place {
	const char *file;
	unsigned int line; /* 0: the whole file */
	const char *key;   /* or NULL */
};

__attribute__((format(printf, 3, 4))) void
report_error(struct report *report, struct report_place place,
	     const char *format, ...);

__attribute__((format(printf, 3, 4))) void
report_note(struct report *report, struct report_place place,
	    const char *format, ...);
