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
/* Of an object, which is taken over. */
char *reply_line(json_t *object);
/* One member beside the verdict, which is "allow"; value is taken over. */
char *reply_value(const char *key, json_t *value);
char *reply_plain(const char *verdict, const char *reason);
