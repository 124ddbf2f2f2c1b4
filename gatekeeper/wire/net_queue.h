#pragma once

/*
 * net_queue - what the firewall rules and the net gate agree on
 *
 * gatekeeper's rules send the first packet of a flow of a leashed account to a
 * queue; the net gate answers with a mark; the rules keep that mark with the
 * flow (ct mark), and a flow that has it is not asked about again.  A flow in
 * which the account asks for names has a mark of its own: every packet of it is
 * seen, the answers before they reach whoever asked.
 *
 * The mark is one byte, the highest, of packet and flow.  Its value says for
 * which account the flow was allowed and under which generation of the policy:
 * after a reload the rules ask for other values, so every flow is judged again
 * at its next packet, without anybody having to find it; and whoever uses the
 * port of a flow that has ended, while the kernel still knows it, is judged
 * unless it is the same account.  Values come round again after NET_MARK_CYCLE
 * reloads, and with every gatekeeper: before that, what flows carry is made
 * stale (gatekeeper/net/flow_marks.h).
 */

#include <stdint.h>

#define NET_QUEUE_OUT	  7845 /* flows the account begins */
#define NET_QUEUE_IN	  7846 /* its answers to those who connect to it */
#define NET_QUEUE_DNS	  7847 /* what resolvers answer it */

#define NET_MARK_MASK	  UINT32_C(0xff000000)
#define NET_MARK_DENIED	  UINT32_C(0xff000000) /* packets only */
#define NET_MARK_CLEAR	  UINT32_C(0xfe000000) /* packets: forget the flow's */
#define NET_MARK_STALE	  UINT32_C(0xfd000000) /* flows: of no generation */
#define NET_MARK_DNS	  UINT32_C(0xfc000000) /* names are asked for */
#define NET_MARK_REPLY	  UINT32_C(0xfb000000) /* packets: made by the gate */
#define NET_MARK_PENDING  UINT32_C(0xfa000000) /* flows: the client must say */

#define NET_MARK_VALUES	  248
#define NET_MARK_ACCOUNTS 4 /* beyond, accounts share values */
#define NET_MARK_CYCLE	  (NET_MARK_VALUES / NET_MARK_ACCOUNTS)

/* The mark of flows allowed to account under this generation. */
static inline uint32_t net_queue_mark(uint64_t generation, uint32_t account)
{
	uint64_t number =
		generation * NET_MARK_ACCOUNTS + account % NET_MARK_ACCOUNTS;

	return (uint32_t)(number % NET_MARK_VALUES + 1) << 24;
}
