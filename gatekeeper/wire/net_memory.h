#pragma once

/*
 * net_memory - what the net gate remembers and its successor needs
 *
 * Made by gatekeeper, written by one gate after the other.  Two tables of
 * sets: what is looked for can only be in the set that its hash names.  A gate
 * may die between any two writes, so an entry is taken out (time 0) before it
 * is written, and put in by its time, last; a name's last byte is NUL before
 * anything else is written.  Times are seconds of CLOCK_BOOTTIME.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "gatekeeper/policy/host_name.h"
#include "gatekeeper/policy/image.h"

#define NET_MEMORY_PIN_SETS  1024
#define NET_MEMORY_FLOW_SETS 512
#define NET_MEMORY_WAYS	     16

/* An address that an account was told for a name (nfqueue/names/pins.h). */
struct net_pin {
	_Atomic int64_t expires_s; /* 0: free */
	uint32_t uid;		   /* the account's */
	struct policy_address address;
	char name[HOST_NAME_SIZE];
};

/* A flow that was allowed by a name (nfqueue/names/flow_names.h). */
struct net_named_flow {
	_Atomic int64_t used_s; /* 0: free */
	uint32_t uid;
	uint32_t protocol; /* enum policy_protocol */
	uint32_t said;	   /* enum policy_said */
	uint32_t arriving; /* it has not all reached the other side */
	uint32_t heard_to; /* the sequence number behind it */
	struct policy_address source;
	struct policy_address destination;
	uint16_t source_port;
	uint16_t destination_port;
	char name[HOST_NAME_SIZE];
};

struct net_memory {
	uint64_t hash_seed;
	struct net_pin pins[NET_MEMORY_PIN_SETS][NET_MEMORY_WAYS];
	struct net_named_flow flows[NET_MEMORY_FLOW_SETS][NET_MEMORY_WAYS];
};
