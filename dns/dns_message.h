#pragma once

/*
 * dns_message - what a DNS message says (RFC 1035, 6891)
 *
 * Pure.  Names are read by c-ares, which bounds what compression may do.  Only
 * the answer section of an answer counts, and of it only what the name asked
 * leads to through CNAMEs: whatever else a resolver adds is no answer.  A
 * question carries its name and what dns/edns.h lets it; its flags are whether
 * to recurse and to check.
 */

#include <stddef.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/dns_link.h"

/* Expected outcome. */
enum {
	DNS_MESSAGE_MALFORMED = 1,
};

/* Read one message of that kind.  Fills all of *ret but number and outcome. */
MUST_CHECK int dns_message_read(const void *bytes, size_t length,
				enum dns_link_kind kind,
				struct dns_link_told *ret);
