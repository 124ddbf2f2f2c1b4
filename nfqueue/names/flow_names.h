#pragma once

/*
 * flow_names - by which name a TCP connection was allowed
 *
 * Lives in net_memory.  What the client said is seen once, when the flow
 * begins; when the policy has changed, or the gate, the flow is judged again
 * by what is written here, whatever has become of the name's pin meanwhile.
 * While it is arriving, the client may still say something else (judge_flow.c).
 * Where a set is full, the flow judged longest ago goes, and is then cut at
 * the next reload.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/net_memory.h"
#include "nfqueue/packets/packet.h"

struct flow_said {
	uint32_t said; /* enum policy_said */
	const char *name;
	bool arriving;
	uint32_t heard_to; /* arriving: sequence number behind what was said */
};

/* Remember it for the flow of packet. */
void flow_names_put(struct net_memory *memory, uint32_t uid,
		    const struct packet *packet, const struct flow_said *said,
		    int64_t now_s);

/* What was said has arrived. */
void flow_names_arrived(struct net_memory *memory, uint32_t uid,
			const struct packet *packet);

/* A new flow begins with packet: nothing is known of it. */
void flow_names_forget(struct net_memory *memory, uint32_t uid,
		       const struct packet *packet);

/* What is known of the flow of packet, or NULL. */
const struct net_named_flow *flow_names_find(const struct net_memory *memory,
					     uint32_t uid,
					     const struct packet *packet);
