#include "gatekeeper/loader.h"

#include <errno.h>
#include <stdio.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/last_policy.h"
#include "gatekeeper/wire/message.h"

#define TIMEOUT_NS (60 * CLOCK_NS_PER_S)

static int compile(const struct loader_order *order, int end)
{
	const struct config_source *source = order->source;
	struct report report = {.out = stderr};
	struct message message = {
		.type = MESSAGE_POLICY,
		.value = order->generation,
	};
	CLEANUP(fd_close) int image = -1;
	int r = config_compile(source, order->generation, &report, &image);

	if (r) {
		if (r < 0) {
			errno = -r;
			log_error("cannot load %s: %m", source->path);
		}
		message.type = MESSAGE_FAILED;
	} else if (order->keep &&
		   (r = last_policy_keep(order->keep, image)) < 0) {
		errno = -r;
		log_warning("cannot keep the policy in %s: %m", order->keep);
	}
	return message_send(end, &message, image);
}

static int run(void *context, int end)
{
	const struct loader *loader = context;

	return compile(&loader->order, end) ? 1 : 0;
}

static void heard(void *context)
{
	struct loader *loader = context;
	struct message message;
	CLEANUP(fd_close) int fd = -1;
	int r = message_receive(loader->task.end, &message, &fd);

	if (r == MESSAGE_NONE)
		return;
	loader_end(loader);
	if (r > 0)
		r = -EPIPE;
	else if (!r && (message.type != MESSAGE_POLICY || fd < 0))
		r = LOADER_WRONG;
	loader->order.done(loader->order.context, r, r ? -1 : STEAL_FD(fd));
}

int loader_start(struct loop *loop, const struct loader_order *order,
		 struct loader *ret)
{
	const struct task_job job = {
		.run = run,
		.heard = heard,
		.context = ret,
		.allowed_ns = TIMEOUT_NS,
	};

	ret->order = *order;
	return task_start(loop, &job, &ret->task);
}

bool loader_runs(const struct loader *loader)
{
	return task_runs(&loader->task);
}

void loader_check(struct loader *loader, int64_t now_ns)
{
	if (task_is_late(&loader->task, now_ns))
		log_error("reading the configuration takes over a minute; "
			  "ending it");
}

void loader_end(struct loader *loader)
{
	task_end(&loader->task);
}
