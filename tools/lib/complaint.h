#pragma once

/*
 * complaint - how leash(1) ends, and what it says when it does not end well
 */

enum exit_code {
	EXIT_DONE = 0,
	EXIT_NO = 1, /* the answer is no */
	EXIT_ERROR = 2,
};

/* Print what is wrong on standard error; each line is a complaint. */
__attribute__((format(printf, 1, 2))) void complaint_print(const char *format,
							   ...);
