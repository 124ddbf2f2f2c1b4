#pragma once

/* gate_ends - what a gate is given by the process that forks it */

#include "gatekeeper/system/mount_table.h"
#include "gatekeeper/base/channel.h"
#include "gatekeeper/wire/gate_table.h"

/* All borrowed. */
struct gate_ends {
	int gatekeeper; /* who is told when this gate begins to answer */
	int control;	/* from and to the main process */
	int wake;
	int group;
	int retire; /* readable: answer what is queued, and end */
	int proc;   /* /proc itself */
	int slot;   /* of the table, this gate's */
	struct gate_table *table;
	struct channel *channel;
	struct mount_table *mounts;
};
