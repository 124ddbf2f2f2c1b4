#pragma once

/*
 * address - addresses as people write them, and where they lead
 *
 * Special are those that no public name leads to in good faith: this machine,
 * the local network, private networks, the metadata service of a cloud,
 * multicast; also inside IPv4-mapped, 6to4 and NAT64 addresses.
 * Source: the IANA special-purpose registries.
 */

#include <stdbool.h>

#include "gatekeeper/policy/image.h"

/* Read "192.0.2.1" or "2001:db8::1".  Its family, or 0 for neither. */
int address_read(const char *text, struct policy_address *ret);

bool address_is_special(const struct policy_address *address);
