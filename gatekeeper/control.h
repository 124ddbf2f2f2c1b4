#pragma once

/*
 * control - the sockets by which people and accounts ask (wire/control.h)
 *
 * Serves them from the supervisor's loop without ever waiting: what opens files
 * - a reload's check, a change of the rules - is done by a child, one at a
 * time.  Everything is bounded: so many connections on each socket, so long for
 * each, so many questions a second by those who may only ask about themselves.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/fields.h"

struct control;

/* What control needs of its owner. */
struct control_owner {
	void *context;
	struct config_source source;
	const struct policy *(*policy)(void *context);
	void (*status)(void *context, struct fields *reply);
	void (*reload)(void *context);
};

/* Make the sockets in the run folder, a descriptor, borrowed meanwhile. */
MUST_CHECK int control_new(const struct control_owner *owner, int run_folder,
			   struct control **ret);
/* Takes the sockets away. */
struct control *control_free(struct control *control);
DEFINE_CLEANUP(struct control *, control_free)

/* Readable when control_dispatch() has something to do. */
int control_fd(const struct control *control);
void control_dispatch(struct control *control);

/* Every 100 ms. */
void control_tick(struct control *control, int64_t now_ns);

/*
 * Tell whoever waits for a reload how it ended: generation is in force, and
 * problem is NULL or what kept a newer one from it.
 */
void control_reloaded(struct control *control, uint64_t generation,
		      const char *problem);
