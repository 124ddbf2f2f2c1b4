#pragma once

/*
 * dns_asker - packets that wait until leash-dns has said what is in them
 *
 * A packet that carries DNS messages is held, each message is sent to
 * leash-dns, and once all have been told about, the packet gets its verdict;
 * other packets get theirs meanwhile.  What leash-dns tells is checked for its
 * bounds: it reads what strangers wrote.
 *
 * Bounded in packets and bytes.  Whoever is turned away asks again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/dns_link.h"
#include "nfqueue/names/dns_reply.h"
#include "nfqueue/packets/packet.h"
#include "nfqueue/packets/queue.h"

struct dns_asker;

/* What becomes of a held packet. */
enum dns_fate {
	DNS_FATE_PASS,
	DNS_FATE_REPLY, /* other words in its place */
	DNS_FATE_DROP,
};

struct dns_held {
	struct queue_packet queued; /* with a copy of the payload */
	struct packet packet;	    /* into that copy */
	enum dns_link_kind kind;
	uint32_t uid;	      /* of whoever asks */
	unsigned int pending; /* messages not yet told about */
	enum dns_fate fate;   /* so far; starts as PASS */
	bool any_told;
	struct dns_reply reply;
	void *payload; /* owned */
};

/* One message, and what leash-dns says of it. */
struct dns_asker_told {
	struct dns_held *held;
	const uint8_t *message; /* in held's payload; NULL for a stream's */
	const struct dns_link_told *told;
};

/* Expected outcomes. */
enum {
	DNS_ASKER_FULL = 1,
	DNS_ASKER_EMPTY, /* nothing has been told */
};

/* fd is borrowed. */
MUST_CHECK int dns_asker_new(int fd, struct dns_asker **ret);
struct dns_asker *dns_asker_free(struct dns_asker *asker);
DEFINE_CLEANUP(struct dns_asker *, dns_asker_free)

/* Hold the packet; dns_asker_release() when it has got its verdict. */
MUST_CHECK int dns_asker_hold(struct dns_asker *asker,
			      const struct queue_packet *queued,
			      struct dns_held **ret);
void dns_asker_release(struct dns_asker *asker, struct dns_held *held);

/* Ask about one message of a held packet. */
MUST_CHECK int dns_asker_ask(struct dns_asker *asker, struct dns_held *held,
			     const uint8_t *message, size_t length,
			     int64_t now_ns);

/* Take what has been told; valid until the next call. */
MUST_CHECK int dns_asker_take(struct dns_asker *asker,
			      struct dns_asker_told *ret);

/* Is anybody waiting for it? */
bool dns_asker_is_waiting(const struct dns_asker *asker);

/* Has leash-dns kept somebody waiting for longer than it may? */
bool dns_asker_is_overdue(const struct dns_asker *asker, int64_t now_ns);
