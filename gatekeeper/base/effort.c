#include "gatekeeper/base/effort.h"

#include <stddef.h>
#include <time.h>

#include "gatekeeper/base/clock.h"

#define ASK_EVERY 64

static int64_t processor_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}

void effort_begin(struct effort *effort, int64_t allowed_ns)
{
	int64_t now_ns = processor_ns();

	*effort = (struct effort){
		.begun_ns = now_ns,
		.limit_ns = allowed_ns ? now_ns + allowed_ns : 0,
	};
}

bool effort_is_spent_now(struct effort *effort)
{
	if (!effort || !effort->limit_ns)
		return false;
	if (!effort->spent)
		effort->spent = processor_ns() > effort->limit_ns;
	return effort->spent;
}

bool effort_is_spent(struct effort *effort)
{
	if (!effort || !effort->limit_ns)
		return false;
	if (!effort->spent && ++effort->asked % ASK_EVERY == 0)
		return effort_is_spent_now(effort);
	return effort->spent;
}

int64_t effort_taken_ns(const struct effort *effort)
{
	return processor_ns() - effort->begun_ns;
}
