#include "fanotify/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fanotify/syscall_access.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"

#define NEW_HERE_NS (2 * CLOCK_NS_PER_S)

int judge_init(struct judge *judge, size_t room)
{
	int r;

	judge->proc = process_open_proc();
	if (judge->proc < 0)
		return judge->proc;
	judge->fds_dir = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	if (judge->fds_dir < 0)
		return -errno;
	r = opener_cache_new(judge->proc, room, &judge->openers);
	return r ? r : mount_table_new(&judge->mounts);
}

void judge_done(struct judge *judge)
{
	opener_cache_free(judge->openers);
	mount_table_free(judge->mounts);
	fd_close(judge->fds_dir);
	fd_close(judge->proc);
}

uint32_t judge_account(const struct policy *policy,
		       const struct process_ids *ids)
{
	uint32_t account = policy_account_of(policy, ids->uids[0]);

	for (int i = 1; account == POLICY_NONE && i < 4; i++)
		if (ids->uids[i] != ids->uids[i - 1])
			account = policy_account_of(policy, ids->uids[i]);
	return account;
}

static enum policy_kind kind_of(uint64_t mask)
{
	if (mask & FAN_OPEN_EXEC_PERM)
		return POLICY_KIND_EXEC;
	return mask & FAN_ONDIR ? POLICY_KIND_LIST : POLICY_KIND_OPEN;
}

/*
 * Had it wanted to write, would the kernel have come this far?  File modes
 * are checked before we are asked.  An ACL that grants writing shows in the
 * group bits; capabilities override modes.
 */
static bool modes_forbid_writing(const struct policy *policy,
				 const struct target *target,
				 struct opener *opener)
{
	const uint32_t *uids = opener->ids.uids;

	return target_is_closed(target, policy) && uids[0] != 0 &&
	       uids[1] == uids[0] && uids[2] == uids[0] && uids[3] == uids[0] &&
	       opener_is_unprivileged(opener);
}

/*
 * The answer depends on how the file is opened: find out, cheaply first.
 * 0, or JUDGE_NOT_YET, never if it is the last chance.
 */
static int decide_by_access(struct judge *judge, const struct policy *policy,
			    struct opener *opener, bool last_chance,
			    struct judgement *ret)
{
	struct syscall_access how = {.access = POLICY_ACCESS_WRITE};

	if (modes_forbid_writing(policy, &judge->target, opener)) {
		ret->question.access = POLICY_ACCESS_READ;
		if (policy_decide(policy, &ret->question, &ret->answer) == 0 &&
		    ret->answer.verdict == POLICY_ALLOW)
			return 0;
	}
	if (syscall_access_of(judge->proc, (pid_t)opener->tid, &how) &&
	    !last_chance)
		return JUDGE_NOT_YET;
	ret->question.access = how.access;
	return policy_decide(policy, &ret->question, &ret->answer);
}

/*
 * An exec asks twice, to run the file and then to open it, in one system call:
 * the open is the thread's very next event, and no question of its own.
 */
static bool is_of_exec(const struct opener *opener, enum policy_kind kind,
		       const struct target *target)
{
	return kind == POLICY_KIND_OPEN && opener->expects_open &&
	       opener->exec_inode == target->inode &&
	       opener->exec_device == target->device;
}

/*
 * Has the kernel opened this loader, for a program that was allowed?  A gate
 * that has just begun has not seen the execs that are under way, so it believes
 * that.  Nothing is gained by running one by hand then: what a loader opens is
 * judged as run.
 */
static bool is_for_program(const struct judge *judge,
			   const struct opener *opener)
{
	const struct target *target = &judge->target;

	if (target->owner != 0 || (target->mode & (S_IWGRP | S_IWOTH)) ||
	    !opener_is_loader_name(target->path, target->path_length))
		return false;
	return opener->expects_loader ||
	       clock_monotonic_ns() - judge->since_ns < NEW_HERE_NS;
}

static uint32_t loader_facts(struct judge *judge, struct opener *opener,
			     enum policy_kind kind, int fd)
{
	if (kind == POLICY_KIND_EXEC)
		return is_for_program(judge, opener) ? POLICY_FACT_INTERPRETER
						     : 0;
	if (kind == POLICY_KIND_OPEN) {
		/* Not known: it may well be one. */
		bool loads = !opener_program(judge->openers, opener) ||
			     opener->is_loader;

		if (loads && target_read_elf(fd).is_elf)
			return POLICY_FACT_BY_LOADER;
	}
	return 0;
}

static enum policy_access first_access(enum policy_kind kind)
{
	if (kind == POLICY_KIND_EXEC)
		return POLICY_ACCESS_EXEC;
	return kind == POLICY_KIND_LIST ? POLICY_ACCESS_READ
					: POLICY_ACCESS_UNKNOWN;
}

/* A file without a name may be one just made without (O_TMPFILE). */
static int accept_unnamed(struct judge *judge, const struct opener *opener,
			  bool last_chance)
{
	struct syscall_access how = {.makes_unnamed = false};

	if (!(judge->target.facts & POLICY_FACT_DELETED))
		return 0;
	if (syscall_access_of(judge->proc, (pid_t)opener->tid, &how) &&
	    !last_chance)
		return JUDGE_NOT_YET;
	if (how.makes_unnamed)
		target_accept_unnamed(&judge->target);
	return 0;
}

int judge_event(struct judge *judge, const struct policy *policy,
		struct opener *opener,
		const struct fanotify_event_metadata *event, int64_t now_s,
		bool last_chance, struct judgement *ret)
{
	struct target *target = &judge->target;
	enum policy_kind kind = kind_of(event->mask);

	target_identify(event->fd, judge->mounts, target);
	ret->of_exec = is_of_exec(opener, kind, target);
	if (ret->of_exec) {
		ret->question = (struct policy_question){.kind = kind};
		ret->answer = (struct policy_answer){.verdict = POLICY_ALLOW};
		return 0;
	}

	target_name(judge->fds_dir, event->fd, target);
	if (kind == POLICY_KIND_OPEN &&
	    accept_unnamed(judge, opener, last_chance))
		return JUDGE_NOT_YET;

	ret->question = target_question(
		target, judge_account(policy, &opener->ids), kind, now_s);
	ret->question.access = first_access(kind);
	ret->question.facts |= loader_facts(judge, opener, kind, event->fd);
	if (policy_decide(policy, &ret->question, &ret->answer) ==
	    POLICY_NEED_ACCESS)
		return decide_by_access(judge, policy, opener, last_chance,
					ret);
	return 0;
}

void judge_remember(struct judge *judge, struct opener *opener,
		    const struct judgement *judgement, int fd)
{
	const struct policy_question *question = &judgement->question;

	if (question->kind == POLICY_KIND_EXEC) {
		opener->expects_open = judgement->answer.verdict != POLICY_DENY;
		opener->expects_loader =
			opener->expects_open && target_read_elf(fd).has_loader;
		opener_execs(judge->openers, opener, question->device,
			     question->inode);
		return;
	}
	opener->expects_open = false;
	if (!judgement->of_exec)
		opener->expects_loader = false;
}
