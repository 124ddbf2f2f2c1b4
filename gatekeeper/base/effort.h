#pragma once

/*
 * effort - the processor time that one request may take
 *
 * What is judged was written by an agent, which may write what costs much: each
 * part may be bounded, and all of them together still take minutes.  So whoever
 * works on a request for long asks here whether to go on, and whoever gave the
 * order looks afterwards whether it was done at all.
 *
 * It is the thread's own time, not that of the clock on the wall: a busy
 * machine refuses nobody.  Not RLIMIT_CPU: that counts a whole life, and would
 * end a gate that has done nothing but its work.
 */

#include <stdbool.h>
#include <stdint.h>

struct effort {
	int64_t begun_ns;
	int64_t limit_ns; /* 0: none */
	unsigned int asked;
	bool spent; /* once, and for good */
};

/* Allow that much from now on; 0: without limit. */
void effort_begin(struct effort *effort, int64_t allowed_ns);

/*
 * Whether to stop.  The first costs next to nothing, and looks at the clock
 * every 64th time: for steps of some microseconds.  The second looks at once:
 * for steps that may take longer.  NULL is an effort without limit.
 */
bool effort_is_spent(struct effort *effort);
bool effort_is_spent_now(struct effort *effort);

/* What was taken since it began. */
int64_t effort_taken_ns(const struct effort *effort);
