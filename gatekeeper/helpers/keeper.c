#include "gatekeeper/helpers/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/wire/message.h"

#define RETRY_NS CLOCK_NS_PER_S /* after a start that failed */

struct keeper {
	struct keeper_setup setup;
	struct helper helper;
	struct loop_source control, death;
	const struct policy *policy; /* NULL before the first */
	int policy_fd;
	int64_t pause_ns;
	int64_t start_after_ns;
	int64_t pinged_ns, heard_ns;
};

int keeper_new(const struct keeper_setup *setup, struct keeper **ret)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return -ENOMEM;
	keeper->setup = *setup;
	keeper->helper = HELPER_EMPTY;
	keeper->policy_fd = -1;
	*ret = keeper;
	return 0;
}

void keeper_end(struct keeper *keeper)
{
	loop_remove(&keeper->control);
	loop_remove(&keeper->death);
	helper_kill(&keeper->helper);
	(void)helper_reap(&keeper->helper);
}

struct keeper *keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return NULL;
	keeper_end(keeper);
	free(keeper);
	return NULL;
}

pid_t keeper_pid(const struct keeper *keeper)
{
	return keeper->helper.pid;
}

uint64_t keeper_generation(const struct keeper *keeper)
{
	return keeper->helper.state == HELPER_READY ? keeper->helper.generation
						    : 0;
}

static struct event_log *log_of(const struct keeper *keeper)
{
	return keeper->setup.house->log;
}

/* ---- what is said to it, and what it says */

static void give_policy(struct keeper *keeper)
{
	const struct message message = {.type = MESSAGE_POLICY};

	if (!keeper->setup.row->wants_policy ||
	    keeper->helper.state < HELPER_LOADING)
		return;
	if (!message_send(keeper->helper.control, &message, keeper->policy_fd))
		return;
	log_error("cannot hand the policy to the %s: %m",
		  keeper->setup.row->name);
	helper_kill(&keeper->helper);
}

void keeper_set_policy(struct keeper *keeper, const struct policy *policy,
		       int fd)
{
	keeper->policy = policy;
	keeper->policy_fd = fd;
	give_policy(keeper);
}

static void take_loaded(struct keeper *keeper, uint64_t generation)
{
	if (keeper->helper.state != HELPER_READY)
		event_log_note(log_of(keeper),
			       "%s %d answers, policy generation %" PRIu64,
			       keeper->setup.row->name, (int)keeper->helper.pid,
			       generation);
	keeper->helper.state = HELPER_READY;
	keeper->helper.generation = generation;
	if (keeper->setup.loaded)
		keeper->setup.loaded(keeper->setup.context);
}

static void handle_message(struct keeper *keeper, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_READY:
		keeper->helper.state = HELPER_LOADING;
		give_policy(keeper);
		break;
	case MESSAGE_LOADED:
		take_loaded(keeper, message->value);
		break;
	case MESSAGE_FAILED:
		log_error("the %s cannot load the policy: %s",
			  keeper->setup.row->name,
			  strerror((int)message->value));
		helper_kill(&keeper->helper);
		break;
	default:
		break;
	}
}

static void hear(void *context)
{
	struct keeper *keeper = context;
	struct message message;
	int fd = -1;
	int r = message_receive(keeper->helper.control, &message, &fd);

	fd_close(fd);
	if (r == MESSAGE_CLOSED) /* it is dying, which its pidfd will say */
		loop_remove(&keeper->control);
	if (r)
		return;
	keeper->heard_ns = clock_monotonic_ns();
	handle_message(keeper, &message);
}

/* ---- its life */

static int start(struct keeper *keeper)
{
	const struct keeper_setup *setup = &keeper->setup;
	struct helper_given given = {.handed_over = -1};
	int r = setup->prepare(setup->context, &given);

	if (!r)
		return helper_row_start(setup->row, setup->house,
					keeper->policy, &given,
					&keeper->helper);
	fd_close(given.handed_over);
	return r;
}

static void died(void *context);

static int listen_to(struct keeper *keeper)
{
	struct loop *loop = keeper->setup.house->loop;
	int r;

	keeper->control = (struct loop_source){
		.fd = keeper->helper.control,
		.happened = hear,
		.context = keeper,
	};
	keeper->death = (struct loop_source){
		.fd = keeper->helper.pidfd,
		.happened = died,
		.context = keeper,
	};
	r = loop_add(loop, &keeper->control);
	return r ? r : loop_add(loop, &keeper->death);
}

