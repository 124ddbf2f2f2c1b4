#pragma once

/*
 * gate_ends - what the net gate is given, all of it by gatekeeper
 */

#include "gatekeeper/base/channel.h"
#include "gatekeeper/wire/net_memory.h"

struct net_gate_ends {
	int control; /* messages from and to gatekeeper */
	int wake;    /* eventfd: the store sleeps */
	int dns;     /* leash-dns */
	int proc;    /* of process_open_proc() */
	struct net_memory *memory;
	struct channel *channel; /* where records go */
};
