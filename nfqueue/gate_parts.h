#pragma once

/*
 * gate_parts - what the parts of the net gate share
 *
 * Private to them: net_gate.c waits and hands out, judge_flow.c judges
 * connections, judge_name.c questions and answers, flow_record.c writes down.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/patience.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/wire/net_memory.h"
#include "gatekeeper/wire/record.h"
#include "nfqueue/dns_asker.h"
#include "nfqueue/name_limits.h"
#include "nfqueue/net_gate.h"
#include "nfqueue/packet.h"
#include "nfqueue/pins.h"
#include "nfqueue/questions.h"
#include "nfqueue/queue.h"
#include "nfqueue/socket_owner.h"
#include "nfqueue/streams.h"

struct net_gate {
	struct net_gate_ends ends;
	struct queue *queue;
	struct socket_owner *owner;
	struct streams *clients;   /* that have yet to say a name */
	struct streams *resolvers; /* in the middle of an answer */
	struct questions *questions;
	struct name_limits *limits;
	struct dns_asker *asker;
	struct patience patience;
	struct policy *policy; /* NULL before the first */
	bool orphaned;
	bool stopping;
	int64_t complained_s;
	struct socket_process process; /* large, so not on a stack */
	char record[RECORD_SIZE_MAX * 2];
};

/* What the kernel, too, calls a uid that is none. */
#define GATE_PARTS_NOBODY UINT32_MAX

/* All that is known of one packet. */
struct gate_asked {
	struct queue_packet queued;
	struct packet packet;
	struct policy_flow flow;
	uint32_t uid;
	uint32_t memory_uid; /* the account's own, by which it is known */
	uint64_t inode;
	bool inode_known;
	bool process_known; /* net_gate.process is of this packet */
	const char *source; /* how its host is known */
	const char *names[PINS_NAMES_MAX];
	char said_name[HOST_NAME_SIZE];
};
