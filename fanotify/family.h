#pragma once

/*
 * family - the main process of leash-fanotify: it forks the gates
 *
 * The gates share its descriptors (CLONE_FILES), and nothing else but the
 * memory of wire/gate_table.h.  So an event that a gate has read is there for
 * the next, descriptor and all, when that gate is gone.
 *
 * Two gates are kept: one has the turn, and one is spare.  Whoever is there -
 * this process or the spare - sees that the one with the turn is dead or
 * stands still, and gives or takes the turn.  This process reads no event.
 *
 * gatekeeper sends policies, the group, and says when to begin; without
 * gatekeeper all goes on as it is.  The gates tell gatekeeper themselves when
 * one begins to answer.
 */

#include "gatekeeper/base/cleanup.h"

/* Run until told to retire.  0, or a negative errno that ends the family. */
MUST_CHECK int family_run(void);
