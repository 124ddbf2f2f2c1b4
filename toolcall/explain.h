#pragma once

/*
 * explain - would it be allowed, by which rule, and which would be next
 *
 * Of a file, a program or a host: asks the same functions as the gates do.  The
 * rules that lose are found by asking again without the one that decided, so
 * their order is the order in which they would decide.
 *
 * An account asks about itself; root, and whoever gatekeeper's own socket is
 * for (wire/control.h), about any.  What a path leads to, and what its inode
 * is, whoever asks has found out: an account that lies about it is told lies
 * about itself, and nothing is opened here for anybody.
 */

#include <sys/socket.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/effort.h"
#include "gatekeeper/policy/image.h"
#include "toolcall/request.h"

/* Whoever asks, and the socket by which, borrowed. */
struct explain_asker {
	struct ucred peer;
	int link;
};

/*
 * Answer request (wire/toolcall.h): a line, owned by the caller and freed by
 * free(); NULL: no memory.  What takes more than effort is refused.
 */
char *explain_give(const struct policy *policy,
		   const struct explain_asker *asker,
		   const struct request *request, struct effort *effort);
