/*
 * Two places for families, since the next is started while the last one's
 * gates still answer.  A family's control end is readable for good once the
 * last of its processes is gone, its main process's pidfd when that one is.
 */

#include "gatekeeper/files/file_gates.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/helpers/helper.h"
#include "gatekeeper/helpers/helper_row.h"
#include "gatekeeper/files/power.h"
#include "gatekeeper/strays.h"
#include "gatekeeper/wire/gate_table.h"
#include "gatekeeper/wire/message.h"

#define FAMILIES	2
#define STUCK_TICKS	10 /* a family heals itself in less */
#define STUCK_ALL	5  /* if its main process runs */
#define STUCK_MAIN	20 /* it turns at least once a tick */
#define STUCK_FALLBACK	3
#define RETIRE_NS	(400 * CLOCK_NS_PER_MS)
#define SHORT_LIVES_MAX 8 /* in a row; beyond is lockdown */
#define LOCKDOWN_MIN_NS (250 * CLOCK_NS_PER_MS)
#define LOCKDOWN_MAX_NS (5 * CLOCK_NS_PER_S)
#define POWER_LOOK_NS	(30 * CLOCK_NS_PER_S)
#define STOP_TIMEOUT_MS 2000
#define OWING_MAX	8

/* A family's or a fallback's shared memory, and its signs of life there. */
struct memory {
	struct gate_table *table; /* owned mapping */
	int fd;			  /* owned */
	uint64_t heartbeats;
	int still_ticks;
	uint64_t main_heartbeat;
	int main_still_ticks;
};

struct family {
	bool exists;	      /* some process of it may */
	struct helper helper; /* its main process */
	int control;	      /* borrowed from it; outlives it */
	struct loop_source control_source, death_source;
	struct file_gates *gates; /* whose it is */
	struct memory memory;
	int retire;	     /* owned; an eventfd */
	int64_t retired_ns;  /* when it was told to end, 0: it was not */
	uint64_t generation; /* of the policy that all of it has */
	pid_t answering;     /* the gate that answers, as it said */
	pid_t answered;	     /* the one that did before it */
};

struct file_gates {
	struct file_gates_setup setup;
	struct loop
		*loop; /* owned; within the house's, for file_gates_stop() */
	struct loop_source source;
	int proc;  /* owned */
	int power; /* owned; -1: this machine tells nothing */
	struct family families[FAMILIES];
	struct family *live; /* the one that answers, or NULL */
	struct family *next; /* the one that is to, or NULL */
	struct helper fallback;
	struct loop_source fallback_control, fallback_death;
	struct memory fallback_memory;
	bool fallback_stops; /* it was told to */
	bool begun; /* once somebody has answered, somebody always must */
	int owing[OWING_MAX]; /* owned; gate_tables to be settled */
	int owing_count;
	const struct policy *policy; /* borrowed */
	int policy_fd;
	int short_lives;
	int64_t start_after_ns;
	int64_t power_looked_ns;
	bool may_poll;
};

static const struct memory no_memory = {.fd = -1};
static const struct family no_family = {
	.helper = {.pid = -1, .pidfd = -1, .control = -1},
	.control = -1,
	.memory = {.fd = -1},
	.retire = -1,
	.answering = -1,
	.answered = -1,
};

static void free_memory(struct memory *memory)
{
	gate_table_unmap(memory->table);
	fd_close(memory->fd);
	*memory = no_memory;
}

static void dispatch(void *context);

int file_gates_new(const struct file_gates_setup *setup,
		   struct file_gates **ret)
{
	CLEANUP(file_gates_free)
	struct file_gates *gates = calloc(1, sizeof(*gates));
	int r;

