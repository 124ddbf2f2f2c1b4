#pragma once

/*
 * json_output - what gatekeeper has answered, as JSON
 */

#include "gatekeeper/wire/fields.h"

/* A key that may come several times: in JSON an array. */
struct json_list {
	const char *key; /* NULL: the end of the lists */
	/* Of objects whose members are the value's words, the last the rest;
	 * or, without any, of texts. */
	const char *members[4];
};

/*
 * All fields as one JSON object on standard output; the keys, and members of
 * lists, in numbers, which ends with NULL, are numbers.
 */
void json_output_print(const struct fields *fields,
		       const struct json_list *lists,
		       const char *const *numbers);
