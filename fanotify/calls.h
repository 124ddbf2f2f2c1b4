#pragma once

/*
 * calls - which system calls a gate may make, and why none of them waits
 *
 * Everybody's opens wait for the gate, so it must not wait for anybody: not
 * for a lock that an account's process can hold, a page that a file system of
 * the account's own serves, a lease, or a full pipe; before an answer no more
 * than after it, as the next question is answered by the same thread.  So
 * nothing that reads or writes a file that is asked about, or looks into
 * another process's memory, is in the table; the seccomp filter is made from
 * it.  Whoever adds a line says why it cannot wait.
 */

#include "gatekeeper/base/cleanup.h"

/*
 * The main process first, for itself and those it will fork: proc becomes its
 * root, so that no slip of ours can open a file that is marked, and what none
 * of them needs is forbidden.  Then each gate, all that is not in the table.
 */
MUST_CHECK int calls_confine_main(int proc);
MUST_CHECK int calls_confine_gate(void);
