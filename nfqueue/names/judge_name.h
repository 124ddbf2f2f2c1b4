#pragma once

/*
 * judge_name - judges questions about names, and the answers
 *
 * A question goes out if some rule could allow its name; else whoever asked
 * hears at once that there is none.  An answer is let in if it is one to such
 * a question, and only after its addresses have been pinned to the name, so
 * that no connection can come too early.
 */

#include "nfqueue/gate_asked.h"
#include "nfqueue/gate_state.h"

/* Is asked a packet to one of its account's resolvers? */
bool judge_name_is_for_resolver(const struct net_gate *gate,
				const struct gate_asked *asked);

/* Answer a packet to a resolver, now or when leash-dns has read it. */
void judge_name_question(struct net_gate *gate, struct gate_asked *asked);

/* The same for a packet of NET_QUEUE_DNS. */
void judge_name_answer(struct net_gate *gate,
		       const struct queue_packet *queued);

/* Take what leash-dns has told.  Negative: there is no going on. */
MUST_CHECK int judge_name_told(struct net_gate *gate);
