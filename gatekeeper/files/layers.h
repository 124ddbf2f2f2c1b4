#pragma once

/*
 * layers - of what an overlay is made (overlayfs)
 *
 * From Linux 6.5 on, an open of an overlay's file opens the file of its layer,
 * too, and the kernel asks about that one by itself; about the folder of a
 * layer it always has.  From 6.14 on, it does so even for the descriptor that
 * an event about the overlay brings: who reads that event would be asked while
 * it reads, and wait for itself for ever.  So an overlay whose layers are
 * watched must not be watched itself.
 *
 * Pure: the options are those of /proc/self/mountinfo.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

struct layers_kernel {
	bool asks_about_layers; /* of files, by themselves */
	bool waits_for_itself;	/* who reads an event about the overlay */
};

/* What a kernel of this release does. */
struct layers_kernel layers_kernel(const char *release);

struct layers {
	const char *at; /* the options, borrowed; later where to go on */
	bool in_list;	/* inside a list of folders */
};

/*
 * Take the next layer's folder, unescaped, into ret.  False: there is none.
 * One that is too long is yielded as "".
 */
bool layers_next(struct layers *layers, char *ret, size_t size);