	if (!gates)
		return -ENOMEM;
	gates->setup = *setup;
	gates->policy_fd = gates->proc = gates->power = -1;
	for (int i = 0; i < FAMILIES; i++)
		gates->families[i] = no_family;
	gates->fallback = HELPER_EMPTY;
	gates->fallback_memory = no_memory;
	gates->power = power_open();
	gates->may_poll = power_is_plentiful(gates->power);
	gates->proc = process_open_proc();
	if (gates->proc < 0)
		return gates->proc;
	r = loop_new(&gates->loop);
	if (r)
		return r;
	gates->source = (struct loop_source){
		.fd = loop_fd(gates->loop),
		.happened = dispatch,
		.context = gates,
	};
	r = loop_add(setup->house->loop, &gates->source);
	if (!r)
		*ret = STEAL(gates);
	return r;
}

/* Its processes are gone, or hang in the kernel and are given up. */
static void forget_family(struct file_gates *gates, struct family *family)
{
	if (gates->live == family)
		gates->live = NULL;
	if (gates->next == family)
		gates->next = NULL;
	loop_remove(&family->death_source);
	loop_remove(&family->control_source);
	family->helper.control = family->control;
	helper_kill(&family->helper);
	(void)helper_reap(&family->helper);
	free_memory(&family->memory);
	fd_close(family->retire);
	*family = no_family;
}

static void forget_fallback(struct file_gates *gates)
{
	loop_remove(&gates->fallback_death);
	loop_remove(&gates->fallback_control);
	helper_kill(&gates->fallback);
	(void)helper_reap(&gates->fallback);
	free_memory(&gates->fallback_memory);
	gates->fallback_stops = false;
}

static void retire(struct file_gates *gates, struct family *family,
		   int64_t now_ns)
{
	uint64_t one = 1;

	if (family->retired_ns)
		return;
	family->retired_ns = now_ns;
	if (write(family->retire, &one, sizeof(one)) < 0)
		strays_kill_gates(gates->proc,
				  gates->next ? gates->next->helper.pid : 0);
}

struct file_gates *file_gates_free(struct file_gates *gates)
{
	if (!gates)
		return NULL;
	for (int i = 0; i < FAMILIES; i++) {
		/* Its gates would go on without their main process. */
		if (gates->families[i].exists)
			retire(gates, &gates->families[i],
			       clock_monotonic_ns());
		forget_family(gates, &gates->families[i]);
	}
	forget_fallback(gates);
	for (int i = 0; i < gates->owing_count; i++)
		fd_close(gates->owing[i]);
	loop_remove(&gates->source);
	loop_free(gates->loop);
	fd_close(gates->power);
	fd_close(gates->proc);
	free(gates);
	return NULL;
}

/* ---- what is said to them */

static int say(int control, enum message_type type, int fd)
{
	const struct message message = {.type = type};

	return message_send(control, &message, fd);
}

static void give_policy(struct file_gates *gates, struct helper *helper,
			int control)
{
	if (helper->pid < 0 || helper->state < HELPER_LOADING)
		return;
	if (say(control, MESSAGE_POLICY, gates->policy_fd)) {
		log_error("cannot hand the policy to a file gate: %m");
		helper_kill(helper);
	}
}

void file_gates_set_policy(struct file_gates *gates,
			   const struct policy *policy, int fd)
{
	gates->policy = policy;
	gates->policy_fd = fd;
	for (int i = 0; i < FAMILIES; i++)
		give_policy(gates, &gates->families[i].helper,
			    gates->families[i].control);
	give_policy(gates, &gates->fallback, gates->fallback.control);
}

/* ---- starting */

/* Called by the loop; below. */
static void hear_family(void *context);
static void hear_death(void *context);
static void hear_fallback(void *context);
static void fallback_died(void *context);

static void try_again_later(struct file_gates *gates, int r)
{
	errno = -r;
	log_error("cannot start a file gate: %m");
	gates->start_after_ns = clock_monotonic_ns() + CLOCK_NS_PER_S;
}

static int start_helper(struct file_gates *gates, enum helper_kind kind,
			const struct helper_given *given, struct helper *ret)
{
	return helper_row_start(helper_row(kind), gates->setup.house,
				gates->policy, given, ret);
}

