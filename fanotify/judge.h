#pragma once

/*
 * judge - from an event to a verdict: gathers the facts, asks the policy
 *
 * Cheap facts first, and those that cost only where they change the verdict.
 * What a thread is about to exec is remembered in its opener, because the
 * next event can only be understood with it: the loader that the kernel opens
 * for a program is no program that somebody runs.
 *
 * No file is read: its pages may be somebody's who does not give them.  So
 * what is no program is told by owner, modes and name (target_may_be_program).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/fanotify.h>

#include "gatekeeper/base/cleanup.h"
#include "fanotify/gate_ends.h"
#include "fanotify/opener.h"
#include "fanotify/target.h"
#include "gatekeeper/policy/decide.h"

struct judge {
	int proc;    /* /proc, borrowed */
	int fds_dir; /* /proc/self/fd, owned */
	int group;   /* borrowed: the fanotify group (written.h) */
	struct opener_cache *openers;
	struct mount_table *mounts; /* borrowed */
	int64_t since_ns;	    /* monotonic: when it began to be asked */
	struct target target; /* of the last event; large, so not on a stack */
};

struct judgement {
	struct policy_question question;
	struct policy_answer answer;
	bool of_exec;	/* the open of an exec that was allowed: so is this */
	bool of_loader; /* the kernel's own exec of a loader, allowed as such */
};

/* Expected outcomes: ask again a little later. */
enum {
	JUDGE_NOT_YET = 1, /* the thread has not gone to sleep */
	JUDGE_BUSY,	   /* others may be done by then; if need be, no */
};

/* When an event is judged. */
struct judge_time {
	int64_t now_s;	   /* realtime */
	int64_t waited_ns; /* since it was first put aside */
	bool last_chance;  /* it is not put aside (again) */
};

MUST_CHECK int judge_init(struct judge *judge, const struct gate_ends *ends,
			  struct opener_room room);
void judge_done(struct judge *judge);

/* The account that any of the four uids belongs to, or POLICY_NONE. */
uint32_t judge_account(const struct policy *policy,
		       const struct process_ids *ids);

/*
 * Judge an event of a leashed thread.  0, JUDGE_NOT_YET or JUDGE_BUSY, neither
 * of them if it is the last chance.
 */
MUST_CHECK int judge_event(struct judge *judge, const struct policy *policy,
			   struct opener *opener,
			   const struct fanotify_event_metadata *event,
			   const struct judge_time *when,
			   struct judgement *ret);

/*
 * Keep in mind what the thread's next event needs.  unasked: the kernel will
 * not ask about opening the file.  The opener is not valid after.
 */
void judge_remember(struct judge *judge, struct opener *opener,
		    const struct judgement *judgement, bool unasked);
