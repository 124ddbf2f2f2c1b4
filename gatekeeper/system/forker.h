#pragma once

/*
 * forker - a thread that forks for all others
 *
 * A system call filter is a thread's, and what it forks inherits it.  Where the
 * main thread may open nothing (gatekeeper/own_calls.h) and its tasks must, a
 * thread without the filter forks them: it does nothing else, and waits for
 * nothing but to be asked.
 */

#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

/* From now on by that thread; before, whoever asks forks. */
MUST_CHECK int forker_start(void);

/*
 * Fork a child that calls run and exits with what it returns.  Its number, or
 * a negative errno.
 */
MUST_CHECK pid_t forker_fork(int (*run)(void *context), void *context);