static int listen_to(struct loop *loop, struct loop_source *source, int fd,
		     void (*happened)(void *), void *context)
{
	*source = (struct loop_source){
		.fd = fd,
		.happened = happened,
		.context = context,
	};
	return loop_add(loop, source);
}

static int start_family(struct file_gates *gates, struct family *family)
{
	struct mount_guard *guard = gates->setup.guard;
	int fds[5 + MOUNT_GUARD_LINKS] = {
		gates->setup.house->wake, family->memory.fd,
		gates->setup.channel,	  gates->proc,
		family->retire,
	};
	const struct helper_given given = {
		.fds = fds,
		.fd_count = guard ? 5 + MOUNT_GUARD_LINKS : 5,
		.handed_over = -1,
	};

	if (guard)
		mount_guard_links(guard, fds + 5);
	return start_helper(gates, HELPER_FILE_GATES, &given, &family->helper);
}

/* A place for it; NULL: one that was told to end has not yet. */
static struct family *free_family(struct file_gates *gates)
{
	for (int i = 0; i < FAMILIES; i++)
		if (!gates->families[i].exists)
			return &gates->families[i];
	return NULL;
}

static void start_next(struct file_gates *gates)
{
	struct family *family = free_family(gates);
	int r;

	if (!family)
		return;
	family->gates = gates;
	r = gate_table_create(&family->memory.fd, &family->memory.table);
	if (!r) {
		atomic_store(&family->memory.table->polling, gates->may_poll);
		family->retire = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = family->retire < 0 ? -errno : start_family(gates, family);
	}
	family->control = family->helper.control;
	if (!r)
		r = listen_to(gates->loop, &family->control_source,
			      family->control, hear_family, family);
	if (!r)
		r = listen_to(gates->loop, &family->death_source,
			      family->helper.pidfd, hear_death, family);
	if (r) {
		forget_family(gates, family);
		try_again_later(gates, r);
		return;
	}
	family->exists = true;
	gates->next = family;
}

static void start_fallback(struct file_gates *gates)
{
	int fds[] = {gates->setup.house->wake, -1, gates->setup.channel,
		     gates->proc};
	const struct helper_given given = {
		.fds = fds,
		.fd_count = 4,
		.handed_over = -1,
	};
	int r = gate_table_create(&gates->fallback_memory.fd,
				  &gates->fallback_memory.table);

	fds[1] = gates->fallback_memory.fd;
	if (!r)
		r = start_helper(gates, HELPER_FALLBACK, &given,
				 &gates->fallback);
	if (!r)
		r = listen_to(gates->loop, &gates->fallback_control,
			      gates->fallback.control, hear_fallback, gates);
	if (!r)
		r = listen_to(gates->loop, &gates->fallback_death,
			      gates->fallback.pidfd, fallback_died, gates);
	if (r) {
		forget_fallback(gates);
		try_again_later(gates, r);
	}
}

/* It is confined: from here on it may hold the group. */
static void begin_fallback(struct file_gates *gates)
{
	struct helper *fallback = &gates->fallback;
	int r;

	fallback->state = HELPER_READY;
	r = say(fallback->control, MESSAGE_GROUP, gates->setup.group);
	give_policy(gates, fallback, fallback->control);
	for (int i = 0; i < gates->owing_count; i++) {
		if (!r)
			r = say(fallback->control, MESSAGE_SETTLE,
				gates->owing[i]);
		fd_close(gates->owing[i]);
	}
	gates->owing_count = 0;
	if (!r)
		r = say(fallback->control, MESSAGE_GO, -1);
	if (r) {
		errno = -r;
		log_error("cannot set the fallback going: %m");
		helper_kill(fallback);
		return;
	}
	event_log_warn(gates->setup.house->log,
		       "no file gate: process %d answers; leashed accounts "
		       "are refused, everybody else goes on",
		       (int)fallback->pid);
}

