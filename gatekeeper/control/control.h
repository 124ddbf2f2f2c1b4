#pragma once

/*
 * control - the socket by which administrators ask (wire/control.h)
 *
 * Serves it from the supervisor's loop without ever waiting: what opens files
 * - a reload's check, a change of the rules - is done by a child, one at a
 * time.  Everything is bounded: so many connections, so long for each.
 *
 * A leashed account is refused as soon as it has connected, whatever group it
 * is in: no byte that it sends is read here, and what it may ask,
 * leash-toolcall answers.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/system/loop.h"
#include "gatekeeper/wire/fields.h"

struct control;

/* What control needs of its owner. */
struct control_owner {
	void *context;
	struct config_source source;
	const struct policy *(*policy)(void *context);
	void (*status)(void *context, struct fields *reply);
	void (*reload)(void *context);
	/* A reload was asked for, and what is to be loaded is wrong. */
	void (*wrong)(void *context);
};

/*
 * Make the socket in the run folder, a descriptor; that and the loop are
 * borrowed.
 */
MUST_CHECK int control_new(const struct control_owner *owner, struct loop *loop,
			   int run_folder, struct control **ret);

/* Takes the socket away. */
struct control *control_free(struct control *control);
DEFINE_CLEANUP(struct control *, control_free)

/* Every 100 ms. */
void control_tick(struct control *control, int64_t now_ns);

/*
 * Tell whoever waits for a reload how it ended: generation is in force, and
 * problem is NULL or what kept a newer one from it.
 */
void control_reloaded(struct control *control, uint64_t generation,
		      const char *problem);
