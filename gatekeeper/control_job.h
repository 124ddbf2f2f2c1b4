#pragma once

/*
 * control_job - a request that opens files, carried out by a child
 *
 * The process that replaces a dead gate may not wait for one (loader.h).  The
 * child checks or changes the configuration and says whether a reload is due.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/fields.h"

struct control_job {
	pid_t pid; /* 0: none */
	int end;   /* owned; readable when the child has something to say */
	int64_t started_ns;
};

#define CONTROL_JOB_NONE ((struct control_job){.end = -1})

struct control_job_task { /* all borrowed until the child has begun */
	struct config_source source;
	const struct policy *policy;
	uid_t uid; /* who asks */
	const void *message;
	size_t bytes;
};

struct control_job_result {
	uint16_t what;	     /* enum control_what */
	bool reload;	     /* the policy must be read again */
	struct fields reply; /* borrowed from the buffer given */
};

MUST_CHECK int control_job_start(const struct control_job_task *task,
				 struct control_job *ret);

/* Once end is readable: collect the child.  False: it has said nothing yet. */
bool control_job_finish(struct control_job *job, char *buffer, size_t size,
			struct control_job_result *ret);

/* End a child that has taken longer than a minute. */
void control_job_check(struct control_job *job, int64_t now_ns);
void control_job_end(struct control_job *job);
