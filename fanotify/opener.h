#pragma once

/*
 * opener - who is opening: the thread behind an event, and what it runs
 *
 * The kernel names the thread that waits for our answer.  Its credentials are
 * asked for at every event, since they may have changed; what it runs is kept
 * from one event to the next, since it changes only by exec, which we see.
 *
 * Nothing is read that lives in the process's own memory, such as its command
 * line: the process decides what stands behind that memory, and could have
 * its reader wait for ever.
 *
 * A kept descriptor (a pidfd, or /proc/TID/status on kernels before 6.13)
 * pins the thread: should its number be given to another, the old descriptor
 * answers ESRCH and the entry is made anew.  A cache of n entries holds at
 * most n descriptors.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/process.h"

enum opener_privilege {
	OPENER_PRIVILEGE_UNKNOWN,
	OPENER_PRIVILEGE_NONE, /* holds no capability */
	OPENER_PRIVILEGE_SOME,
};

struct opener {
	uint32_t tid;
	struct process_ids ids;
	int proc; /* borrowed from the cache */
	int fd;	  /* owned; -1: entry unused */
	bool fd_is_pidfd;
	bool stale; /* has been seen to exec since program was read */
	bool is_loader;
	bool expects_loader; /* was allowed to exec what needs one */
	bool expects_open;   /* was allowed to exec: its open comes next */
	enum opener_privilege privilege;
	uint64_t exec_device; /* what it execs, to tell the open that belongs */
	uint64_t exec_inode;
	char *program; /* owned; NULL: not read */
};

struct opener_cache;

/* Expected outcomes of opener_identify(). */
enum {
	OPENER_GONE = 1, /* died meanwhile: nobody waits for the answer */
	OPENER_HIDDEN,	 /* not in our PID namespace, so not leashed */
};

/* Room for size threads; proc, of process_open_proc(), is borrowed. */
MUST_CHECK int opener_cache_new(int proc, size_t size,
				struct opener_cache **ret);
struct opener_cache *opener_cache_free(struct opener_cache *cache);
DEFINE_CLEANUP(struct opener_cache *, opener_cache_free)

/*
 * Find out who thread tid is now.  *ret belongs to the cache and is valid
 * until the next call.
 */
MUST_CHECK int opener_identify(struct opener_cache *cache, pid_t tid,
			       struct opener **ret);

/* Close what identifying has set aside: costly, so after the answer. */
void opener_tidy(struct opener_cache *cache);

/*
 * The program that runs, NULL where the kernel does not tell.  May make an
 * entry for the parent, so other openers than this one are not valid after.
 */
const char *opener_program(struct opener_cache *cache, struct opener *opener);

/* Its process is about to exec this file: what we know of it ends here. */
void opener_execs(struct opener_cache *cache, struct opener *opener,
		  uint64_t device, uint64_t inode);

/* Whether it holds no capability that overrides file modes. */
bool opener_is_unprivileged(struct opener *opener);

/* Whether path is, by its name, a loader of dynamic programs. */
bool opener_is_loader_name(const char *path, size_t length);