/* ---- who answers next */

/* Let the family answer from now on. */
static void promote(struct file_gates *gates)
{
	struct family *family = gates->next;

	gates->live = family;
	gates->next = NULL;
	gates->begun = true;
	if (say(family->control, MESSAGE_GO, -1))
		helper_kill(&family->helper);
}

/*
 * The next family is ready: end who answers now, and once that one is gone the
 * next begins.
 */
static void make_way(struct file_gates *gates, int64_t now_ns)
{
	if (gates->live) {
		retire(gates, gates->live, now_ns);
	} else if (gates->fallback.pid > 0) {
		if (gates->fallback.state == HELPER_READY &&
		    !gates->fallback_stops) {
			gates->fallback_stops = true;
			if (say(gates->fallback.control, MESSAGE_STOP, -1))
				helper_kill(&gates->fallback);
		}
	} else if (!gates->owing_count) {
		promote(gates);
	}
}

static bool is_ready(const struct family *family)
{
	return family && family->helper.pid > 0 &&
	       family->helper.state == HELPER_READY;
}

/* Called after whatever has happened: do what is to be done next. */
static void advance(struct file_gates *gates)
{
	int64_t now_ns = clock_monotonic_ns();

	if (!gates->policy)
		return;
	if (is_ready(gates->next))
		make_way(gates, now_ns);
	if (!gates->next && now_ns >= gates->start_after_ns &&
	    (!gates->live || gates->live->helper.pid < 0))
		start_next(gates);
	if (gates->begun && !gates->live && gates->fallback.pid < 0)
		start_fallback(gates);
}

/* What a family or a fallback that is gone has left unanswered. */
static void keep_owing(struct file_gates *gates, struct memory *memory)
{
	if (!memory->table || !gate_table_owes(memory->table))
		return;
	if (gates->owing_count == OWING_MAX) {
		log_error("too many file gates died at once; opens they had "
			  "read may wait");
		return;
	}
	gates->owing[gates->owing_count++] = STEAL_FD(memory->fd);
}

/*
 * Count deaths that show that a gate cannot live here: not that of one that has
 * lived for long, nor of one that somebody has killed.
 */
static void count_death(struct file_gates *gates, int64_t lived_ns, int status)
{
	int64_t now_ns = clock_monotonic_ns();
	int64_t wait_ns = LOCKDOWN_MIN_NS;

	gates->start_after_ns = now_ns;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (lived_ns > helper_row(HELPER_FILE_GATES)->short_ns) {
		gates->short_lives = 0;
		return;
	}
	if (++gates->short_lives <= SHORT_LIVES_MAX)
		return;
	for (int i = SHORT_LIVES_MAX + 1;
	     i < gates->short_lives && wait_ns < LOCKDOWN_MAX_NS; i++)
		wait_ns *= 2;
	if (wait_ns > LOCKDOWN_MAX_NS)
		wait_ns = LOCKDOWN_MAX_NS;
	gates->start_after_ns = now_ns + wait_ns;
	/*
	 * Take the ignore marks away: with them the kernel would go on opening
	 * files for the accounts, whom the fallback refuses everything.
	 */
	(void)fanotify_mark(gates->setup.group, FAN_MARK_FLUSH, 0, AT_FDCWD,
			    NULL);
	event_log_warn(
		gates->setup.house->log,
		"lockdown: file gates die as soon as they start; leashed "
		"accounts are refused, trying again in %lld ms",
		(long long)(wait_ns / CLOCK_NS_PER_MS));
}

/* ---- what has happened */