int keeper_start(struct keeper *keeper)
{
	int64_t now_ns = clock_monotonic_ns();
	int r;

	keeper_end(keeper);
	keeper->start_after_ns = now_ns + RETRY_NS;
	keeper->pinged_ns = keeper->heard_ns = now_ns;
	r = start(keeper);
	if (!r)
		r = listen_to(keeper);
	if (!r)
		return 0;
	errno = -r;
	log_error("cannot start the %s: %m", keeper->setup.row->name);
	/* One that nobody watches would never be replaced. */
	keeper_end(keeper);
	return r;
}

/* How long to wait for the next, if this one proves that none can live. */
static int64_t pause_after(struct keeper *keeper, int64_t lived_ns, int status)
{
	const struct helper_row *row = keeper->setup.row;
	bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	if (was_killed || lived_ns > row->short_ns)
		keeper->pause_ns = 0;
	else if (!keeper->pause_ns)
		keeper->pause_ns = row->pause_ns;
	else if (keeper->pause_ns * 2 < row->pause_max_ns)
		keeper->pause_ns *= 2;
	else
		keeper->pause_ns = row->pause_max_ns;
	return keeper->pause_ns;
}

static void died(void *context)
{
	struct keeper *keeper = context;
	const struct helper_row *row = keeper->setup.row;
	int64_t now_ns = clock_monotonic_ns();
	int64_t lived_ns = now_ns - keeper->helper.started_ns;
	char fate[64];
	int status;

	if (!helper_wait(&keeper->helper, 0))
		return;
	loop_remove(&keeper->control);
	loop_remove(&keeper->death);
	status = helper_reap(&keeper->helper);
	event_log_warn(log_of(keeper), "the %s %s; %s", row->name,
		       helper_fate(status, fate), row->meanwhile);
	keeper->start_after_ns = now_ns + pause_after(keeper, lived_ns, status);
	if (keeper->setup.died)
		keeper->setup.died(keeper->setup.context);
	keeper_tick(keeper, now_ns);
}

void keeper_kill(struct keeper *keeper)
{
	helper_kill(&keeper->helper);
}

void keeper_replace(struct keeper *keeper, const char *why)
{
	event_log_warn(log_of(keeper), "the %s %s; replacing it",
		       keeper->setup.row->name, why);
	helper_kill(&keeper->helper);
}

/* One that does not answer a ping does nothing else either. */
static void check_pulse(struct keeper *keeper, int64_t now_ns)
{
	const struct message ping = {.type = MESSAGE_PING};
	const struct helper_row *row = keeper->setup.row;
	bool unheard = keeper->pinged_ns > keeper->heard_ns;

	if (keeper->helper.state < HELPER_READY) {
		if (row->ready_ns &&
		    now_ns - keeper->helper.started_ns > row->ready_ns)
			keeper_replace(keeper, "was not ready in time");
		return;
	}
	if (!row->silence_ns)
		return;
	if (unheard && now_ns - keeper->pinged_ns > row->silence_ns) {
		keeper_replace(keeper, "stands still");
		keeper->pinged_ns = keeper->heard_ns = now_ns;
	} else if (!unheard && now_ns - keeper->pinged_ns > row->ping_ns) {
		keeper->pinged_ns = now_ns;
		if (message_send(keeper->helper.control, &ping, -1))
			errno = 0; /* its silence will tell */
	}
}

void keeper_tick(struct keeper *keeper, int64_t now_ns)
{
	if (keeper->helper.pid > 0)
		check_pulse(keeper, now_ns);
	else if (keeper->policy && !keeper->setup.row->is_follower &&
		 now_ns >= keeper->start_after_ns && keeper_start(keeper))
		errno = 0; /* has been said; once more in a second */
}

void keeper_stop(struct keeper *keeper, int timeout_ms)
{
	const struct message stop = {.type = MESSAGE_STOP};

	if (keeper->helper.pid < 0)
		return;
	if (message_send(keeper->helper.control, &stop, -1) ||
	    !helper_wait(&keeper->helper, timeout_ms))
		log_error("the %s does not end; killing it",
			  keeper->setup.row->name);
	keeper_end(keeper);
}
