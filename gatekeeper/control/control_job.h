#pragma once

/*
 * control_job - a request that opens files, carried out by a child
 *
 * The process that replaces a dead gate may not wait for one (loader.h).  The
 * task checks or changes the configuration and says whether a reload is due.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/system/task.h"
#include "gatekeeper/wire/fields.h"

struct control_job_order { /* all borrowed until the task has begun */
	struct config_source source;
	const struct policy *policy;
	uid_t uid; /* who asks */
	const void *message;
	size_t bytes;
};

struct control_job_result {
	uint16_t what;	     /* enum control_what */
	bool reload;	     /* the policy must be read again */
	bool wrong;	     /* it was to be, and the configuration is wrong */
	struct fields reply; /* borrowed from the buffer given */
};

struct control_job {
	struct task task;
	const struct control_job_order *order; /* until it has begun */
	void (*heard)(void *context);
	void *context;
};

/* heard: control_job_finish() has something to say. */
MUST_CHECK int control_job_start(struct loop *loop,
				 const struct control_job_order *order,
				 struct control_job *job);

bool control_job_runs(const struct control_job *job);

/*
 * What the task says; the job is then to be ended.  False: it has said nothing
 * yet.
 */
bool control_job_finish(struct control_job *job, char *buffer, size_t size,
			struct control_job_result *ret);

/* End a task that has taken longer than a minute. */
void control_job_check(struct control_job *job, int64_t now_ns);

void control_job_end(struct control_job *job);