/* Its main process is dead; the gates may well go on. */
static void main_died(struct file_gates *gates, struct family *family)
{
	int64_t lived_ns = clock_monotonic_ns() - family->helper.started_ns;
	pid_t pid = family->helper.pid;
	char fate[64];
	int status;

	loop_remove(&family->death_source);
	family->helper.control = -1; /* its gates may still speak there */
	status = helper_reap(&family->helper);
	event_log_warn(gates->setup.house->log,
		       "the main process %d of the file gates %s", (int)pid,
		       helper_fate(status, fate));
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		count_death(gates, lived_ns, status);
	if (family == gates->next) {
		/* It was still to begin; its gates, which live on, must not. */
		gates->next = NULL;
		retire(gates, family, clock_monotonic_ns());
	}
}

static void family_ended(struct file_gates *gates, struct family *family)
{
	bool was_live = family == gates->live;

	if (family->helper.pid > 0 && helper_wait(&family->helper, 0))
		main_died(gates, family);
	if (was_live)
		keep_owing(gates, &family->memory);
	forget_family(gates, family);
}

static void gate_died(struct file_gates *gates, struct family *family,
		      const struct message *message)
{
	pid_t pid = (pid_t)message->about;
	/*
	 * The next gate may have said that it answers before we hear of this
	 * one's death.
	 */
	bool was_active = pid == family->answering || pid == family->answered;
	char fate[64];

	event_log_warn(gates->setup.house->log, "%s file gate %d %s",
		       was_active ? "answering" : "spare", (int)message->about,
		       helper_fate((int)message->value, fate));
}

static void gate_answers(struct file_gates *gates, struct family *family,
			 const struct message *message)
{
	family->answered = family->answering;
	family->answering = (pid_t)message->about;
	event_log_note(gates->setup.house->log,
		       "file gate %d answers, policy generation %llu",
		       (int)message->about, (unsigned long long)message->value);
}

static void handle_message(struct file_gates *gates, struct family *family,
			   const struct message *message)
{
	struct helper *helper = &family->helper;

	switch (message->type) {
	case MESSAGE_READY:
		helper->state = HELPER_LOADING;
		if (say(family->control, MESSAGE_GROUP, gates->setup.group))
			helper_kill(helper);
		give_policy(gates, helper, family->control);
		break;
	case MESSAGE_LOADED:
		family->generation = message->value;
		helper->state = HELPER_READY;
		break;
	case MESSAGE_ANSWERS:
		gate_answers(gates, family, message);
		break;
	case MESSAGE_DIED:
		gate_died(gates, family, message);
		break;
	default:
		errno = message->type == MESSAGE_FAILED ? (int)message->value
							: EPROTO;
		event_log_warn(gates->setup.house->log,
			       "the file gates could not take the policy: %s",
			       strerror(errno));
		helper_kill(helper);
		break;
	}
}

static void hear_family(void *context)
{
	struct family *family = context;
	struct file_gates *gates = family->gates;

	for (;;) {
		struct message message;
		int fd = -1;
		int r = message_receive(family->control, &message, &fd);

		fd_close(fd);
		if (r == MESSAGE_NONE)
			return;
		if (r == MESSAGE_CLOSED) {
			family_ended(gates, family);
			return;
		}
		if (r)
			message = (struct message){.type = MESSAGE_FAILED,
						   .value = EPROTO};
		handle_message(gates, family, &message);
	}
}

static void hear_death(void *context)
{
	struct family *family = context;

	if (family->helper.pid > 0 && helper_wait(&family->helper, 0))
		main_died(family->gates, family);
}

static void hear_fallback(void *context)
{
	struct file_gates *gates = context;
	struct message message;
	int fd = -1;
	int r = message_receive(gates->fallback.control, &message, &fd);

	fd_close(fd);
	if (r == MESSAGE_CLOSED) /* it is dying; its pidfd will say so */
		loop_remove(&gates->fallback_control);
	else if (!r && message.type == MESSAGE_READY &&
		 gates->fallback.state == HELPER_STARTING)
		begin_fallback(gates);
}

static void fallback_died(void *context)
{
	struct file_gates *gates = context;

	if (!helper_wait(&gates->fallback, 0))
		return;
	if (!gates->fallback_stops)
		event_log_warn(gates->setup.house->log,
			       "process %d, which answered for the file gates, "
			       "is gone",
			       (int)gates->fallback.pid);
	keep_owing(gates, &gates->fallback_memory);
	forget_fallback(gates);
}

