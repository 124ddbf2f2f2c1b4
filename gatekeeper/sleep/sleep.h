#pragma once

/*
 * sleep - that the machine can go to sleep although people wait for the gates
 *
 * To sleep, the kernel first freezes every process.  Before Linux 6.9 one that
 * waits for the answer of a gate cannot be frozen: if the gate is frozen first,
 * as one of two is, the machine stays awake ("Freezing of tasks failed").  So
 * before it begins nobody may be left who could wait.
 *
 * Whoever lets the machine sleep, be it systemd, a script or a hand, opens
 * /sys/power/state for writing.  A group of our own is asked about that, and
 * about nothing else.  Before it says yes:
 *
 *   1. the accounts' processes are frozen (freezer.h), the gates answering
 *   2. the mount guard, where there is one, refuses what an account opens, so
 *      nothing is unasked and allowed: not for one who becomes the account now
 *   3. the marks are taken away, and the gates answer what they still owe
 *
 * Once something was written there, which is when the machine is awake again,
 * or nobody has it open any more, or after SLEEP_AWAY_NS, the marks come back,
 * the guard lets go, and when a gate answers the accounts are thawed.
 *
 * So it needs no word from logind.  An inhibitor of its would tell us earlier,
 * but only where logind is asked, and would give us the very same to do: a
 * manager that has frozen user.slice before it opens the file (systemd 254)
 * has stopped no gate, so these answer what is under way, and a cgroup that is
 * frozen can be moved out of.
 *
 * If the accounts cannot be frozen in time and there is no guard, the marks
 * stay: better awake than open.  Where gatekeeper dies meanwhile, the kernel
 * lets the opener go on; the accounts stay frozen until the next gatekeeper
 * has its marks.
 *
 * Not noticed: what freezes everybody and does not open that file (s2disk by
 * /dev/snapshot, reboot(2), a hypervisor's suspend), what opens it through a
 * sysfs mounted in another network namespace, and a second time to sleep by a
 * descriptor that has been used once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/event_log.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/system/loop.h"

#define SLEEP_AWAY_NS                                                          \
	(120 * CLOCK_NS_PER_S) /* systemd's hooks: 90; kernel: 20 */

struct sleep;

/* What sleep has done by its owner; none may wait. */
struct sleep_owner {
	void *context;
	const struct policy *(*policy)(void *context);
	bool has_guard;
	/* Let the guard refuse the accounts, or not. */
	void (*shut)(void *context, bool shut);
	/* Take the marks away; put them back.  0 or a negative errno. */
	int (*unmark)(void *context);
	int (*mark)(void *context);
	/* Whether the gates owe nobody an answer. */
	bool (*is_settled)(void *context);
	/* Whether a gate answers. */
	bool (*is_answered)(void *context);
};

/*
 * Begin to be asked, where that is needed; loop and log are borrowed.  Fails
 * only for want of memory and descriptors; sleep_word() tells the rest.
 */
MUST_CHECK int sleep_new(const struct sleep_owner *owner, struct loop *loop,
			 struct event_log *log, struct sleep **ret);

/* Who is frozen stays so. */
struct sleep *sleep_free(struct sleep *sleep);
DEFINE_CLEANUP(struct sleep *, sleep_free)

/* Every 100 ms. */
void sleep_tick(struct sleep *sleep, int64_t now_ns);

/* Thaw whom a predecessor has left frozen: when all else is in place. */
void sleep_thaw_left(struct sleep *sleep);

/* The leash is off: let go of everybody.  Waits for it. */
void sleep_stop(struct sleep *sleep);

/* Whether the guard refuses the accounts everything. */
bool sleep_is_shut(const struct sleep *sleep);

/* What `leash status` says: a word, and why or NULL. */
const char *sleep_word(const struct sleep *sleep, const char **ret_why);
