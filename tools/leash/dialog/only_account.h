#pragma once

/*
 * only_account - whom a command means that names no account
 */

#include <stddef.h>

/* The name of the account, where only one is leashed; an exit code. */
int only_account(char *ret, size_t size);
