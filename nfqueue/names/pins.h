#pragma once

/*
 * pins - which names an account has looked up and got an address for
 *
 * Lives in net_memory.  Where a set is full, the pin that expires first goes.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/net_memory.h"

/* Names beyond, for one address, are not found. */
#define PINS_NAMES_MAX NET_MEMORY_WAYS

/* Remember name for the address, at least until expires_s. */
void pins_add(struct net_memory *memory, uint32_t uid,
	      const struct policy_address *address, const char *name,
	      int64_t expires_s);

/*
 * The names by which uid knows the address; their number.  They point into
 * memory and are valid until the next pins_add().
 */
uint32_t pins_find(const struct net_memory *memory, uint32_t uid,
		   const struct policy_address *address, int64_t now_s,
		   const char *names[static PINS_NAMES_MAX]);
