#pragma once

/*
 * as_read - let a packet go on with the very bytes that were read
 *
 * What a socket sends may lie in pages that its sender still has: spliced from
 * a pipe or a file, or sent with MSG_ZEROCOPY.  They may be written to until
 * the device, or a receiver on this machine, has copied them.  So where a
 * verdict rests on what a packet says, the packet goes on with our copy of it,
 * in memory that is nobody's but the kernel's.
 *
 * What TCP sends again is sent from those pages again: a flow is let go when
 * what was read has arrived (judge_flow.c).
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "nfqueue/packets/packet.h"
#include "nfqueue/packets/queue.h"

/*
 * As queue_pass().  packet was parsed from queued's payload.  What could not be
 * read goes on as it is: a packet that was cut or is yet to be, or one of
 * neither TCP nor UDP.
 */
MUST_CHECK int as_read_pass(struct queue *queue,
			    const struct queue_packet *queued,
			    const struct packet *packet, uint32_t mark);
