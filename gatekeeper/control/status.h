#pragma once

/*
 * status - what `leash status` tells of gatekeeper
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/fields.h"

struct status { /* all borrowed */
	const char *config;
	int proc; /* of process_open_proc() */
	const struct policy *policy;
	int64_t started_ns;	    /* monotonic */
	const char *reload_problem; /* or NULL */
	uint64_t generation;	    /* in force everywhere */
	size_t filesystems;
	int guard_problem; /* errno: why there is no mount guard; 0: there is */
	uint32_t unasked;  /* files the kernel opens without asking */
	pid_t gate, spare, fallback, store, net, tool; /* -1: none */
	bool locked_down;
	const char *sleep;	 /* of sleep_word() */
	const char *sleep_why;	 /* or NULL */
	const char *net_problem; /* "": none */
	struct channel *const *channels;
	size_t channel_count;
};

void status_put(const struct status *status, struct fields *reply);
