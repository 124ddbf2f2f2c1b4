#pragma once

/*
 * net_gate - answers packets
 *
 * The firewall rules that gatekeeper makes send here the first packet of every
 * flow a leashed account begins, and what it would answer to those who may not
 * connect to it.  Each is judged by the policy in force, marked and let go:
 * the rules keep the mark of an allowed flow, and refuse a packet marked as
 * denied (wire/net_queue.h).
 *
 * Whose packet it is: the owner of the socket, which the kernel tells with the
 * packet, or which is asked for.  Where nobody knows, every account must be
 * allowed it.
 */

#include "gatekeeper/base/cleanup.h"
#include "nfqueue/gate_ends.h"

struct net_gate;

/* The ends are borrowed.  Binds the queues; waits for them if need be. */
MUST_CHECK int net_gate_new(const struct net_gate_ends *ends,
			    struct net_gate **ret);
struct net_gate *net_gate_free(struct net_gate *gate);
DEFINE_CLEANUP(struct net_gate *, net_gate_free)

/* Answer until told to stop (0) or until it cannot go on (negative). */
MUST_CHECK int net_gate_run(struct net_gate *gate);
