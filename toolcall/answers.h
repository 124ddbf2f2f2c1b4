#pragma once

/*
 * answers - the answer to a request, and its record in the log
 */

#include <sys/socket.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/record.h"
#include "toolcall/judge.h"
#include "toolcall/pins/pins.h"

struct answers { /* all borrowed but where it says so */
	struct judge *judge;
	struct pins *pins;
	struct channel *channel;
	int wake;
	const struct policy *policy;
	/* Big, so not on the stack. */
	struct verdict verdict;
	char record[RECORD_SIZE_MAX * 2];
	char *kept; /* owned: records until their reply is out */
	size_t kept_bytes;
};

/*
 * Answer what peer asks over link, a socket, borrowed: a line, owned by the
 * caller and freed by free(); NULL: no memory.
 */
char *answers_give(struct answers *answers, const struct ucred *peer, int link,
		   struct request *request);

/* Put into the log what was answered, once the reply is out. */
void answers_record(struct answers *answers);
