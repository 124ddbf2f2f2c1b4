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
 * answers ESRCH and the entry is made anew.
 *
 * Two tables hold one descriptor an entry.  Most openers are a cache: anybody's
 * event may take an entry, and what is lost is read again.  A thread of an
 * account that execs stands in the other until its exec is over, because what
 * is known of the exec cannot be had again: nobody takes that entry, each
 * account has a share of the room, and where it is full the next exec waits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "fanotify/gate_ends.h"
#include "gatekeeper/system/process.h"

enum opener_privilege {
	OPENER_PRIVILEGE_UNKNOWN,
	OPENER_PRIVILEGE_NONE, /* holds no capability */
	OPENER_PRIVILEGE_SOME,
};

/* An exec that was allowed and is, as far as we know, not over. */
struct opener_exec {
	uint32_t account;
	uint64_t device; /* of the file, whose open belongs to it */
	uint64_t inode;
	uint64_t path;	   /* opener_hash() of its path, to tell when it runs */
	bool expects_open; /* the thread's next event is that open */
	bool expects_loader; /* the kernel may open one for it */
	bool again;	  /* what it ran before may have the same path; ours */
	int64_t since_ns; /* monotonic; ours */
};

struct opener {
	uint32_t tid;
	struct process_ids ids;
	int proc; /* borrowed from the cache */
	int fd;	  /* owned; -1: entry unused */
	bool fd_is_pidfd;
	bool stale; /* it has run an exec since program was read */
	bool is_loader;
	bool execs; /* exec is valid, and nobody may take the entry */
	enum opener_privilege privilege;
	struct opener_exec exec;
	char *program; /* owned; NULL: not read */
};

struct opener_cache;

/* Expected outcomes. */
enum {
	OPENER_GONE = 1, /* died meanwhile: nobody waits for the answer */
	OPENER_HIDDEN,	 /* not in our PID namespace, so not leashed */
	OPENER_FULL,	 /* no room for another exec of this account */
};

/* How many threads to keep in mind; each takes a descriptor. */
struct opener_room {
	size_t known; /* of anybody */
	size_t execs; /* under way, of all accounts together */
};

/* Whose descriptors they are, the table is told. */
MUST_CHECK int opener_cache_new(const struct gate_ends *ends,
				struct opener_room room,
				struct opener_cache **ret);
struct opener_cache *opener_cache_free(struct opener_cache *cache);
DEFINE_CLEANUP(struct opener_cache *, opener_cache_free)

/*
 * Find out who thread tid is now: 0, OPENER_GONE or OPENER_HIDDEN.  *ret
 * belongs to the cache and is valid until the next call of any function that
 * is given the cache, unless that says otherwise.
 */
MUST_CHECK int opener_identify(struct opener_cache *cache, pid_t tid,
			       struct opener **ret);

/*
 * Close the descriptors that opener_identify() has replaced.  That takes time,
 * so it is done after the answer.
 */
void opener_tidy(struct opener_cache *cache);

/*
 * The program that runs, NULL where the kernel does not tell.  openers stay
 * valid.
 */
const char *opener_program(struct opener_cache *cache, struct opener *opener);

/*
 * Is there room to remember an exec by this opener of an account, of so many
 * accounts?  0 or OPENER_FULL.  Where there is none, execs of threads that
 * have died, or run what they were to run, are forgotten first.  Openers other
 * than this one are not valid after.
 */
MUST_CHECK int opener_may_exec(struct opener_cache *cache,
			       const struct opener *opener, uint32_t account,
			       uint32_t accounts);

/*
 * It was allowed to exec this, and opener_may_exec() had room: remember it, and
 * that what its process ran will not be so for long.  Returns where the opener
 * is now.
 */
struct opener *opener_execs(struct opener_cache *cache, struct opener *opener,
			    const struct opener_exec *exec);

/*
 * Its exec is over, has failed, or was refused.  The opener is not valid
 * after.
 */
void opener_exec_over(struct opener_cache *cache, struct opener *opener);

/* How many execs are remembered. */
size_t opener_exec_count(const struct opener_cache *cache);

uint64_t opener_hash(const char *path, size_t length);

/* Whether it holds no capability that overrides file modes. */
bool opener_is_unprivileged(struct opener *opener);

/* Whether path is, by its name, a loader of dynamic programs. */
bool opener_is_loader_name(const char *path, size_t length);
