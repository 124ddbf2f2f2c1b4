#pragma once

/*
 * helper_spec - what a helper is to be started as
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HELPER_FDS_MAX 9

/* What a helper without a program of its own does; its exit status. */
typedef int (*helper_fn)(void);

struct helper_spec {
	const char *program; /* path, or a name where there is run */
	char *const *arguments;
	helper_fn run; /* instead of a program: then nothing is opened */
	uid_t uid;
	gid_t gid;
	const int *capabilities; /* kept by it */
	size_t capability_count;
	int priority; /* nice value */
	/* When memory is short, others are to die first: everybody waits for
	 * it.  What only refuses when it is gone is not spared. */
	bool is_spared;
	const int *fds;	 /* become 4, 5, ... in it; 3 is its control end */
	size_t fd_count; /* at most HELPER_FDS_MAX */
};
