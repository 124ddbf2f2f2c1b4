#pragma once

/*
 * reply - the answer to a request, as one line of JSON
 */

#include <jansson.h>

#include "gatekeeper/base/cleanup.h"
#include "toolcall/judge.h"

/* Each yields a line, owned by the caller and freed by free(); NULL: no
 * memory. */
char *reply_verdict(const struct policy *policy, const struct request *request,
		    const struct verdict *verdict);
char *reply_offer(const struct policy *policy, uint32_t account,
		  const struct request *request, int64_t now_s);
char *reply_plain(const char *verdict, const char *reason);
