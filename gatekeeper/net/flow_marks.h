#pragma once

/*
 * flow_marks - the kernel's memory of flows that were allowed once
 *
 * The mark of an allowed flow lives in conntrack, which outlives gatekeeper,
 * and a generation's mark is used again by the next gatekeeper and after every
 * NET_MARK_CYCLE reloads (wire/net_queue.h).  So before such a generation's
 * rules come into force, what older ones allowed is made stale: it is judged
 * again at its next packet.
 */

#include "gatekeeper/base/cleanup.h"

/*
 * Give every flow that carries a mark of ours NET_MARK_STALE instead.  Waits
 * for the kernel, which takes a second for a million flows.  The number of
 * flows, or a negative errno.
 */
MUST_CHECK int flow_marks_make_stale(void);
