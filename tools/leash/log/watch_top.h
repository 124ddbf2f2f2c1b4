#pragma once

/*
 * watch_top - a screen of who does what most, renewed every second
 */

#include <sqlite3.h>

/* Until the terminal is gone or somebody ends it; an exit code. */
int watch_top(sqlite3 *log);
