#pragma once

/*
 * gate_asked - all that is known of the packet that is being judged
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/policy/flow.h"
#include "gatekeeper/policy/host_name.h"
#include "nfqueue/names/pins.h"
#include "nfqueue/packets/packet.h"
#include "nfqueue/packets/queue.h"

/* What the kernel, too, calls a uid that is none. */
#define GATE_ASKED_NOBODY UINT32_MAX

struct gate_asked {
	struct queue_packet queued;
	struct packet packet;
	struct policy_flow flow;
	uint32_t uid;
	uint32_t memory_uid; /* the account's own, by which it is known */
	uint64_t inode;
	bool inode_known;
	bool process_known; /* net_gate.process is of this packet */
	bool is_heard;	    /* what it says is part of the verdict */
	const char *source; /* how its host is known */
	const char *names[PINS_NAMES_MAX];
	char said_name[HOST_NAME_SIZE];
};
