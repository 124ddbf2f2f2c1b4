#pragma once

/*
 * gates - two file gates, one that answers and one that could
 *
 * Starts them, gives them policies, replaces them.  When the one at work dies
 * or stands still, what it owes is answered at once and the spare goes on;
 * when there is no spare, gatekeeper answers by itself - leashed accounts are
 * refused, everybody else goes on - until one is ready.  Gates that keep
 * dying are started ever more slowly: that state is called lockdown.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/life.h"
#include "gatekeeper/mount_guard.h"
#include "gatekeeper/policy/image.h"

#define GATES_COUNT 2

struct gates;

struct gates_setup {
	const char *program; /* leash-fanotify */
	int group;
	int channel;
	int wake;
	struct life *life;	   /* all borrowed */
	struct mount_guard *guard; /* which gates keep alive; or NULL */
};

MUST_CHECK int gates_new(const struct gates_setup *setup, struct gates **ret);

/* Kills what still runs. */
struct gates *gates_free(struct gates *gates);
DEFINE_CLEANUP(struct gates *, gates_free)

/* Readable when gates_dispatch() has something to do. */
int gates_fd(const struct gates *gates);

/*
 * Judge by policy, whose image is in fd; both are borrowed until the next
 * call.  The first call makes the gates start at the next tick.
 */
void gates_set_policy(struct gates *gates, const struct policy *policy, int fd);

/* Handle what has happened. */
void gates_dispatch(struct gates *gates);

/* Every 100 ms: find gates that stand still, start those that are missing. */
void gates_tick(struct gates *gates, int64_t now_ns);

/* The generation that the answering gate judges by, 0 if none answers. */
uint64_t gates_generation(const struct gates *gates);

/* Answering and spare both in place. */
bool gates_complete(const struct gates *gates);

/* Whether they die faster than they can be of use. */
bool gates_locked_down(const struct gates *gates);

/* The running gates' pids, -1 for none. */
void gates_pids(const struct gates *gates, pid_t ret[static GATES_COUNT]);

/* That of the one that answers, -1 for none. */
pid_t gates_answering(const struct gates *gates);

/* How many files the kernel opens without asking it. */
uint32_t gates_unasked(const struct gates *gates);

/* Let what is queued be answered and end them, within two seconds. */
void gates_stop(struct gates *gates);
