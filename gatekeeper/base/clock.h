#pragma once

/* clock - the clocks we use, as plain numbers of nanoseconds */

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S	INT64_C(1000000000)
#define CLOCK_NS_PER_MS INT64_C(1000000)

/* Since an arbitrary start; never steps.  For deadlines and gaps. */
static inline int64_t clock_monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}

/* Since the machine was started, asleep or not.  For what outlives us. */
static inline int64_t clock_boottime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}

/* Since 1970, UTC.  For records and for rules that expire. */
static inline int64_t clock_realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}
