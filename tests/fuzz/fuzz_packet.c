/*
 * What the queue hands over: a netlink message, and in it a packet of an agent
 * that may write what it likes.  The first byte says which of the two is tried
 * by itself.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nfqueue/packets/packet.h"
#include "nfqueue/packets/queue.h"
#include "nfqueue/packets/refusal.h"
#include "tests/fuzz/fuzz.h"

static void try_packet(const void *bytes, size_t length)
{
	char address[PACKET_TEXT_MAX], text[PACKET_TEXT_MAX];
	char refusal[REFUSAL_SIZE_MAX];
	struct packet packet;
	size_t refusal_length;

	if (refusal_make(bytes, length, refusal, &refusal_length) == 0)
		assert(refusal_length <= length);
	if (packet_parse(bytes, length, &packet) == 0)
		assert(packet.protocol != 0);
	packet_address_text(&packet.destination, address);
	packet_peer_text(packet.protocol, address, packet.destination_port,
			 text);
	assert(strlen(text) < PACKET_TEXT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct queue_packet queued;
	uint8_t *copy;

	if (!size)
		return 0;
	/* Of its own, so that reading beyond its end is seen. */
	copy = malloc(size > 1 ? size - 1 : 1);
	assert(copy);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		try_packet(copy, size - 1);
	else if (queue_parse(copy, size - 1, &queued) == 0 && queued.payload)
		try_packet(queued.payload, queued.payload_length);
	free(copy);
	return 0;
}
