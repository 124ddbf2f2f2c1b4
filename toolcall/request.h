#pragma once

/*
 * request - one question (wire/toolcall.h), read
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

enum request_ask {
	REQUEST_CALL,
	REQUEST_RESULT,
	REQUEST_PROMPT,
	REQUEST_DEFINE,
	REQUEST_EVENT,
	REQUEST_PENDING,
	REQUEST_TRUST,
	REQUEST_EXPLAIN,
};

#define REQUEST_TOOL_MAX 512

struct request {
	json_t *root; /* owned; all else is borrowed from it */
	enum request_ask ask;
	char tool[REQUEST_TOOL_MAX]; /* whole: mcp__SERVER__NAME */
	const char *server;	     /* or NULL */
	json_t *body;		     /* arguments, result, text or tools */
	const char *body_key;
	const char *cwd;     /* absolute, or NULL */
	const char *client;  /* or NULL */
	const char *account; /* or NULL */
	const char *detail;  /* or NULL */
	const char *digest;  /* or NULL */
	const char *own;     /* the tool's own name, or NULL */
	const char *event;   /* or NULL */
	bool explain;
	bool exact; /* false: some number was too big to be kept */
};

/* Expected outcome. */
enum {
	REQUEST_WRONG = 1,
};

/* Read; on REQUEST_WRONG *ret_problem is a sentence, static. */
MUST_CHECK int request_read(const char *text, size_t length,
			    struct request *ret, const char **ret_problem);
void request_done(struct request *request);

/* One of its members; NULL: not there, no text, or one with a NUL in it. */
const char *request_text(const struct request *request, const char *key);

/*
 * Any JSON text, with NULs, without duplicate keys, of at most 1,000 levels and
 * 500,000 values; numbers beyond 64 bits become approximate (*ret_exact).
 * NULL: it is not.
 */
json_t *request_json(const char *text, size_t length, bool *ret_exact);
