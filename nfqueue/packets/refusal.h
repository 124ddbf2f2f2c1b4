#pragma once

/*
 * refusal - what a caller hears who may not connect to the account
 *
 * The account's own system has already said yes, by SYN and ACK.  That packet
 * is turned into a reset before it leaves: the caller learns at once that
 * nobody is there, and nothing of the account's.
 */

#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

#define REFUSAL_SIZE_MAX 80 /* IPv6 and TCP without options, and to spare */

/* Expected outcome. */
enum {
	REFUSAL_NONE = 1, /* not the second packet of a TCP connection */
};

/*
 * Make the reset out of packet, which begins at its IP header.  Returns 0 and
 * the reset in buffer, *ret_length bytes.
 */
MUST_CHECK int refusal_make(const void *packet, size_t length,
			    char buffer[static REFUSAL_SIZE_MAX],
			    size_t *ret_length);