static void dispatch(void *context)
{
	struct file_gates *gates = context;
	int r = loop_turn(gates->loop, 0);

	if (r < 0) {
		errno = -r;
		log_error("cannot hear the file gates: %m");
	}
	advance(gates);
}

/* ---- who stands still */

static bool work_waits(const struct file_gates *gates,
		       const struct memory *memory)
{
	int waiting = 0;

	return gate_table_owes(memory->table) ||
	       (ioctl(gates->setup.group, FIONREAD, &waiting) == 0 &&
		waiting > 0);
}

/*
 * Has nobody shown a sign of life for more than so many ticks, with work
 * waiting?
 */
static bool stands_still(const struct file_gates *gates, struct memory *memory,
			 int ticks)
{
	uint64_t heartbeats = gate_table_heartbeats(memory->table);

	if (heartbeats != memory->heartbeats || !work_waits(gates, memory)) {
		memory->heartbeats = heartbeats;
		memory->still_ticks = 0;
		return false;
	}
	return ++memory->still_ticks > ticks;
}

/*
 * How long the main process has stood still, in ticks.  It is watched although
 * it answers nothing: it is needed when a gate has to be replaced.
 */
static int main_still_ticks(struct family *family)
{
	struct memory *memory = &family->memory;
	uint64_t heartbeat = atomic_load(&memory->table->main_heartbeat);

	if (family->helper.pid < 0 || family->helper.state < HELPER_LOADING ||
	    heartbeat != memory->main_heartbeat) {
		memory->main_heartbeat = heartbeat;
		memory->main_still_ticks = 0;
		return 0;
	}
	return ++memory->main_still_ticks;
}

/* Kill all of its processes; when the last is gone, its control end says so. */
static void kill_family(struct file_gates *gates, struct family *family)
{
	pid_t other = gates->next && gates->next != family
			      ? gates->next->helper.pid
			      : 0;

	helper_kill(&family->helper);
	strays_kill_gates(gates->proc, other);
}

/*
 * It was told to end and has not.  Kill it; if that does not end it either, the
 * kernel holds it, and we go on without it.
 */
static void check_retired(struct file_gates *gates, struct family *family,
			  int64_t now_ns)
{
	if (now_ns - family->retired_ns < RETIRE_NS)
		return;
	kill_family(gates, family);
	if (now_ns - family->retired_ns < 2 * RETIRE_NS)
		return;
	event_log_warn(gates->setup.house->log,
		       "file gates hang in the kernel; going "
		       "on without them");
	if (family == gates->live)
		keep_owing(gates, &family->memory);
	forget_family(gates, family);
}

static void check_family(struct file_gates *gates, struct family *family,
			 int64_t now_ns)
{
	int main_still = main_still_ticks(family);

	if (family->retired_ns) {
		check_retired(gates, family, now_ns);
	} else if (family == gates->live &&
		   stands_still(gates, &family->memory,
				main_still > STUCK_ALL ? STUCK_ALL
						       : STUCK_TICKS)) {
		event_log_warn(gates->setup.house->log,
			       "the file gates stand still; replacing them");
		family->retired_ns = now_ns;
		kill_family(gates, family);
	} else if (main_still > STUCK_MAIN) {
		event_log_warn(gates->setup.house->log,
			       "the main process %d of the file gates stands "
			       "still; replacing it",
			       (int)family->helper.pid);
		helper_kill(&family->helper);
	} else if (family == gates->next && !is_ready(family) &&
		   now_ns - family->helper.started_ns >
			   helper_row(HELPER_FILE_GATES)->ready_ns) {
		event_log_warn(gates->setup.house->log,
			       "file gates were not ready in "
			       "time; ending them");
		helper_kill(&family->helper);
	}
}

