#pragma once

/*
 * keeper - keeps one helper at work
 *
 * Starts what a row tells, hands it the policy, asks for signs of
 * life, and starts another when it dies or stands still: at once if it lived
 * long, else after a pause that grows.  What is peculiar to a helper is its
 * owner's, who makes the keeper.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helpers/helper_row.h"
#include "gatekeeper/policy/image.h"

struct keeper;

struct keeper_setup {
	const struct helper_house *house; /* borrowed, like all of it */
	const struct helper_row *row;
	void *context; /* of what follows */
	/* Before each start: fill in what it is given. */
	int (*prepare)(void *context, struct helper_given *ret);
	/* It judges by another policy now.  May be NULL. */
	void (*loaded)(void *context);
	/* It is gone, and so are its descriptors here.  May be NULL. */
	void (*died)(void *context);
};

MUST_CHECK int keeper_new(const struct keeper_setup *setup,
			  struct keeper **ret);

/* Kills what still runs. */
struct keeper *keeper_free(struct keeper *keeper);
DEFINE_CLEANUP(struct keeper *, keeper_free)

/*
 * Judge by policy, whose image is in fd; both are borrowed until the next
 * call.  Before the first, nothing is started.
 */
void keeper_set_policy(struct keeper *keeper, const struct policy *policy,
		       int fd);

/* Every 100 ms: start one if there is none, end one that stands still. */
void keeper_tick(struct keeper *keeper, int64_t now_ns);

/* Start one now, whatever has been.  0 or a negative errno. */
MUST_CHECK int keeper_start(struct keeper *keeper);

/* Kill it, and forget it: no word, and none after it before the next tick. */
void keeper_end(struct keeper *keeper);

/* Kill it, which will then be found dead. */
void keeper_kill(struct keeper *keeper);

/* The same, and say why: "stands still". */
void keeper_replace(struct keeper *keeper, const char *why);

/* Ask it to finish, for so long; then kill it. */
void keeper_stop(struct keeper *keeper, int timeout_ms);

/* Its pid, -1 for none. */
pid_t keeper_pid(const struct keeper *keeper);

/* The generation that it judges by, 0 while it does by none. */
uint64_t keeper_generation(const struct keeper *keeper);
