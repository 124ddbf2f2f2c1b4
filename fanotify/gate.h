#pragma once

/*
 * gate - answers the kernel's questions about opening and running files
 *
 * One thread, one loop: read a batch of events, answer each, note each, wait
 * for more.  It opens nothing outside /proc, waits for nobody, and holds no
 * state that its successor needs but the page it shares with gatekeeper.
 *
 * A gate starts as a spare: it loads policies and waits.  MESSAGE_GO makes it
 * answer; MESSAGE_STOP lets it answer what is queued, and ends it.
 */

#include <stdbool.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/channel.h"
#include "gatekeeper/wire/gate_shared.h"

struct gate;

struct gate_ends {
	int control;
	int wake;
	int group;
	struct gate_shared *shared; /* borrowed */
	struct channel *channel;    /* borrowed */
};

MUST_CHECK int gate_new(const struct gate_ends *ends, struct gate **ret);
struct gate *gate_free(struct gate *gate);
DEFINE_CLEANUP(struct gate *, gate_free)

/* Run until told to stop.  0, or a negative errno that ends this gate. */
MUST_CHECK int gate_run(struct gate *gate);
