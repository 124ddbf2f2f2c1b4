#pragma once

/*
 * search - find what the rules describe, in one pass over a text
 *
 * Hyperscan looks for the triggers of all rules at once; where one is, PCRE2
 * decides whether the rule matches there, and checks.h whether it can be what
 * it looks like.  PCRE2 runs without its JIT: in the sandbox no memory may be
 * both written and run.
 *
 * A search is used by one thread.  The text need not be UTF-8 nor end in NUL.
 */

#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/effort.h"
#include "toolcall/search/rules.h"

struct search;

/* What was found, and where: bytes from to before to. */
typedef void (*search_fn)(void *context, const struct rule *rule, size_t from,
			  size_t to);

/* All of rules[]; -ENOTSUP on a processor that Hyperscan has no code for. */
MUST_CHECK int search_new(struct search **ret);
struct search *search_free(struct search *search);
DEFINE_CLEANUP(struct search *, search_free)

/*
 * Let all that is searched from now on be part of that effort, which the caller
 * keeps; when it is spent, nothing more is searched.  NULL, as at first: there
 * is no limit.
 */
void search_allow(struct search *search, struct effort *effort);

/*
 * Call found for each finding of the kinds (bits: 1 << POLICY_INSPECT_...),
 * those of one rule from left to right and apart from each other.  -ETIME:
 * there was not the time to search all of it.
 */
MUST_CHECK int search_text(struct search *search, const char *text,
			   size_t length, uint32_t kinds, search_fn found,
			   void *context);

/* Bytes that the compiled rules take. */
size_t search_memory(const struct search *search);
