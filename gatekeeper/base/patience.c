#include "gatekeeper/base/patience.h"

#include <sched.h>

#include "gatekeeper/base/clock.h"

#define MICROSECOND (CLOCK_NS_PER_MS / 1000)

#define LOOK_NS	    (500 * MICROSECOND)

/* Where others run too long between looks: no more for a while. */
#define CROWDED_PAUSE_NS (20 * CLOCK_NS_PER_MS)

#define CREDIT_MAX	 16
#define CREDIT_COST	 4

void patience_init(struct patience *patience, int64_t crowded_ns)
{
	cpu_set_t set;

	*patience = (struct patience){.crowded_ns = crowded_ns};
	patience->several_processors =
		sched_getaffinity(0, sizeof(set), &set) == 0 &&
		CPU_COUNT(&set) > 1;
}

void patience_found(struct patience *patience, int64_t now_ns)
{
	if (now_ns - patience->last_event_ns < LOOK_NS &&
	    patience->credit < CREDIT_MAX)
		patience->credit++;
	patience->last_event_ns = now_ns;
	patience->idle_since_ns = 0;
}

/* Let others run; if any did, they need the processor more than we do. */
static void give_way(struct patience *patience, int64_t before_ns)
{
	int64_t after_ns;

	sched_yield();
	after_ns = clock_monotonic_ns();
	if (after_ns - before_ns > patience->crowded_ns)
		patience->crowded_until_ns = after_ns + CROWDED_PAUSE_NS;
}

bool patience_look_again(struct patience *patience, int64_t now_ns)
{
	if (patience->credit <= 0 || !patience->several_processors ||
	    now_ns <= patience->crowded_until_ns) {
		patience->idle_since_ns = 0;
		return false;
	}
	if (!patience->idle_since_ns)
		patience->idle_since_ns = now_ns;
	if (now_ns - patience->idle_since_ns > LOOK_NS) {
		patience->credit -= CREDIT_COST;
		patience->idle_since_ns = 0;
		return false;
	}
	give_way(patience, now_ns);
	return true;
}
