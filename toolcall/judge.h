#pragma once

/*
 * judge - one request in, one verdict out
 *
 * In this order, and the first no decides: the rules for the tool's name and
 * arguments, its rate; what the arguments name, by the account's rules for
 * files, hosts and programs, as the other gates would judge it; what the
 * arguments hold, by what is to be searched for.
 *
 * No I/O but to follow symlinks of paths that are named.  Bounded in time: what
 * takes JUDGE_NS of the processor is refused.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/base/effort.h"
#include "toolcall/inspect.h"
#include "toolcall/request.h"

struct judge;

/* For one request; 8 MiB of what agents write take a fifth of it. */
#define JUDGE_NS	   (CLOCK_NS_PER_S / 2)

#define VERDICT_TEXT_MAX   2048
#define VERDICT_DETAIL_MAX 1024

struct verdict {
	struct policy_answer answer;
	char reason[VERDICT_TEXT_MAX]; /* a sentence, without what was found */
	char detail[VERDICT_DETAIL_MAX]; /* the same for the log; or empty */
	struct findings findings;
};

MUST_CHECK int judge_new(struct judge **ret);
struct judge *judge_free(struct judge *judge);
DEFINE_CLEANUP(struct judge *, judge_free)

/* Judge by policy from now on, which the caller keeps. */
MUST_CHECK int judge_use(struct judge *judge, const struct policy *policy);

/*
 * A new request: from now on count what it costs.  When that is spent, what
 * is judged is refused, and what is shown is not.
 */
void judge_begin(struct judge *judge);

/* That of the request under way; of the judge, always there. */
struct effort *judge_effort(struct judge *judge);

/* Whether a short text holds a secret, and so is not to be shown. */
bool judge_finds_secret(struct judge *judge, const char *text);

struct asker {
	uint32_t account;
	uint32_t uid;
	int64_t now_ns; /* monotonic */
	int64_t now_s;	/* realtime */
};

/*
 * Judge a call, a result or a prompt.  What is to be redacted is, in
 * request->body.  Without memory the verdict is no.
 */
void judge_request(struct judge *judge, const struct asker *asker,
		   struct request *request, struct verdict *ret);
