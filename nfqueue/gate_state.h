#pragma once

/*
 * gate_state - what the net gate holds between two packets
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/busy_poll.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/record.h"
#include "nfqueue/gate_ends.h"
#include "nfqueue/names/dns_asker.h"
#include "nfqueue/names/name_limits.h"
#include "nfqueue/names/questions.h"
#include "nfqueue/names/streams.h"
#include "nfqueue/packets/queue.h"
#include "nfqueue/socket_owner.h"

struct net_gate {
	struct net_gate_ends ends;
	struct queue *queue;
	struct socket_owner *owner;
	struct streams *clients;   /* that have yet to say a name */
	struct streams *resolvers; /* in the middle of an answer */
	struct streams *askers;	   /* of resolvers, over TCP */
	struct questions *questions;
	struct name_limits *limits;
	struct dns_asker *asker;
	struct busy_poll busy_poll;
	struct policy *policy; /* NULL before the first */
	bool orphaned;
	bool stopping;
	int64_t complained_s;
	struct socket_process process; /* large, so not on a stack */
	char record[RECORD_SIZE_MAX * 2];
};
