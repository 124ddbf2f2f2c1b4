#pragma once

/*
 * mcp_asker - what mcp_judge asks leash-toolcall
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/lib/tool_client.h"

struct mcp_asker {
	char *server; /* owned: its name */
	char *folder; /* owned, or NULL */
	struct tool_client client;
};

struct mcp_outcome {
	char *reason;	 /* owned; NULL: it may pass */
	json_t *changed; /* owned; NULL: as it is */
};

void mcp_asker_done(struct mcp_outcome *outcome);
void mcp_asker_deny(struct mcp_outcome *outcome, const char *reason);

/* A request that says who asks; the caller's. */
json_t *mcp_asker_begin(const struct mcp_asker *asker, const char *ask);

/* Ask; request is taken over.  body: the member that may come back changed. */
void mcp_asker_ask(struct mcp_asker *asker, json_t *request, const char *body,
		   struct mcp_outcome *ret);

/*
 * Have value searched, which goes one way or the other and took size bytes; a
 * big one in pieces, so that nobody else waits long.
 */
void mcp_asker_search(struct mcp_asker *asker, bool from_client,
		      const char *tool, json_t *value, size_t size,
		      struct mcp_outcome *ret);
