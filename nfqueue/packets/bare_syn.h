#pragma once

/*
 * bare_syn - the first packet of a connection, without data
 *
 * Whether its receiver takes data with a SYN (TCP Fast Open) nobody can tell
 * who sees only what goes out.  Where it does not, the data comes again, and
 * may then be other data.  So where a name is to be read in it, it is left out:
 * the sender hears that it was not taken, and sends it with what follows.
 */

#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "nfqueue/packets/packet.h"
#include "nfqueue/packets/queue.h"

#define BARE_SYN_SIZE_MAX 256 /* headers with more are no honest ones */

/* Expected outcome. */
enum {
	BARE_SYN_TOO_LONG = 1,
};

/*
 * Make it out of bytes, which begin at the IP header and of which packet is
 * what packet_parse() found.  Returns 0 and it in buffer, *ret_length bytes.
 */
MUST_CHECK int bare_syn_make(const void *bytes, const struct packet *packet,
			     char buffer[static BARE_SYN_SIZE_MAX],
			     size_t *ret_length);

/*
 * Send it in the place of queued; where it cannot be made, queued is dropped.
 */
MUST_CHECK int bare_syn_pass(struct queue *queue,
			     const struct queue_packet *queued,
			     const struct packet *packet, uint32_t mark);