static void check_fallback(struct file_gates *gates, int64_t now_ns)
{
	struct helper *fallback = &gates->fallback;

	if (fallback->state == HELPER_STARTING) {
		if (now_ns - fallback->started_ns >
		    helper_row(HELPER_FALLBACK)->ready_ns)
			helper_kill(fallback);
	} else if (stands_still(gates, &gates->fallback_memory,
				STUCK_FALLBACK)) {
		helper_kill(fallback);
	}
}

static void look_at_power(struct file_gates *gates, int64_t now_ns)
{
	if (now_ns - gates->power_looked_ns < POWER_LOOK_NS)
		return;
	gates->power_looked_ns = now_ns;
	gates->may_poll = power_is_plentiful(gates->power);
	for (int i = 0; i < FAMILIES; i++)
		if (gates->families[i].memory.table)
			atomic_store(&gates->families[i].memory.table->polling,
				     gates->may_poll);
}

void file_gates_tick(struct file_gates *gates, int64_t now_ns)
{
	if (!gates->policy)
		return;
	look_at_power(gates, now_ns);
	for (int i = 0; i < FAMILIES; i++)
		if (gates->families[i].exists)
			check_family(gates, &gates->families[i], now_ns);
	if (gates->fallback.pid > 0)
		check_fallback(gates, now_ns);
	if (is_ready(gates->live) &&
	    now_ns - gates->live->helper.started_ns >
		    helper_row(HELPER_FILE_GATES)->short_ns)
		gates->short_lives = 0;
	advance(gates);
}

/* ---- asked by others */

uint64_t file_gates_generation(const struct file_gates *gates)
{
	return gates->live ? gates->live->generation : 0;
}

bool file_gates_complete(const struct file_gates *gates)
{
	return is_ready(gates->live) && gates->live->answering > 0;
}

bool file_gates_locked_down(const struct file_gates *gates)
{
	return gates->short_lives > SHORT_LIVES_MAX;
}

struct file_gates_pids file_gates_pids(const struct file_gates *gates)
{
	struct file_gates_pids pids = {
		.answering = -1,
		.spare = -1,
		.main = -1,
		.fallback = gates->fallback.pid,
	};

	if (!gates->live)
		return pids;
	pids.main = gates->live->helper.pid;
	pids.answering = gates->live->answering;
	for (int i = 0; i < GATE_SLOTS; i++) {
		pid_t pid =
			atomic_load(&gates->live->memory.table->slots[i].pid);

		if (pid > 0 && pid != pids.answering)
			pids.spare = pid;
	}
	return pids;
}

bool file_gates_are_quiet(const struct file_gates *gates)
{
	return gates->live && gates->live->answering > 0 &&
	       !work_waits(gates, &gates->live->memory);
}

uint32_t file_gates_unasked(const struct file_gates *gates)
{
	return gates->live ? atomic_load(&gates->live->memory.table->unasked)
			   : 0;
}

/* Until all of its processes are gone, or for so long. */
static bool wait_for_end(struct file_gates *gates, struct family *family)
{
	int64_t end_ns =
		clock_monotonic_ns() + STOP_TIMEOUT_MS * CLOCK_NS_PER_MS;

	while (family->exists) {
		int64_t left_ms =
			(end_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;

		if (left_ms <= 0 || loop_turn(gates->loop, (int)left_ms) < 0)
			return false;
	}
	return true;
}

void file_gates_stop(struct file_gates *gates)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct family *family = &gates->families[i];

		if (!family->exists)
			continue;
		retire(gates, family, clock_monotonic_ns());
		if (wait_for_end(gates, family))
			continue;
		kill_family(gates, family);
		(void)wait_for_end(gates, family);
	}
	if (gates->fallback.pid > 0 &&
	    !say(gates->fallback.control, MESSAGE_STOP, -1))
		(void)helper_wait(&gates->fallback, STOP_TIMEOUT_MS);
	forget_fallback(gates);
}
