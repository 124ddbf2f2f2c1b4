#pragma once

/*
 * stand_in - answers for a gate that is not there
 *
 * Two jobs.  What a dead gate had read and not answered is answered from the
 * memory it shared with us.  And while no gate is running at all, events are
 * read and answered here, by the uid alone: a leashed account is refused,
 * everybody else goes on.  Nothing is opened but files in /proc.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/gate_shared.h"

struct stand_in_event {
	pid_t tid;
	uint32_t uid;
	uint32_t account;
	enum policy_verdict verdict;
	const char *path; /* NULL where it cannot be had */
};

/* Told of every answer to a leashed account. */
typedef void (*stand_in_fn)(void *context, const struct stand_in_event *event);

struct stand_in {
	int proc; /* of process_open_proc() */
	int group;
	const struct policy *policy; /* who is leashed */
	stand_in_fn report;
	void *context;
};

/* Answer what the dead gate owes.  Yields how many answers that took. */
int stand_in_settle(const struct stand_in *stand_in,
		    struct gate_shared *shared);

/* Answer at most limit waiting events.  The number, or a negative errno. */
MUST_CHECK int stand_in_answer(const struct stand_in *stand_in, int limit);
