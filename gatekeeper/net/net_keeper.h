#pragma once

/*
 * net_keeper - keeps the net gate at work, and what leads to it in place
 *
 * The gate and leash-dns, which reads for it, are started together, joined by a
 * socket of their own, and end together: what one was told, the other has
 * forgotten.  What a gate leaves to the next one is in memory that stays
 * (wire/net_memory.h).  While there is none, the firewall's rules stand
 * (rule_keeper.h) and what they send to the queue is dropped.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helpers/keeper.h"
#include "gatekeeper/policy/image.h"

struct net_keeper;

/* channel_fd: the gate's records.  Both borrowed. */
MUST_CHECK int net_keeper_new(const struct helper_house *house, int channel_fd,
			      struct net_keeper **ret);

/* Kills a gate that still runs; the rules stay. */
struct net_keeper *net_keeper_free(struct net_keeper *keeper);
DEFINE_CLEANUP(struct net_keeper *, net_keeper_free)

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
