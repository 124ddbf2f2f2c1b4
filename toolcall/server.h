#pragma once

/*
 * server - answers those who connect to the socket (wire/toolcall.h)
 *
 * One loop, one request at a time, each bounded in time (judge.h); whose turn
 * it is, and how many connections and bytes each account may have, says
 * budget.h.  At those bounds: a connection more is closed, a request that has
 * no room is refused and its connection closed, an answer that has none is
 * replaced by a refusal.  To whoever asks, all of these are a no.
 */

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/cleanup.h"
#include "toolcall/judge.h"
#include "toolcall/pins/pins.h"

struct server;

struct server_ends {
	int control;
	int wake;
	int listener;
	struct channel *channel; /* all borrowed */
};

MUST_CHECK int server_new(const struct server_ends *ends, struct judge *judge,
			  struct pins *pins, struct server **ret);
struct server *server_free(struct server *server);
DEFINE_CLEANUP(struct server *, server_free)

/* Serve until told to stop. */
MUST_CHECK int server_run(struct server *server);
