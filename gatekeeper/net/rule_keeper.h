#pragma once

/*
 * rule_keeper - the firewall rules that lead to the net gate
 *
 * They are made by a task, since the programs that do it open files and this
 * process may not wait for that; a task looks after them every few seconds, and
 * they are put back when somebody has changed them.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/event_log.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/system/loop.h"

struct rule_keeper;

/* Both borrowed. */
MUST_CHECK int rule_keeper_new(struct loop *loop, struct event_log *log,
			       struct rule_keeper **ret);

/* The rules stay. */
struct rule_keeper *rule_keeper_free(struct rule_keeper *keeper);
DEFINE_CLEANUP(struct rule_keeper *, rule_keeper_free)

/*
 * Every 100 ms, and at once when there is another policy or the gate has it:
 * see that the rules are those of policy (borrowed until the next call), once
 * the gate judges by it, since what they send must be judged by then.
 */
void rule_keeper_follow(struct rule_keeper *keeper, const struct policy *policy,
			uint64_t gate_generation);

/* Whose rules are in force, 0 for none. */
uint64_t rule_keeper_generation(const struct rule_keeper *keeper);

/* Why there are none, or "" while nothing speaks against it. */
const char *rule_keeper_problem(const struct rule_keeper *keeper);

/* Take the rules away, and wait for that. */
void rule_keeper_remove(struct rule_keeper *keeper);
