#pragma once

/*
 * kernel_cache - files that the kernel opens without asking
 *
 * An open that is asked about costs 10 to 50 microseconds, one that is not a
 * tenth of one.  So where nobody's answer could differ, an ignore mark on the
 * file lets the kernel answer by itself (fanotify_mark(2)).  The mark holds for
 * every user, every name of the file and every way of opening it.  Hence only
 * for a file that
 *   - every account may read, by a rule that says `log = false`,
 *   - no account may write: by its owner and modes, not by the policy alone,
 *   - no loader could be made to run against the policy: if it is ELF, every
 *     account may run it, or its name is a library's.
 * That it is run is asked each time.
 *
 * A file that root moves to where it is denied stays open to the accounts for
 * a while; what they get are the bytes that they might read until then: the
 * kernel drops the mark when the file is written to, and all marks go when a
 * policy is loaded and every KERNEL_CACHE_S seconds.
 *
 * The kernel may drop a mark at any time, to free memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fanotify/target.h"
#include "gatekeeper/policy/image.h"

#define KERNEL_CACHE_S	   10
#define KERNEL_CACHE_FILES 2048 /* remembered; a power of two */
#define KERNEL_CACHE_MARKS 4096 /* at once: taking them away takes 2 ms */

struct kernel_cache {
	int group;	 /* borrowed */
	bool refused;	 /* the kernel will not have such marks: set no more */
	int64_t since_s; /* monotonic, of the first file; 0: there is none */
	_Atomic uint32_t *marks; /* borrowed: how many there are, at most */
	struct kernel_cache_file {
		uint64_t device;
		uint64_t inode;
		bool known;
		bool marked;
	} files[KERNEL_CACHE_FILES];
};

void kernel_cache_init(struct kernel_cache *cache, int group,
		       _Atomic uint32_t *marks);

/* Whether any file may be marked under this policy. */
bool kernel_cache_is_of_use(const struct policy *policy);

/* Has the file been considered since the last flush? */
bool kernel_cache_knows(const struct kernel_cache *cache, uint64_t device,
			uint64_t inode);

/* And does the kernel, most likely, open it without asking? */
bool kernel_cache_marked(const struct kernel_cache *cache, uint64_t device,
			 uint64_t inode);

/* Whether nobody's answer could differ, as above.  Pure. */
bool kernel_cache_may(const struct policy *policy, const struct target *target,
		      bool is_elf, int64_t now_s);

/*
 * Consider the file behind fd, which target describes, its path included:
 * mark it if it may be.  At most once until the next flush.
 */
void kernel_cache_consider(struct kernel_cache *cache,
			   const struct policy *policy,
			   const struct target *target, int fd, int64_t now_s);

/* Take all marks away. */
void kernel_cache_flush(struct kernel_cache *cache);

/* Take them away if they are old; and for poll(2), when to look. */
void kernel_cache_age(struct kernel_cache *cache, int64_t monotonic_s);
int kernel_cache_wait_ms(const struct kernel_cache *cache);
