#pragma once

/*
 * rates - how often a rule has let calls through lately
 *
 * A sliding window for each rule and account.  Only what is let through
 * counts.  They are kept over a reload, by the rule's name; not over the death
 * of leash-toolcall.  Pure: the caller passes the time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct rates;

MUST_CHECK int rates_new(struct rates **ret);
struct rates *rates_free(struct rates *rates);
DEFINE_CLEANUP(struct rates *, rates_free)

/*
 * May one more be let through, of at most max in per_s?  If so, and take, it
 * is counted.  Without memory the answer is no.
 */
bool rates_allow(struct rates *rates, uint32_t uid, const char *rule,
		 uint32_t max, uint32_t per_s, int64_t now_ns, bool take);
