#include "fanotify/ignore_marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"

void ignore_marks_init(struct ignore_marks *marks, int group,
		       _Atomic uint32_t *count)
{
	*marks = (struct ignore_marks){.group = group, .count = count};
}

bool ignore_marks_are_of_use(const struct policy *policy)
{
	for (uint32_t i = 0; i < policy_rule_count(policy); i++) {
		const struct policy_rule *rule = policy_rule(policy, i);

		if (rule->quiet && (rule->effect == POLICY_EFFECT_READ ||
				    rule->effect == POLICY_EFFECT_WRITE))
			return true;
	}
	return false;
}

static size_t slot_of(uint64_t device, uint64_t inode)
{
	return (inode ^ device * 31) % IGNORE_MARKS_FILES;
}

static const struct ignore_marks_file *find(const struct ignore_marks *marks,
					    uint64_t device, uint64_t inode)
{
	const struct ignore_marks_file *file =
		&marks->files[slot_of(device, inode)];

	return file->known && file->device == device && file->inode == inode
		       ? file
		       : NULL;
}

bool ignore_marks_knows(const struct ignore_marks *marks, uint64_t device,
			uint64_t inode)
{
	return marks->refused || find(marks, device, inode);
}

bool ignore_marks_marked(const struct ignore_marks *marks, uint64_t device,
			 uint64_t inode)
{
	const struct ignore_marks_file *file = find(marks, device, inode);

	return file && file->marked;
}

static bool may_account(const struct policy *policy, uint32_t account,
			const struct target *target, uint32_t facts,
			int64_t now_s)
{
	struct policy_answer answer;
	struct policy_question question =
		target_question(target, account, POLICY_KIND_OPEN, now_s);

	question.access = POLICY_ACCESS_READ;
	question.facts |= facts;
	return policy_decide(policy, &question, &answer) == 0 &&
	       answer.verdict == POLICY_ALLOW && !answer.log;
}

bool ignore_marks_may(const struct policy *policy, const struct target *target,
		      int64_t now_s)
{
	uint32_t count = policy_account_count(policy);
	uint32_t facts = target_may_be_program(target, policy) &&
					 !target_is_library_name(target)
				 ? POLICY_FACT_BY_LOADER
				 : 0;

	if (!S_ISREG(target->mode) || !target_is_closed(target, policy))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!may_account(policy, i, target, facts, now_s))
			return false;
	return count > 0;
}

static bool mark(struct ignore_marks *marks, int fd)
{
	const unsigned int how =
		FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_EVICTABLE;

	if (atomic_load(marks->count) >= IGNORE_MARKS_MAX)
		return false;
	if (fanotify_mark(marks->group, how, FAN_OPEN_PERM, fd, NULL) == 0) {
		atomic_fetch_add(marks->count, 1);
		return true;
	}
	if (errno == EINVAL || errno == EPERM) {
		log_notice("the kernel does not open files without asking: %m");
		marks->refused = true;
	}
	return false;
}

void ignore_marks_consider(struct ignore_marks *marks,
			   const struct policy *policy,
			   const struct target *target, int fd, int64_t now_s)
{
	if (ignore_marks_knows(marks, target->device, target->inode))
		return;
	if (!marks->since_s)
		marks->since_s = clock_monotonic_ns() / CLOCK_NS_PER_S;
	marks->files[slot_of(target->device, target->inode)] =
		(struct ignore_marks_file){
			.device = target->device,
			.inode = target->inode,
			.known = true,
			.marked = ignore_marks_may(policy, target, now_s) &&
				  mark(marks, fd),
		};
}

void ignore_marks_flush(struct ignore_marks *marks)
{
	bool refused = marks->refused;

	if (fanotify_mark(marks->group, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL) < 0)
		log_error("cannot have the kernel ask again: %m");
	ignore_marks_init(marks, marks->group, marks->count);
	atomic_store(marks->count, 0);
	marks->refused = refused;
}

void ignore_marks_age(struct ignore_marks *marks, int64_t monotonic_s)
{
	if (marks->since_s && monotonic_s - marks->since_s >= IGNORE_MARKS_S)
		ignore_marks_flush(marks);
}

int ignore_marks_wait_ms(const struct ignore_marks *marks)
{
	return marks->since_s ? IGNORE_MARKS_S * 1000 : -1;
}
