#pragma once

/*
 * resolv_watch - tells when the system has changed its resolvers
 *
 * Looked at, not opened: whoever must answer the kernel may not wait for it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct resolv_watch {
	struct stat seen; /* zeroed: not yet */
	int64_t looked_ns;
};

/* Has resolv.conf changed since the last call?  Looks every second. */
bool resolv_watch_changed(struct resolv_watch *watch, int64_t now_ns);
