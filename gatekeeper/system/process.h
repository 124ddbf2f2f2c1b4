#pragma once

/*
 * process - what /proc tells about a thread
 *
 * The functions that open something there take proc, a descriptor of /proc
 * itself (O_PATH will do), so that they work in a process whose root has been
 * taken away.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

struct process_ids {
	uint32_t tgid;
	uint32_t parent_tgid;
	uint32_t uids[4]; /* real, effective, saved, file system */
};

/*
 * Parse the text of /proc/PID/status.  *ret_capable: whether it holds any
 * capability.  0 or -EINVAL.
 */
MUST_CHECK int process_parse_status(const char *text, struct process_ids *ret,
				    bool *ret_capable);

/*
 * Read an open /proc/PID/status.  -ESRCH once the thread is gone: the file
 * stays that of the thread it was opened for, whoever gets its number.
 */
MUST_CHECK int process_read_status(int fd, struct process_ids *ret,
				   bool *ret_capable);

/*
 * Open /proc: a descriptor, or a negative errno.
 *
 * One of our own where the kernel (5.8) and our capabilities allow it
 * (CAP_SYS_ADMIN).  Whoever looks up a number in the host's waits for those who
 * list it and for those who want to make something in it, which anybody may
 * try; and one who lists it can do so as slowly as he likes.
 */
MUST_CHECK int process_open_proc(void);

/* Open /proc/PID/status: a descriptor or a negative errno. */
MUST_CHECK int process_open_status(int proc, pid_t pid);

/* Open, read, close. */
MUST_CHECK int process_ids_of(int proc, pid_t pid, struct process_ids *ret);

/*
 * The state letter of /proc/PID/stat: R runs or waits for a processor, S and
 * D sleep, T is stopped, Z is dead.
 */
MUST_CHECK int process_state(int proc, pid_t pid, char *ret);

/*
 * When pid was started, in clock ticks since boot: with the number itself it
 * tells a process from any later one.
 */
MUST_CHECK int process_start_time(int proc, pid_t pid, uint64_t *ret);
