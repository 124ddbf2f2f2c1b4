#pragma once

/*
 * questions - what accounts have asked resolvers and not been answered yet
 *
 * An answer counts only if it is to a question that is here: from the resolver
 * that was asked, to the socket that asked, with its number, name, type and
 * class, and not too late.  Bounded: where a set is full, the oldest goes and
 * its answer will be none.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/dns_link.h"
#include "nfqueue/packets/packet.h"

struct questions;

struct question {
	int64_t asked_ns; /* 0: free */
	uint32_t uid;	  /* the account's */
	uint32_t protocol;
	struct policy_address source; /* who asks */
	struct policy_address resolver;
	uint16_t source_port;
	uint16_t id;
	uint16_t type;
	uint16_t class;
	unsigned int times; /* asked again with the same number */
	char name[DNS_LINK_NAME_SIZE];
};

MUST_CHECK int questions_new(struct questions **ret);
struct questions *questions_free(struct questions *questions);
DEFINE_CLEANUP(struct questions *, questions_free)

/* Uid asks what packet was told to say. */
void questions_add(struct questions *questions, uint32_t uid,
		   const struct packet *packet,
		   const struct dns_link_told *told, int64_t now_ns);

/*
 * Is packet, told to say this, the answer to one?  Then that counts as
 * answered, and *ret_uid is whose it was.
 */
bool questions_take(struct questions *questions, const struct packet *packet,
		    const struct dns_link_told *told, int64_t now_ns,
		    uint32_t *ret_uid);
