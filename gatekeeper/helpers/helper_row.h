#pragma once

/*
 * helper_row - a row a helper: what it is, what it may, and what its end means
 *
 * To add a helper: a folder with its program, a row here, its descriptors in
 * wire/helper_fds.h, and an owner that makes a keeper of it (keeper.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/event_log.h"
#include "gatekeeper/helpers/helper.h"
#include "gatekeeper/helpers/starter.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/system/loop.h"

enum helper_kind {
	HELPER_FILE_GATES,
	HELPER_FALLBACK,
	HELPER_NET_GATE,
	HELPER_DNS,
	HELPER_TOOL_GATE,
	HELPER_STORE,
	HELPER_KINDS,
};

struct helper_row {
	const char *name;    /* in a sentence */
	const char *program; /* in the helpers' folder; NULL: run */
	helper_fn run;
	const int *capabilities;
	size_t capability_count;
	int priority; /* nice value */
	bool is_spared;
	/* Policies are handed to it, and it says when it judges by one. */
	bool wants_policy;
	bool is_follower; /* started with another, never by itself */

	int64_t ready_ns;   /* has to be at work by then; 0: no matter when */
	int64_t ping_ns;    /* how often it is asked for a sign of life */
	int64_t silence_ns; /* so long without one, and it is replaced; 0: not
			     * asked */

	int64_t short_ns;      /* a life that proves nothing, and after each: */
	int64_t pause_ns;      /* before the next, twice as long each time, */
	int64_t pause_max_ns;  /* up to this; without short lives, none */
	const char *meanwhile; /* what is so until the next is at work */
};

const struct helper_row *helper_row(enum helper_kind kind);

/* What all helpers are started with, and by; all borrowed. */
struct helper_house {
	const char *helpers_dir;
	struct loop *loop;
	struct starter *starter;
	struct event_log *log;
	int wake; /* the store's eventfd */
};

/* What one of them is given beside that. */
struct helper_given {
	char *const *arguments; /* NULL: the program's name alone */
	const int *fds;		/* they become 4, 5, ... in it */
	size_t fd_count;
	int handed_over; /* one that nobody else is to have, which is closed
			  * here whatever comes of the start; -1: none is */
};

/* As the user that the policy names. */
MUST_CHECK int helper_row_start(const struct helper_row *row,
				const struct helper_house *house,
				const struct policy *policy,
				const struct helper_given *given,
				struct helper *ret);
