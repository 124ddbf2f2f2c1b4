#pragma once

/*
 * config - from leash.conf to a policy image
 *
 * Reads the main file, its drop-ins (leash.d/ beside leash.conf, files ending
 * in .conf, in the order of their names) and the profiles they name; checks
 * everything; compiles it.  Every mistake is reported, and with one mistake
 * there is no image.
 *
 * What it reads from the system besides: accounts and /etc/subuid, symlinks
 * in rules' paths, the resolvers in /etc/resolv.conf, and the content of
 * programs allowed by content.  Never call it in the process that answers the
 * kernel.  Nothing that a leashed account can make there is a mistake: it is a
 * note, and the rest of the policy stands.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/compile/config_source.h"
#include "gatekeeper/config/compile/report.h"

/* Compile; on success *ret_fd is a sealed memfd, the caller's. */
MUST_CHECK int config_compile(const struct config_source *source,
			      uint64_t generation, struct report *report,
			      int *ret_fd);
