#pragma once

/*
 * open_log - the log of verdicts, wherever leash.conf has it
 */

#include <sqlite3.h>

#include "gatekeeper/base/cleanup.h"

/*
 * Open the log that gatekeeper writes, or without a gatekeeper the usual one;
 * *ret for sqlite3_close().  An exit code.
 */
MUST_CHECK int open_log(sqlite3 **ret);
