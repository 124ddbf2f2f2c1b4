#pragma once

/*
 * dns_reply - what an asker hears in place of what it asked for
 *
 * A question that is refused is turned round: a packet that comes back from
 * the resolver it was sent to, with no such name (glibc waits long after any
 * other refusal) and why in an Extended DNS Error (RFC 8914).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "nfqueue/packets/packet.h"

#define DNS_REPLY_SIZE_MAX  1500
#define DNS_REPLY_PARTS_MAX 4

enum dns_reply_code {
	DNS_REPLY_NO_DATA = 0,
	DNS_REPLY_NO_NAME = 3,
};

/* One message that is replied to. */
struct dns_reply_part {
	const uint8_t *message; /* DNS, from its header */
	size_t question_end;	/* offset of what follows its question */
	bool has_edns;
	enum dns_reply_code code;
};

struct dns_reply {
	const struct packet *packet; /* that carried the messages */
	bool turned; /* it was the question; else it was the answer */
	const char *reason;
	struct dns_reply_part parts[DNS_REPLY_PARTS_MAX]; /* UDP has one */
	unsigned int count;
};

/* Expected outcome. */
enum {
	DNS_REPLY_TOO_LONG = 1,
};

MUST_CHECK int dns_reply_make(const struct dns_reply *reply,
			      char buffer[static DNS_REPLY_SIZE_MAX],
			      size_t *ret_length);
