#pragma once

/*
 * arguments - paths and hosts as they are typed
 */

#include <stdbool.h>

/*
 * The path as gatekeeper knows it: absolute, symlinks followed as far as it
 * exists.  A pattern is left as it is.  Owned by the caller; NULL: reported.
 */
char *argument_path(const char *path);

/*
 * The path as it was typed, absolute: gatekeeper follows its symlinks itself,
 * and not those that a leashed account can change.  Likewise.
 */
char *argument_path_written(const char *path);

/* Split "HOST:PORTS", "[ADDRESS]:PORTS", HOST: *ret_ports or NULL.  False:
 * reported. */
bool argument_split_host(char *text, const char **ret_host,
			 const char **ret_ports);
