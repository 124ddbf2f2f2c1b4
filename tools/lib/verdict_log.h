#pragma once

/*
 * verdict_log - open the log of verdicts, for reading
 */

#include <sqlite3.h>

#include "gatekeeper/base/cleanup.h"

#define VERDICT_LOG_DEFAULT "/var/lib/leash/verdicts.db"

/*
 * Open the log at path.  0, with *ret for sqlite3_close(); or what is wrong,
 * in problem, and -1.
 */
MUST_CHECK int verdict_log_open(const char *path, sqlite3 **ret, char *problem,
				size_t size);
