#include "fanotify/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fanotify/syscall_access.h"
#include "fanotify/written.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"

#define NEW_HERE_NS (2 * CLOCK_NS_PER_S)

/*
 * For how long we wait for somebody else to close a file that is open for
 * writing, before we assume that this open is the one that writes.
 */
#define WRITTEN_NS (50 * CLOCK_NS_PER_MS)

int judge_init(struct judge *judge, const struct gate_ends *ends,
	       struct opener_room room)
{
	judge->group = ends->group;
	judge->proc = ends->proc;
	judge->mounts = ends->mounts;
	judge->fds_dir = openat(ends->proc, "self/fd", O_PATH | O_CLOEXEC);
	if (judge->fds_dir < 0)
		return -errno;
	gate_table_own(ends->table, judge->fds_dir, ends->slot + 1);
	return opener_cache_new(ends, room, &judge->openers);
}

void judge_done(struct judge *judge)
{
	opener_cache_free(judge->openers);
	fd_close(judge->fds_dir);
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
 * Registers tell what the thread's own system call is.  But the kernel opens
 * files in its name that it has not asked for so: what it has given io_uring to
 * do, on its way back from any call, and a core dump.  Both only ever write by
 * a file open for writing, and such a one is counted in its inode before we are
 * asked.  (To cut off a file without opening it for writing, io_uring uses a
 * worker, which has no registers.)  So where nobody has it open for writing,
 * the registers are right; where somebody has, it may be this open: unknown,
 * after a while in which others have the time to finish.
 */
static int doubt_registers(struct judge *judge, int fd,
			   const struct judge_time *when,
			   struct syscall_access *how)
{
	if (how->access == POLICY_ACCESS_WRITE ||
	    !S_ISREG(judge->target.mode) ||
	    !written_by_anyone(judge->group, fd))
		return 0;
	if (when->waited_ns < WRITTEN_NS && !when->last_chance)
		return JUDGE_BUSY;
	how->access = POLICY_ACCESS_WRITE;
	return 0;
}

/*
 * The answer depends on how the file is opened: find out, cheaply first.
 * As judge_event().
 */
static int decide_by_access(struct judge *judge, const struct policy *policy,
			    struct opener *opener, int fd,
			    const struct judge_time *when,
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
	    !when->last_chance)
		return JUDGE_NOT_YET;
	if (doubt_registers(judge, fd, when, &how))
		return JUDGE_BUSY;
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
	return kind == POLICY_KIND_OPEN && opener->execs &&
	       opener->exec.expects_open &&
	       opener->exec.inode == target->inode &&
	       opener->exec.device == target->device;
}

/*
 * Has the kernel opened this loader, for a program that was allowed?  It does
 * so within the exec, so the question comes right after that program's.
 *
 * A static program that runs a loader by hand, before it opens anything, looks
 * the same; so does a thread whose exec has failed; and a gate that has just
 * begun has not seen the execs that are under way, so it believes that.
 * Nothing is gained by any of it: what a loader opens is judged as run.
 */
static bool is_for_program(const struct judge *judge,
			   const struct opener *opener)
{
	const struct target *target = &judge->target;

	if (target->owner != 0 || (target->mode & (S_IWGRP | S_IWOTH)) ||
	    !opener_is_loader_name(target->path, target->path_length))
		return false;
	return (opener->execs && opener->exec.expects_loader) ||
	       clock_monotonic_ns() - judge->since_ns < NEW_HERE_NS;
}

