#pragma once

/*
 * judge_flow - judges packets of connections
 *
 * The first packet of a flow, and where names are the evidence each until the
 * client has said which it wants.  Verdict first, then the record: whose
 * process it was is looked for once the packet is on its way, except where a
 * rule names a program, or a refusal would close the socket.
 */

#include "nfqueue/gate_asked.h"
#include "nfqueue/gate_state.h"

/* Answer a packet of NET_QUEUE_OUT or NET_QUEUE_IN. */
void judge_flow_packet(struct net_gate *gate,
		       const struct queue_packet *queued);

/*
 * Must a connection of uid that is open already be cut, because the policy
 * denies packet's addresses?
 */
bool judge_flow_must_cut(struct net_gate *gate, uint32_t uid,
			 const struct packet *packet);
