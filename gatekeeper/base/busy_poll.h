#pragma once

/*
 * busy_poll - how long a gate looks for the next question before it sleeps
 *
 * Waking across processors costs ten times what most answers cost.  So after
 * an event a gate goes on looking for a while, as long as that has lately been
 * worth it, and only on a processor that nobody else wants: it yields between
 * looks, and where somebody else then runs, it sleeps.
 *
 * The clock is the monotonic one, passed in.
 */

#include <stdbool.h>
#include <stdint.h>

struct busy_poll {
	int credit; /* won by events soon after another, lost in vain */
	bool several_processors;
	int64_t crowded_ns;
	int64_t last_event_ns;
	int64_t idle_since_ns; /* 0: not idle */
	int64_t crowded_until_ns;
};

/*
 * A processor is wanted by others where they run for longer than crowded_ns
 * when it is offered to them.
 */
void busy_poll_init(struct busy_poll *poll, int64_t crowded_ns);

/* An event was found. */
void busy_poll_found(struct busy_poll *poll, int64_t now_ns);

/*
 * None was: true to look again, the processor having been offered to others
 * meanwhile; false to sleep.
 */
bool busy_poll_look_again(struct busy_poll *poll, int64_t now_ns);
