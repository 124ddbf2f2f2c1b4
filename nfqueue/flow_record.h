#pragma once

/* flow_record - writes down what was asked and answered */

#include "gatekeeper/policy/decide.h"
#include "nfqueue/gate_asked.h"
#include "nfqueue/gate_state.h"

/*
 * Look for the process behind asked, unless that was done; with all, for every
 * process that holds its socket.
 */
void flow_record_find_process(struct net_gate *gate, struct gate_asked *asked,
			      bool all);

/* Look for its socket, unless that was done. */
void flow_record_find_socket(struct net_gate *gate, struct gate_asked *asked);

/* A connection, or an answer to one, and what it was answered. */
void flow_record_put(struct net_gate *gate, struct gate_asked *asked,
		     const struct policy_answer *answer);

/* A name asked for, or what was answered to that, by the policy's account. */
void flow_record_put_name(struct net_gate *gate, const struct dns_held *held,
			  const char *name, const struct policy_answer *answer);
