#pragma once

/*
 * query_names - the SQL function ptr(ADDRESS): the name an address goes by
 *
 * Asked when somebody looks, as whoever looks, and not when the verdict is
 * given: then whoever runs a network could see from the questions which of its
 * addresses are refused.  What the answer is worth is for that network to say:
 * it is no evidence of anything.
 */

#include <sqlite3.h>

#include "gatekeeper/base/cleanup.h"

/* Add the function to a connection; negative errno. */
MUST_CHECK int query_names_add(sqlite3 *sqlite);
