#pragma once

/*
 * mcp_judge - what becomes of one message between an MCP client and a server
 *
 * Messages are JSON-RPC: requests, notifications, responses, or batches of
 * them.  What leash-toolcall allows passes as the bytes it came in.  What it
 * does not is answered in the other side's stead, so that whoever asked learns
 * why; what cannot be understood does not pass.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

struct mcp_judge;

struct mcp_fate {
	bool unchanged; /* pass the bytes as they are */
	char *forward;	/* owned: a line to pass instead; or NULL */
	char *back;	/* owned: a line for where it came from; or NULL */
};

MUST_CHECK int mcp_judge_new(const char *server, struct mcp_judge **ret);
struct mcp_judge *mcp_judge_free(struct mcp_judge *judge);
DEFINE_CLEANUP(struct mcp_judge *, mcp_judge_free)

/* A message of length bytes, without its new line. */
void mcp_judge_from_client(struct mcp_judge *judge, const char *text,
			   size_t length, struct mcp_fate *ret);
void mcp_judge_from_server(struct mcp_judge *judge, const char *text,
			   size_t length, struct mcp_fate *ret);

/* What to say of a message that is too long to be judged; owned. */
char *mcp_judge_too_long(void);