static uint32_t loader_facts(struct judge *judge, const struct policy *policy,
			     struct opener *opener, enum policy_kind kind)
{
	if (kind == POLICY_KIND_EXEC)
		return is_for_program(judge, opener) ? POLICY_FACT_INTERPRETER
						     : 0;
	if (kind == POLICY_KIND_OPEN &&
	    target_may_be_program(&judge->target, policy)) {
		/* Not known: it may well be one. */
		if (!opener_program(judge->openers, opener) ||
		    opener->is_loader)
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

/* A file that looks deleted may be one just made without a name (O_TMPFILE). */
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

static int judge_named(struct judge *judge, const struct policy *policy,
		       struct opener *opener,
		       const struct fanotify_event_metadata *event,
		       const struct judge_time *when, struct judgement *ret)
{
	struct target *target = &judge->target;
	enum policy_kind kind = kind_of(event->mask);
	uint32_t account = judge_account(policy, &opener->ids);

	ret->question = target_question(target, account, kind, when->now_s);
	ret->question.access = first_access(kind);
	ret->question.facts |= loader_facts(judge, policy, opener, kind);
	ret->of_loader = ret->question.facts & POLICY_FACT_INTERPRETER;
	if (policy_decide(policy, &ret->question, &ret->answer) ==
	    POLICY_NEED_ACCESS)
		return decide_by_access(judge, policy, opener, event->fd, when,
					ret);
	return 0;
}

/*
 * An exec whose open could not be told from any other must not be allowed:
 * where there is no room to remember it, it has to wait.
 */
static int find_room(struct judge *judge, const struct policy *policy,
		     const struct opener *opener, bool last_chance,
		     struct judgement *ret)
{
	if (ret->question.kind != POLICY_KIND_EXEC ||
	    ret->answer.verdict == POLICY_DENY ||
	    !opener_may_exec(judge->openers, opener, ret->question.account,
			     policy_account_count(policy)))
		return 0;
	if (!last_chance)
		return JUDGE_BUSY;
	ret->answer = (struct policy_answer){
		.verdict = POLICY_DENY,
		.reason = POLICY_REASON_MANY_EXECS,
		.rule = POLICY_NONE,
		.log = true,
	};
	return 0;
}

int judge_event(struct judge *judge, const struct policy *policy,
		struct opener *opener,
		const struct fanotify_event_metadata *event,
		const struct judge_time *when, struct judgement *ret)
{
	struct target *target = &judge->target;
	enum policy_kind kind = kind_of(event->mask);
	int r;

	target_identify(event->fd, judge->mounts, target);
	ret->of_loader = false;
	ret->of_exec = is_of_exec(opener, kind, target);
	if (ret->of_exec) {
		ret->question = (struct policy_question){.kind = kind};
		ret->answer = (struct policy_answer){.verdict = POLICY_ALLOW};
		return 0;
	}

	target_name(judge->fds_dir, event->fd, target);
	if (kind == POLICY_KIND_OPEN &&
	    accept_unnamed(judge, opener, when->last_chance))
		return JUDGE_NOT_YET;
	r = judge_named(judge, policy, opener, event, when, ret);
	if (r)
		return r;
	return find_room(judge, policy, opener, when->last_chance, ret);
}

/*
 * After a loader's open the kernel asks nothing more for this exec.  Of a
 * thread that is not its process's first, it is remembered for as long as the
 * thread is (opener.c, may_be_kept).
 */
static void opened(struct judge *judge, struct opener *opener)
{
	opener->exec.expects_open = false;
	if (!opener->exec.expects_loader && opener->tid == opener->ids.tgid)
		opener_exec_over(judge->openers, opener);
}

void judge_remember(struct judge *judge, struct opener *opener,
		    const struct judgement *judgement, bool unasked)
{
	const struct policy_question *question = &judgement->question;

	if (judgement->of_exec) {
		opened(judge, opener);
		return;
	}
	if (question->kind != POLICY_KIND_EXEC ||
	    judgement->answer.verdict == POLICY_DENY) {
		opener_exec_over(judge->openers, opener);
		return;
	}
	opener =
		opener_execs(judge->openers, opener,
			     &(struct opener_exec){
				     .account = question->account,
				     .device = question->device,
				     .inode = question->inode,
				     .path = opener_hash(question->path,
							 question->path_length),
				     .expects_open = true,
				     .expects_loader = !judgement->of_loader,
			     });
	/*
	 * An unasked open counts as having come.  Not where a loader is
	 * expected: should the kernel have dropped the ignore mark, it asks
	 * about the open all the same, and that must not be taken for the
	 * loader's.
	 */
	if (unasked && !opener->exec.expects_loader)
		opened(judge, opener);
}
