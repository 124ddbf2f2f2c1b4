#pragma once

/*
 * trust - is what is read as configuration root's alone?
 *
 * Who can write a file of the policy, or put another into its place, can lift
 * the leash.  So the file and every folder on the way to it must be root's
 * (or of whoever only checks one of his own) and writable by nobody else; a
 * sticky folder of root's, such as /tmp, may be on the way.
 */

#include <stdbool.h>

#include "gatekeeper/config/compile/report.h"

/* The file at path, absolute.  False: reported. */
bool trust_file(struct report *report, const char *path);

/* The folder at path; true, too, where there is none. */
bool trust_folder(struct report *report, const char *path);
