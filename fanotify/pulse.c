#include "fanotify/pulse.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/process.h"

#define STARVED_LOOKS 150 /* while it waits for a processor */
#define ABANDON_NS    (200 * CLOCK_NS_PER_MS)

static bool is_dead(const struct gate_shared *slot)
{
	struct pollfd death = {
		.fd = atomic_load(&slot->pidfd),
		.events = POLLIN,
	};

	return atomic_load(&slot->pid) <= 0 || poll(&death, 1, 0) > 0;
}

static bool has_work(const struct pulse_of *of)
{
	int waiting = 0;

	return gate_table_slot_owes(of->slot) ||
	       (ioctl(of->group, FIONREAD, &waiting) == 0 && waiting > 0);
}

/* A crowded machine is no reason to end it: the next waits as long. */
static bool is_starved(const struct pulse_of *of, int still)
{
	char state;

	return still <= STARVED_LOOKS &&
	       process_state(of->proc, atomic_load(&of->slot->pid), &state) ==
		       0 &&
	       state == 'R';
}

bool pulse_is_gone(struct pulse *pulse, const struct pulse_of *of,
		   int64_t now_ns)
{
	uint64_t heartbeat = atomic_load(&of->slot->heartbeat);

	if (is_dead(of->slot))
		return true;
	if (pulse->killed_ns)
		return now_ns - pulse->killed_ns > ABANDON_NS;
	if (heartbeat != pulse->heartbeat || !has_work(of)) {
		pulse->heartbeat = heartbeat;
		pulse->still = 0;
		return false;
	}
	if (++pulse->still <= of->patience || is_starved(of, pulse->still))
		return false;
	log_error("file gate %d stands still; ending it",
		  atomic_load(&of->slot->pid));
	syscall(SYS_pidfd_send_signal, atomic_load(&of->slot->pidfd), SIGKILL,
		NULL, 0);
	pulse->killed_ns = now_ns;
	return false;
}
