#pragma once

/*
 * gate - answers the kernel's questions about opening and running files
 *
 * One process, one loop: read a batch of events, answer each, note each, wait
 * for more.  It opens nothing outside /proc and waits for nobody.
 *
 * Only the gate that has the turn (wire/gate_table.h) reads events.  The
 * others load policies and watch it: when it dies or stands still, one takes
 * the turn, and begins with what its predecessor had read and not answered.
 */

#include <stdbool.h>

#include "fanotify/gate_ends.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

struct gate;

/* policy is what it begins with; it is taken over. */
MUST_CHECK int gate_new(const struct gate_ends *ends, struct policy *policy,
			struct gate **ret);
struct gate *gate_free(struct gate *gate);
DEFINE_CLEANUP(struct gate *, gate_free)

/* Run until told to retire.  0, or a negative errno that ends this gate. */
MUST_CHECK int gate_run(struct gate *gate);
