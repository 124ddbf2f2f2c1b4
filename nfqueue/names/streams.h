#pragma once

/*
 * streams - what one side of TCP connections has sent so far
 *
 * Clients until they have said which host they want, resolvers until they have
 * finished an answer, and those who ask resolvers.  Bytes are kept in order;
 * each was let go when it came, so a second copy that differs from the first
 * proves an attempt to deceive.
 *
 * Bounded in number and in bytes: where a set is full, the stream that began
 * first is forgotten, and its connection then refused as never seen.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "nfqueue/packets/packet.h"

struct streams;

struct stream {
	int64_t begun_ns; /* 0: free */
	uint32_t uid;	  /* of the socket's owner */
	struct policy_address source;
	struct policy_address destination;
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t first;	   /* sequence number of the first byte */
	bool was_consumed; /* the first byte is not the connection's first */
	uint8_t *bytes;	   /* owned by streams; NULL: none yet */
	size_t length;
};

/* Expected outcomes of streams_add(). */
enum {
	STREAMS_GAP = 1,   /* bytes before these are missing */
	STREAMS_DIFFERENT, /* not what the first copy said */
	STREAMS_FULL,
	STREAMS_OLD, /* all of them were consumed before */
};

/* most: bytes of one stream. */
MUST_CHECK int streams_new(size_t most, struct streams **ret);
struct streams *streams_free(struct streams *streams);
DEFINE_CLEANUP(struct streams *, streams_free)

/* Begin packet's stream, which has SYN; one of the same flow is forgotten. */
struct stream *streams_begin(struct streams *streams,
			     const struct packet *packet, uint32_t uid,
			     int64_t now_ns);

/* The stream of packet, or NULL. */
struct stream *streams_find(struct streams *streams,
			    const struct packet *packet);

/* Add what the segment carries at that sequence number. */
MUST_CHECK int streams_add(struct streams *streams, struct stream *stream,
			   uint32_t sequence, const void *bytes, size_t length);

/* Does the segment say the same, as far as the stream knows? */
bool streams_agree(const struct stream *stream, uint32_t sequence,
		   const void *bytes, size_t length);

/* The stream's first bytes are done with. */
void streams_consume(struct streams *streams, struct stream *stream,
		     size_t length);

void streams_end(struct streams *streams, struct stream *stream);
