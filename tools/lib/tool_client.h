#pragma once

/*
 * tool_client - ask leash-toolcall (wire/toolcall.h)
 *
 * Never waits beyond the deadline, and believes nobody but root: somebody
 * else's socket would say yes to all.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

#define TOOL_CLIENT_PATIENCE_MS 5000

struct tool_client {
	int fd;	     /* owned; -1: not connected */
	char *bytes; /* owned: the reply under way */
	size_t room;
	bool nobody; /* where it connected last, nobody listened */
};

#define TOOL_CLIENT_NONE ((struct tool_client){.fd = -1})

void tool_client_done(struct tool_client *client);

/*
 * Ask, connecting first if need be; request stays the caller's.  The reply, an
 * object with a verdict, is the caller's.  NULL: *ret_problem is a sentence,
 * static, and the answer is no.
 */
json_t *tool_client_ask(struct tool_client *client, const json_t *request,
			const char **ret_problem);

/* A JSON text; no key twice.  NULL: it is none.  Numbers beyond 64 bits become
 * approximate. */
json_t *tool_client_read(const char *text, size_t length);
