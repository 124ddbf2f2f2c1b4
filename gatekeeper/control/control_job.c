#include "gatekeeper/control/control_job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/control/local_edit.h"
#include "gatekeeper/wire/control.h"

#define TIMEOUT_NS (60 * CLOCK_NS_PER_S)

/* What comes before the fields of a child's result. */
struct outcome {
	uint16_t what;
	bool reload;
	bool wrong;
};

/* Is what stands in the files fit to be loaded? */
static int check(const struct config_source *source, struct fields *reply)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP(fd_close) int image = -1;
	struct report report = {.errors = 0};
	size_t size;
	int r;

	report.out = open_memstream(&text, &size);
	if (!report.out)
		return -ENOMEM;
	r = config_compile(source, 1, &report, &image);
	if (fclose(report.out))
		return -ENOMEM;
	if (text && text[0])
		fields_put(reply, r ? "text" : "notes", text);
	return r;
}

static struct outcome work(const struct control_job_order *task,
			   struct fields *reply)
{
	const struct control_header *header = task->message;
	struct fields request;
	int r;

	if (!fields_view(header + 1, task->bytes - sizeof(*header), &request))
		return (struct outcome){.what = CONTROL_WRONG};
	if (header->what == CONTROL_ASK_RELOAD)
		r = check(&task->source, reply);
	else
		r = local_edit(&task->source, task->policy, task->uid, &request,
			       reply);
	if (r < 0)
		fields_put(reply, "text", strerror(-r));
	if (header->what == CONTROL_ASK_EDIT && r == LOCAL_EDIT_DRY)
		return (struct outcome){.what = CONTROL_DONE};
	return (struct outcome){
		.what = r ? CONTROL_WRONG : CONTROL_DONE,
		.reload = !r,
		.wrong =
			header->what == CONTROL_ASK_RELOAD && r == CONFIG_WRONG,
	};
}

static int run(void *context, int end)
{
	const struct control_job *job = context;
	struct fields reply = {NULL, 0, 0, false};
	struct outcome outcome = work(job->order, &reply);
	struct iovec parts[] = {
		{&outcome, sizeof(outcome)},
		{reply.bytes, reply.length},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return sendmsg(end, &message, MSG_NOSIGNAL) < 0;
}

static void heard(void *context)
{
	const struct control_job *job = context;

	job->heard(job->context);
}

int control_job_start(struct loop *loop, const struct control_job_order *order,
		      struct control_job *job)
{
	const struct task_job of_task = {
		.run = run,
		.heard = heard,
		.context = job,
		.allowed_ns = TIMEOUT_NS,
	};

	job->order = order;
	return task_start(loop, &of_task, &job->task);
}

bool control_job_runs(const struct control_job *job)
{
	return task_runs(&job->task);
}

void control_job_end(struct control_job *job)
{
	task_end(&job->task);
}

void control_job_check(struct control_job *job, int64_t now_ns)
{
	if (task_is_late(&job->task, now_ns)) /* its end then says so */
		log_error("a change of the rules takes over a minute; ending "
			  "it");
}

bool control_job_finish(struct control_job *job, char *buffer, size_t size,
			struct control_job_result *ret)
{
	struct outcome outcome = {.what = CONTROL_WRONG};
	struct iovec parts[] = {
		{&outcome, sizeof(outcome)},
		{buffer, size},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n = recvmsg(job->task.end, &message, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	*ret = (struct control_job_result){
		.what = outcome.what,
		.reload = outcome.reload,
		.wrong = outcome.wrong,
	};
	if (n < (ssize_t)sizeof(outcome) ||
	    !fields_view(buffer, (size_t)n - sizeof(outcome), &ret->reply)) {
		*ret = (struct control_job_result){.what = CONTROL_WRONG};
		log_error("a change of the rules ended without a result");
	}
	return true;
}
