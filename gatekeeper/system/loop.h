#pragma once

/*
 * loop - who is called when a descriptor has something to say
 *
 * A source lives in whoever owns its descriptor, and is taken out of the loop
 * before that descriptor is closed.  Closing is not enough: epoll knows the
 * open file, not its number, and a child may hold a copy of it for a while; the
 * loop would then be told for ever of what nobody can answer.  So nobody but
 * this module speaks to epoll.
 *
 * A source may be taken out, and added anew, by whatever is called meanwhile:
 * what had been reported of it is then forgotten.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct loop;

/* All but loop is its owner's to fill in; zeroed, it is in no loop. */
struct loop_source {
	struct loop *loop; /* the one it is in, or NULL */
	int fd;		   /* borrowed */
	uint32_t events;   /* of epoll; 0: EPOLLIN */
	void (*happened)(void *context);
	void *context;
};

MUST_CHECK int loop_new(struct loop **ret);

/* Every source is to be out of it by then. */
struct loop *loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free)

/* The source stays where it is until it is taken out. */
MUST_CHECK int loop_add(struct loop *loop, struct loop_source *source);

/* Nothing happens to one that is in no loop. */
void loop_remove(struct loop_source *source);

/*
 * Wait for what happens, at most timeout_ms (-1: for ever), and call who is to
 * know.  How many were called, or a negative errno.
 */
MUST_CHECK int loop_turn(struct loop *loop, int timeout_ms);

/* Readable when loop_turn() has something to do: a loop may be in another. */
int loop_fd(const struct loop *loop);
