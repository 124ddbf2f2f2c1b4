#pragma once

/*
 * power - may processor time be spent for speed?
 */

#include <stdbool.h>

/*
 * False on a machine with a battery and no supply that is on line.  Reads
 * sysfs, which is never marked.
 */
bool power_is_plentiful(void);
