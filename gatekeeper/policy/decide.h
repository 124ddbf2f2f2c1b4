#pragma once

/*
 * decide - the one judgement: facts in, verdict out
 *
 * Gates, `gatekeeper --check` and every later explanation call this same
 * function.  It is pure: no clock, no I/O, no allocation, and the same
 * question always has the same answer.  Its cost follows the length of the
 * path, not the number of rules.
 *
 * Which rule decides (leash.conf(5) says it for people):
 *   1. a denied file under any of its names, then a denying pattern
 *   2. the deepest rule that names the path or a folder above it;
 *      at the same depth, deny
 *   3. an allowing pattern
 *   4. the account's default
 * What cannot be known is denied, before any rule.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

/* Facts about the target that are true of it. */
enum policy_fact {
	POLICY_FACT_UNKNOWN_PATH = 1 << 0,
	POLICY_FACT_FOREIGN_MOUNT = 1 << 1,
	POLICY_FACT_DELETED = 1 << 2,
	/* EXEC of a loader, by the kernel, for a program just allowed */
	POLICY_FACT_INTERPRETER = 1 << 3,
	/* OPEN by a loader of what may be a program */
	POLICY_FACT_BY_LOADER = 1 << 4,
};

struct policy_question {
	uint32_t account;
	enum policy_kind kind;
	enum policy_access access; /* UNKNOWN: tell me if it matters */
	uint32_t facts;		   /* enum policy_fact */
	const char *path;	   /* absolute, need not end in NUL */
	size_t path_length;
	uint64_t device;
	uint64_t inode;
	uint64_t size;
	int64_t changed_ns; /* ctime */
	int64_t now_s;	    /* realtime */
	/* NULL: none */
	const struct policy_passed *passed;
};

struct policy_answer {
	enum policy_verdict verdict;
	enum policy_reason reason;
	uint32_t rule; /* or POLICY_NONE */
	bool log;
	const char *host; /* the name by which it was decided; NULL: none */
	size_t below;	  /* of host, the bytes before what a `*.` rule names */
};

/* Expected outcome. */
enum {
	POLICY_NEED_ACCESS = 1, /* find out how it is opened, ask again */
};

/*
 * Answer question.  Returns 0 and fills *ret, or POLICY_NEED_ACCESS, never
 * when access was given.
 */
MUST_CHECK int policy_decide(const struct policy *policy,
			     const struct policy_question *question,
			     struct policy_answer *ret);

/* Turn a denial into OBSERVE where policy, account or rule only look on. */
void policy_observe(const struct policy *policy, uint32_t account,
		    struct policy_answer *answer);
