#pragma once

/*
 * net_queue - what the firewall rules and the net gate agree on
 *
 * gatekeeper's rules send the first packet of a flow of a leashed account to a
 * queue; the net gate answers with a mark; the rules keep that mark with the
 * flow (ct mark), and a flow that has it is not asked about again.
 *
 * The mark is one byte, the highest, of packet and flow.  Its value says under
 * which generation of the policy the flow was allowed, or found to be nobody's
 * who is leashed: after a reload the rules ask for other values, so every flow
 * is looked at again at its next packet, without anybody having to find it.
 * Values come round again after 126 reloads.
 */

#include <stdint.h>

#define NET_QUEUE_OUT	7845 /* flows the account begins */
#define NET_QUEUE_IN	7846 /* its answers to those who connect to it */

#define NET_MARK_MASK	UINT32_C(0xff000000)
#define NET_MARK_DENIED UINT32_C(0xff000000) /* packets only */
#define NET_MARK_OTHERS UINT32_C(0x01000000) /* this bit: not of an account */
#define NET_MARK_VALUES 126

/* The mark of flows allowed under this generation. */
static inline uint32_t net_queue_mark(uint64_t generation)
{
	return (uint32_t)(generation % NET_MARK_VALUES * 2 + 2) << 24;
}

/* The mark of other users' flows. */
static inline uint32_t net_queue_mark_others(uint64_t generation)
{
	return net_queue_mark(generation) | NET_MARK_OTHERS;
}
