#pragma once

/*
 * server - answers those who connect to the socket (wire/toolcall.h)
 *
 * One loop, one request at a time, one request of each uid in turn.  What
 * a client may keep is bounded: connections and bytes for each uid.
 */

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/cleanup.h"
#include "toolcall/judge.h"
#include "toolcall/pins.h"

#define SERVER_CLIENTS_MAX 256
#define SERVER_CLIENTS_UID 64 /* of one uid */
#define SERVER_BYTES_UID   ((size_t)64 << 20)

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
