#include "gatekeeper/base/busy_poll.h"

#include <sched.h>

#include "gatekeeper/base/clock.h"

#define MICROSECOND (CLOCK_NS_PER_MS / 1000)

#define LOOK_NS	    (500 * MICROSECOND)

/* Where others run too long between looks: no more for a while. */
#define CROWDED_PAUSE_NS (20 * CLOCK_NS_PER_MS)

#define CREDIT_MAX	 16
#define CREDIT_COST	 4

void busy_poll_init(struct busy_poll *poll, int64_t crowded_ns)
{
	cpu_set_t set;

	*poll = (struct busy_poll){.crowded_ns = crowded_ns};
	poll->several_processors =
		sched_getaffinity(0, sizeof(set), &set) == 0 &&
		CPU_COUNT(&set) > 1;
}

void busy_poll_found(struct busy_poll *poll, int64_t now_ns)
{
	if (now_ns - poll->last_event_ns < LOOK_NS && poll->credit < CREDIT_MAX)
		poll->credit++;
	poll->last_event_ns = now_ns;
	poll->idle_since_ns = 0;
}

/* Let others run; if any did, they need the processor more than we do. */
static void give_way(struct busy_poll *poll, int64_t before_ns)
{
	int64_t after_ns;

	sched_yield();
	after_ns = clock_monotonic_ns();
	if (after_ns - before_ns > poll->crowded_ns)
		poll->crowded_until_ns = after_ns + CROWDED_PAUSE_NS;
}

bool busy_poll_look_again(struct busy_poll *poll, int64_t now_ns)
{
	if (poll->credit <= 0 || !poll->several_processors ||
	    now_ns <= poll->crowded_until_ns) {
		poll->idle_since_ns = 0;
		return false;
	}
	if (!poll->idle_since_ns)
		poll->idle_since_ns = now_ns;
	if (now_ns - poll->idle_since_ns > LOOK_NS) {
		poll->credit -= CREDIT_COST;
		poll->idle_since_ns = 0;
		return false;
	}
	give_way(poll, now_ns);
	return true;
}
