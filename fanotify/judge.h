#pragma once

/*
 * judge - from an event to a verdict: gathers the facts, asks the policy
 *
 * Cheap facts first, and those that cost only where they change the verdict.
 * What a thread is about to exec is remembered in its opener, because the
 * next event can only be understood with it: the loader that the kernel opens
 * for a program is no program that somebody runs.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/fanotify.h>

#include "gatekeeper/base/cleanup.h"
#include "fanotify/opener.h"
#include "fanotify/target.h"
#include "gatekeeper/policy/decide.h"

struct judge {
	int proc;    /* /proc */
	int fds_dir; /* /proc/self/fd */
	struct opener_cache *openers;
	struct mount_table *mounts;
	int64_t since_ns;     /* monotonic: when it began to be asked */
	struct target target; /* of the last event; large, so not on a stack */
};

struct judgement {
	struct policy_question question;
	struct policy_answer answer;
	bool of_exec; /* the open of an exec that was allowed: so is this */
};

/* Expected outcome. */
enum {
	JUDGE_NOT_YET = 1, /* the thread has not gone to sleep: ask again */
};

/* room: how many threads to keep in mind, each for a descriptor. */
MUST_CHECK int judge_init(struct judge *judge, size_t room);
void judge_done(struct judge *judge);

/* The account that any of the four uids belongs to, or POLICY_NONE. */
uint32_t judge_account(const struct policy *policy,
		       const struct process_ids *ids);

/*
 * Judge an event of a leashed thread.  0, or JUDGE_NOT_YET, never if it is
 * the last chance.
 */
MUST_CHECK int judge_event(struct judge *judge, const struct policy *policy,
			   struct opener *opener,
			   const struct fanotify_event_metadata *event,
			   int64_t now_s, bool last_chance,
			   struct judgement *ret);

/* Keep in mind what the thread's next event needs; fd is the event's. */
void judge_remember(struct judge *judge, struct opener *opener,
		    const struct judgement *judgement, int fd);
