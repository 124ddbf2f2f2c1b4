#pragma once

/*
 * power - is there enough of it to be impatient?
 *
 * Opened once, before anything is watched; what is read later lies below that
 * descriptor, in a filesystem of the kernel's own.
 */

#include <stdbool.h>

/* A descriptor of the list of supplies, or -1 where there is none. */
int power_open(void);

/* False on a battery alone. */
bool power_is_plentiful(int supplies);
