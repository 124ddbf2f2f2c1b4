#pragma once

/*
 * net_keeper - the net gate and the firewall rules that lead to it
 *
 * Starts the gate, and another when it dies or no longer answers; meanwhile
 * the rules stand and what they send to the queue is dropped.  The rules are
 * made by a child, since the programs that do it open files and this process
 * may not wait for that; a child looks after them every few seconds, and they
 * are put back when somebody has changed them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/life.h"
#include "gatekeeper/net_helpers.h"
#include "gatekeeper/policy/image.h"

struct net_keeper;

struct net_keeper_setup {
	struct net_helpers_setup helpers;
	struct life *life; /* borrowed */
};

MUST_CHECK int net_keeper_new(const struct net_keeper_setup *setup,
			      struct net_keeper **ret);

/* Kills a gate that still runs; the rules stay. */
struct net_keeper *net_keeper_free(struct net_keeper *keeper);
DEFINE_CLEANUP(struct net_keeper *, net_keeper_free)

/* Readable when net_keeper_dispatch() has something to do. */
int net_keeper_fd(const struct net_keeper *keeper);
void net_keeper_dispatch(struct net_keeper *keeper);

/* Every 100 ms. */
void net_keeper_tick(struct net_keeper *keeper, int64_t now_ns);

/* Judge by this policy from now on; both borrowed until the next. */
void net_keeper_set_policy(struct net_keeper *keeper,
			   const struct policy *policy, int fd);

/* The generation that both the gate and the rules have, 0 for none. */
uint64_t net_keeper_generation(const struct net_keeper *keeper);

/* Why there are no rules, or "" while nothing speaks against it. */
const char *net_keeper_problem(const struct net_keeper *keeper);

/* The gate's pid, -1 for none. */
pid_t net_keeper_pid(const struct net_keeper *keeper);

/* Take the rules away and end the gate, once no file is marked any more. */
void net_keeper_stop(struct net_keeper *keeper);
