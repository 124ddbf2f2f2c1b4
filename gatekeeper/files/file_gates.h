#pragma once

/*
 * file_gates - keeps somebody answering about opens and execs
 *
 * leash-fanotify is a family of processes (wire/gate_table.h) that replaces
 * its own gates, whether gatekeeper is there or not.  Here the family is
 * started, given policies, and replaced should its main process die: the gates
 * go on without it until another family is ready, and only then are they told
 * to end.  When a whole family is gone, the fallback answers (fallback.h)
 * until the next is ready.
 *
 * Never do two processes with different tables of descriptors read the group:
 * answers are matched by a descriptor's number alone.  So whoever comes next
 * begins when the one before is gone, and what it owed is settled.
 *
 * gatekeeper itself holds the group, to set marks and to hand it on, and reads
 * nothing from it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/files/mount_guard.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/helpers/helper_row.h"

struct file_gates;

struct file_gates_setup {
	const struct helper_house *house; /* borrowed, like all of it */
	int group;
	int channel;
	struct mount_guard *guard; /* which gates keep alive; or NULL */
};

MUST_CHECK int file_gates_new(const struct file_gates_setup *setup,
			      struct file_gates **ret);

/* Kills what still runs. */
struct file_gates *file_gates_free(struct file_gates *gates);
DEFINE_CLEANUP(struct file_gates *, file_gates_free)

/*
 * Judge by policy, whose image is in fd; both are borrowed until the next
 * call.  The first call makes the gates start at the next tick.
 */
void file_gates_set_policy(struct file_gates *gates,
			   const struct policy *policy, int fd);

/* Every 100 ms: find who stands still, start who is missing. */
void file_gates_tick(struct file_gates *gates, int64_t now_ns);

/* The generation that the answering gate judges by, 0 if none answers. */
uint64_t file_gates_generation(const struct file_gates *gates);

/* A family answers, and has said that it is complete. */
bool file_gates_complete(const struct file_gates *gates);

/* Whether they die faster than they can be of use. */
bool file_gates_locked_down(const struct file_gates *gates);

struct file_gates_pids {
	pid_t answering; /* each -1 for none */
	pid_t spare;
	pid_t main;
	pid_t fallback;
};

struct file_gates_pids file_gates_pids(const struct file_gates *gates);

/* They answer, nothing waits to be read, and nothing is in hand. */
bool file_gates_are_quiet(const struct file_gates *gates);

/* How many files the kernel opens without asking. */
uint32_t file_gates_unasked(const struct file_gates *gates);

/* Let what is queued be answered and end them, within four seconds. */
void file_gates_stop(struct file_gates *gates);
