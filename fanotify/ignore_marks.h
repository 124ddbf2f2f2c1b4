#pragma once

/*
 * ignore_marks - files that the kernel opens without asking
 *
 * An open that is asked about costs 10 to 50 microseconds, one that is not a
 * tenth of one.  So where nobody's answer could differ, an ignore mark on the
 * file lets the kernel answer by itself (fanotify_mark(2)).  The mark holds for
 * every user, every name of the file and every way of opening it.  Hence only
 * for a file that
 *   - every account may read, by a rule that says `log = false`,
 *   - no account may write: by its owner and modes, not by the policy alone,
 *   - no loader could be made to run against the policy: every account may run
 *     it, or nobody may by its modes, or its name is a library's.
 * That it is run is asked each time.
 *
 * A file that root moves to where it is denied stays open to the accounts for
 * a while; what they get are the bytes that they might read until then: the
 * kernel drops the mark when the file is written to, and all marks go when a
 * policy is loaded and every IGNORE_MARKS_S seconds.
 *
 * The kernel may drop a mark at any time, to free memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fanotify/target.h"
#include "gatekeeper/policy/image.h"

#define IGNORE_MARKS_S	   10
#define IGNORE_MARKS_FILES 2048 /* remembered; a power of two */
#define IGNORE_MARKS_MAX   4096 /* at once: taking them away takes 2 ms */

struct ignore_marks {
	int group;	 /* borrowed */
	bool refused;	 /* the kernel will not have such marks: set no more */
	int64_t since_s; /* monotonic, of the first file; 0: there is none */
	_Atomic uint32_t *count; /* borrowed: how many there are, at most */
	struct ignore_marks_file {
		uint64_t device;
		uint64_t inode;
		bool known;
		bool marked;
	} files[IGNORE_MARKS_FILES];
};

void ignore_marks_init(struct ignore_marks *marks, int group,
		       _Atomic uint32_t *count);

/* Whether any file may be marked under this policy. */
bool ignore_marks_are_of_use(const struct policy *policy);

/* Has the file been considered since the last flush? */
bool ignore_marks_knows(const struct ignore_marks *marks, uint64_t device,
			uint64_t inode);

/* And does the kernel, most likely, open it without asking? */
bool ignore_marks_marked(const struct ignore_marks *marks, uint64_t device,
			 uint64_t inode);

/* Whether nobody's answer could differ, as above.  Pure. */
bool ignore_marks_may(const struct policy *policy, const struct target *target,
		      int64_t now_s);

/*
 * Consider the file behind fd, which target describes, its path included:
 * mark it if it may be.  At most once until the next flush.
 */
void ignore_marks_consider(struct ignore_marks *marks,
			   const struct policy *policy,
			   const struct target *target, int fd, int64_t now_s);

/* Take all marks away. */
void ignore_marks_flush(struct ignore_marks *marks);

/* Take them away if they are old; and for poll(2), when to look. */
void ignore_marks_age(struct ignore_marks *marks, int64_t monotonic_s);
int ignore_marks_wait_ms(const struct ignore_marks *marks);
