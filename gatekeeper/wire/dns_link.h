#pragma once

/*
 * dns_link - what the net gate and leash-dns say to each other
 *
 * The gate sends each DNS message that it holds, and is told what it says; no
 * byte of a message is looked into where there is privilege.  One datagram of
 * a SOCK_SEQPACKET pair each way; answers come in the order of the asking.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/policy/image.h"

#define DNS_LINK_MESSAGE_MAX 65535
#define DNS_LINK_RECORDS_MAX 512 /* addresses beyond are not told */
#define DNS_LINK_NAME_SIZE   256

/* Of each side: many small messages, or a few of the largest. */
#define DNS_LINK_BUFFER_BYTES (1 << 20)

enum dns_link_kind {
	DNS_LINK_QUESTION = 1,
	DNS_LINK_ANSWER,
};

/* Before the bytes of the message. */
struct dns_link_ask {
	uint64_t number; /* comes back */
	uint32_t kind;	 /* enum dns_link_kind */
	uint32_t zero;
};

enum dns_link_outcome {
	DNS_LINK_UNDERSTOOD = 1,
	DNS_LINK_MALFORMED, /* no such message, or one that hides something */
};

struct dns_link_record {
	struct policy_address address;
	uint32_t ttl_s; /* the least on the way from the name asked */
};

struct dns_link_told {
	uint64_t number;
	uint32_t outcome; /* enum dns_link_outcome; the rest if UNDERSTOOD */
	uint16_t id;
	uint16_t type;
	uint16_t class;
	uint16_t question_end; /* offset of what follows the question */
	uint8_t response_code;
	uint8_t has_edns;
	/* As it is written, lower case; odd bytes escaped; "" is the root. */
	char name[DNS_LINK_NAME_SIZE];
	uint32_t count; /* of records that follow; only these are sent */
	struct dns_link_record records[DNS_LINK_RECORDS_MAX];
};
