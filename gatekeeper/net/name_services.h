#pragma once

/*
 * name_services - services that look names up for whoever asks
 *
 * Their own packets are not the account's, so a name asked for through them
 * would be judged by nobody.  Their sockets get an ACL entry that keeps each
 * leashed account out; its programs then ask resolvers themselves, as they do
 * where there is no such service.
 *
 * An entry that somebody has made for the account is left alone: it is how an
 * administrator lets the account in.  Subordinate uids are not kept out, since
 * an entry is for one uid.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

#define NAME_SERVICES_COUNT 5

/* Each socket as it was when it was closed; zeroed: not yet seen. */
struct name_services {
	struct {
		dev_t device;
		ino_t inode;
	} seen[NAME_SERVICES_COUNT];
};

/*
 * Keep the accounts of policy out of every socket that has appeared since the
 * last call.  NULL, or the path of one where that failed (errno).
 */
const char *name_services_close(struct name_services *services,
				const struct policy *policy);

/* Take the entries away again. */
void name_services_open(struct name_services *services,
			const struct policy *policy);
