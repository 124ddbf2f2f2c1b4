#pragma once

/*
 * cleanup - owned values that free themselves, and the words for handing
 * them on
 *
 *     CLEANUP(widget_free) struct widget *w = NULL;
 *
 * frees w on every way out of its scope; STEAL(w) yields it and forgets it.
 * A destructor takes the value and returns the empty one (NULL, -1).
 */

#include <stdlib.h>

#define CLEANUP(fn) __attribute__((cleanup(fn##p)))
#define DEFINE_CLEANUP(type, fn)                                               \
	static inline void fn##p(type *slot)                                   \
	{                                                                      \
		*slot = fn(*slot);                                             \
	}

#define STEAL(ptr)                                                             \
	__extension__({                                                        \
		__typeof__(ptr) *s_ = &(ptr), v_ = *s_;                        \
		*s_ = NULL;                                                    \
		v_;                                                            \
	})

#define MUST_CHECK __attribute__((warn_unused_result))

static inline void *cleanup_free(void *memory)
{
	free(memory);
	return NULL;
}

/* For plain malloc'd memory of any type: CLEANUP_FREE char *text = NULL; */
static inline void cleanup_freep(void *slot)
{
	free(*(void **)slot);
}

#define CLEANUP_FREE __attribute__((cleanup(cleanup_freep)))
