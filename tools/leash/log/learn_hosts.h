#pragma once

/*
 * learn_hosts - from many names to few domains
 *
 * `*.` a domain takes the place of its names only where several were seen, and
 * never one below which anybody may register (the public suffix list, those
 * of companies too): neither `*.co.uk` nor `*.github.io`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct learn_host {
	char *host; /* owned: a name, `*.` a name, or an address */
	char *protocol;
	unsigned int port; /* 0: none */
	uint64_t uses;
};

struct learn_hosts {
	struct learn_host *hosts; /* owned */
	size_t count;
};

/* Add a use of a host; the same one twice is one. */
MUST_CHECK int learn_hosts_add(struct learn_hosts *hosts, const char *host,
			       const char *protocol, unsigned int port,
			       uint64_t uses);
void learn_hosts_join(struct learn_hosts *hosts);
void learn_hosts_free(struct learn_hosts *hosts);
