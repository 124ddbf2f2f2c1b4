/*
 * What the file gate judges, and what it remembers: real files and a real
 * thread, a policy that is made up, and the kernel's word of how a file is
 * opened said by the test.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fanotify/judge.h"
#include "fanotify/syscall_access.h"
#include "fanotify/written.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "tests/unit/made_policy.h"

static struct {
	struct syscall_access how;
	int how_r;
	int asked_how;
	bool is_written;
} kernel;

int syscall_access_of(int proc, pid_t tid, struct syscall_access *ret)
{
	(void)proc;
	(void)tid;
	kernel.asked_how++;
	if (!kernel.how_r)
		*ret = kernel.how;
	return kernel.how_r;
}

bool written_by_anyone(int group, int fd)
{
	(void)group;
	(void)fd;
	return kernel.is_written;
}

struct bed {
	char folder[64];
	int proc;
	struct mount_table *mounts;
	struct made_policy made;
	struct judge judge;
	struct opener *opener;
	pid_t other; /* another process, that waits */
};

static struct gate_table table;
static struct bed *bed;

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, 128, "%s/%s", bed->folder, name);
	return path;
}

static void make_files(void)
{
	static const char *const names[] = {"read", "write", "deny", "run",
					    "other"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open(path_of(names[i]), O_CREAT | O_WRONLY | O_CLOEXEC,
			      0644);

		assert_true(fd >= 0);
		assert_int_equal(fchmod(fd, 0666), 0);
		fd_close(fd);
	}
}

static void make_policy(void)
{
	made_policy_begin(&bed->made);
	made_policy_file(&bed->made, POLICY_EFFECT_READ, bed->folder);
	made_policy_file(&bed->made, POLICY_EFFECT_WRITE, path_of("write"));
	made_policy_file(&bed->made, POLICY_EFFECT_DENY, path_of("deny"));
	made_policy_program(&bed->made, POLICY_EFFECT_RUN, path_of("run"));
	made_policy_end(&bed->made, 1);
}

/* Who opens: this thread, said to be puppy's and without capabilities. */
static struct opener *identify(void)
{
	assert_int_equal(
		opener_identify(bed->judge.openers, getpid(), &bed->opener), 0);
	for (int i = 0; i < 4; i++)
		bed->opener->ids.uids[i] = MADE_POLICY_UID;
	bed->opener->privilege = OPENER_PRIVILEGE_NONE;
	return bed->opener;
}

static int begin(void **state)
{
	struct gate_ends ends = {.group = -1, .table = &table};

	bed = calloc(1, sizeof(*bed));
	assert_non_null(bed);
	*state = bed;
	memset(&kernel, 0, sizeof(kernel));
	kernel.how.access = POLICY_ACCESS_READ;
	strcpy(bed->folder, "/tmp/leash-judge-XXXXXX");
	assert_non_null(mkdtemp(bed->folder));
	bed->proc = ends.proc = process_open_proc();
	assert_true(bed->proc >= 0);
	assert_int_equal(mount_table_new(bed->proc, &bed->mounts), 0);
	ends.mounts = bed->mounts;
	make_files();
	make_policy();
	assert_int_equal(
		judge_init(&bed->judge, &ends, (struct opener_room){8, 1}), 0);
	identify();
	bed->other = fork();
	if (bed->other == 0)
		for (;;)
			pause();
	return 0;
}

static int end(void **state)
{
	char command[128];

	(void)state;
	kill(bed->other, SIGKILL);
	waitpid(bed->other, NULL, 0);
	judge_done(&bed->judge);
	policy_free(bed->made.policy);
	mount_table_free(bed->mounts);
	fd_close(bed->proc);
	snprintf(command, sizeof(command), "rm -rf '%s'", bed->folder);
	assert_int_equal(system(command), 0);
	free(bed);
	return 0;
}

static int judge_fd(int fd, uint64_t mask, const struct judge_time *when,
		    struct judgement *ret)
{
	const struct fanotify_event_metadata event = {
		.mask = mask,
		.fd = fd,
		.pid = getpid(),
	};

	return judge_event(&bed->judge, bed->made.policy, bed->opener, &event,
			   when, ret);
}

static int judge_at(const char *path, uint64_t mask,
		    const struct judge_time *when, struct judgement *ret)
{
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return judge_fd(fd, mask, when, ret);
}

/* The verdict, or minus what is to happen first. */
static int judge(const char *path, uint64_t mask, struct judgement *ret)
{
	const struct judge_time when = {.now_s = 1000};
	int r = judge_at(path, mask, &when, ret);

	return r ? -r : (int)ret->answer.verdict;
}

static int opens(const char *name)
{
	struct judgement judgement;

	return judge(path_of(name), FAN_OPEN_PERM, &judgement);
}

static void accounts(void **state)
{
	const struct policy *policy = bed->made.policy;
	struct process_ids ids = {.uids = {5, 5, 5, 5}};

	(void)state;
	assert_int_equal(judge_account(policy, &ids), POLICY_NONE);
	for (int i = 0; i < 4; i++) {
		ids = (struct process_ids){.uids = {5, 5, 5, 5}};
		ids.uids[i] = 2009;
		assert_int_equal(judge_account(policy, &ids), bed->made.puppy);
		ids.uids[i] = 2010;
		assert_int_equal(judge_account(policy, &ids), POLICY_NONE);
	}
}

static void rules(void **state)
{
	struct judgement judgement;

	(void)state;
	assert_int_equal(opens("write"), POLICY_ALLOW);
	assert_int_equal(opens("deny"), POLICY_DENY);
	assert_int_equal(judge("/dev/null", FAN_OPEN_PERM, &judgement),
			 POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_DEFAULT);
	assert_int_equal(
		judge(bed->folder, FAN_OPEN_PERM | FAN_ONDIR, &judgement),
		POLICY_ALLOW);
	assert_int_equal(judgement.question.kind, POLICY_KIND_LIST);
	assert_int_equal(kernel.asked_how, 0); /* it mattered nowhere */
}

static void ways_of_opening(void **state)
{
	const struct judge_time last = {.now_s = 1000, .last_chance = true};
	struct judgement judgement;

	(void)state;
	assert_int_equal(opens("read"), POLICY_ALLOW);
	assert_int_equal(kernel.asked_how, 1);
	kernel.how.access = POLICY_ACCESS_WRITE;
	assert_int_equal(opens("read"), POLICY_DENY);
	kernel.how_r = SYSCALL_ACCESS_RUNNING;
	assert_int_equal(opens("read"), -JUDGE_NOT_YET);
	/* What is not known by then is writing. */
	assert_int_equal(
		judge_at(path_of("read"), FAN_OPEN_PERM, &last, &judgement), 0);
	assert_int_equal(judgement.answer.verdict, POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_READ_ONLY);
}

/* Somebody has it open for writing: is it this open? */
static void doubts(void **state)
{
	struct judge_time when = {.now_s = 1000};
	struct judgement judgement;
	const char *path = path_of("read");

	(void)state;
	kernel.is_written = true;
	assert_int_equal(judge_at(path, FAN_OPEN_PERM, &when, &judgement),
			 JUDGE_BUSY);
	when.waited_ns = 49 * CLOCK_NS_PER_MS;
	assert_int_equal(judge_at(path, FAN_OPEN_PERM, &when, &judgement),
			 JUDGE_BUSY);
	when.waited_ns = 50 * CLOCK_NS_PER_MS;
	assert_int_equal(judge_at(path, FAN_OPEN_PERM, &when, &judgement), 0);
	assert_int_equal(judgement.answer.verdict, POLICY_DENY);
	when.waited_ns = 0;
	when.last_chance = true;
	assert_int_equal(judge_at(path, FAN_OPEN_PERM, &when, &judgement), 0);
	assert_int_equal(judgement.answer.verdict, POLICY_DENY);
	kernel.is_written = false;
	when.last_chance = false;
	assert_int_equal(judge_at(path, FAN_OPEN_PERM, &when, &judgement), 0);
	assert_int_equal(judgement.answer.verdict, POLICY_ALLOW);
}

/* What the account could not write to, it does not open to write. */
static void closed_files(void **state)
{
	struct opener *opener = bed->opener;

	(void)state;
	assert_int_equal(chmod(path_of("read"), 0644), 0);
	kernel.how.access = POLICY_ACCESS_WRITE;
	assert_int_equal(opens("read"), POLICY_ALLOW);
	assert_int_equal(kernel.asked_how, 0);
	opener->privilege = OPENER_PRIVILEGE_SOME;
	assert_int_equal(opens("read"), POLICY_DENY);
	for (int i = 1; i < 4; i++) {
		opener = identify();
		opener->ids.uids[i] = 2000;
		assert_int_equal(opens("read"), POLICY_DENY);
	}
	opener = identify();
	assert_int_equal(chmod(path_of("read"), 0664), 0);
	assert_int_equal(opens("read"), POLICY_DENY);
	assert_int_equal(chmod(path_of("read"), 0646), 0);
	assert_int_equal(opens("read"), POLICY_DENY);
}

/* An exec, the open that belongs to it, and its loader. */
static void execs(void **state)
{
	struct judgement judgement;

	(void)state;
	bed->judge.since_ns = 1; /* it has been here for long */
	assert_int_equal(
		judge(path_of("other"), FAN_OPEN_EXEC_PERM, &judgement),
		POLICY_DENY);
	judge_remember(&bed->judge, bed->opener, &judgement, false);
	assert_int_equal(opener_exec_count(bed->judge.openers), 0);

	identify();
	assert_int_equal(judge(path_of("run"), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_ALLOW);
	assert_false(judgement.of_exec);
	judge_remember(&bed->judge, bed->opener, &judgement, false);
	assert_int_equal(opener_exec_count(bed->judge.openers), 1);

	identify();
	assert_true(bed->opener->exec.expects_open);
	assert_int_equal(judge(path_of("read"), FAN_OPEN_PERM, &judgement),
			 POLICY_ALLOW);
	assert_false(judgement.of_exec); /* another file */
	assert_int_equal(judge(path_of("run"), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_ALLOW);
	assert_false(judgement.of_exec); /* another exec */
	assert_int_equal(judge(path_of("run"), FAN_OPEN_PERM, &judgement),
			 POLICY_ALLOW);
	assert_true(judgement.of_exec);
	judge_remember(&bed->judge, bed->opener, &judgement, false);

	identify();
	assert_false(bed->opener->exec.expects_open);
	assert_true(bed->opener->exec.expects_loader);
	/* Whatever else it opens, the exec is over. */
	assert_int_equal(judge(path_of("write"), FAN_OPEN_PERM, &judgement),
			 POLICY_ALLOW);
	assert_false(judgement.of_exec);
	judge_remember(&bed->judge, bed->opener, &judgement, false);
	assert_int_equal(opener_exec_count(bed->judge.openers), 0);
}

static const char *loader(void)
{
	static const char *const paths[] = {
		"/lib64/ld-linux-x86-64.so.2",
		"/lib/ld-linux-aarch64.so.1",
		"/lib/ld-linux-armhf.so.3",
		"/lib/ld-linux.so.2",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], F_OK) == 0)
			return paths[i];
	return NULL;
}

/* The kernel's own exec of a loader is one for a program just allowed. */
static void loaders(void **state)
{
	struct judgement judgement;

	(void)state;
	if (!loader())
		skip();
	bed->judge.since_ns = 1;
	assert_int_equal(judge(loader(), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_DENY); /* by hand */
	assert_false(judgement.of_loader);

	assert_int_equal(judge(path_of("run"), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_ALLOW);
	judge_remember(&bed->judge, bed->opener, &judgement, false);
	identify();
	assert_int_equal(judge(loader(), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_ALLOW);
	assert_true(judgement.of_loader);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_INTERPRETER);
	/* What is no loader by its name is none. */
	assert_int_equal(
		judge(path_of("other"), FAN_OPEN_EXEC_PERM, &judgement),
		POLICY_DENY);
	assert_false(judgement.of_loader);
	assert_int_equal(judge(loader(), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_ALLOW);
	/* Its open is not asked about: all is over then. */
	judge_remember(&bed->judge, bed->opener, &judgement, true);
	assert_int_equal(opener_exec_count(bed->judge.openers), 0);

	/* A gate that has just begun believes that a program was allowed. */
	identify();
	bed->judge.since_ns = clock_monotonic_ns();
	assert_int_equal(judge(loader(), FAN_OPEN_EXEC_PERM, &judgement),
			 POLICY_ALLOW);
	/* And a loader that is waited for is remembered until its open. */
	judge_remember(&bed->judge, bed->opener, &judgement, false);
	assert_int_equal(opener_exec_count(bed->judge.openers), 1);
}

/* There is room for one exec, and another thread has it. */
static void many_execs(void **state)
{
	const struct judge_time last = {.now_s = 1000, .last_chance = true};
	struct opener *opener;
	struct judgement judgement;
	const char *path = path_of("run");

	(void)state;
	assert_int_equal(
		opener_identify(bed->judge.openers, bed->other, &opener), 0);
	(void)opener_execs(bed->judge.openers, opener,
			   &(struct opener_exec){.account = bed->made.puppy,
						 .expects_loader = true});
	identify();
	assert_int_equal(judge(path, FAN_OPEN_EXEC_PERM, &judgement),
			 -JUDGE_BUSY);
	assert_int_equal(
		judge(path_of("other"), FAN_OPEN_EXEC_PERM, &judgement),
		POLICY_DENY); /* needs none */
	assert_int_equal(judgement.answer.reason, POLICY_REASON_DEFAULT);
	assert_int_equal(opens("read"), POLICY_ALLOW);
	assert_int_equal(judge_at(path, FAN_OPEN_EXEC_PERM, &last, &judgement),
			 0);
	assert_int_equal(judgement.answer.verdict, POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_MANY_EXECS);
	assert_true(judgement.answer.log);
}

/* What a loader opens, it may be made to run. */
static void by_loader(void **state)
{
	struct judgement judgement;

	(void)state;
	bed->opener->program = strdup("/lib64/ld.so");
	bed->opener->is_loader = true;
	assert_int_equal(judge(path_of("read"), FAN_OPEN_PERM, &judgement),
			 POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_LOADER);
	assert_int_equal(opens("run"), POLICY_ALLOW);
	bed->opener->is_loader = false;
	assert_int_equal(opens("read"), POLICY_ALLOW);
}

static int judge_unnamed(int fd, bool last_chance, struct judgement *ret)
{
	const struct judge_time when = {.last_chance = last_chance};
	int r = judge_fd(fd, FAN_OPEN_PERM, &when, ret);

	return r ? -r : (int)ret->answer.verdict;
}

/* A file without a name is one just made so, or one that was deleted. */
static void without_name(void **state)
{
	CLEANUP(fd_close)
	int fd = open(bed->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	CLEANUP(fd_close) int deleted = open(path_of("write"), O_RDONLY);
	struct judgement judgement;

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(unlink(path_of("write")), 0);
	assert_int_equal(judge_unnamed(fd, false, &judgement), POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_DELETED);
	kernel.how.makes_unnamed = true;
	assert_int_equal(judge_unnamed(fd, false, &judgement), POLICY_ALLOW);
	assert_int_equal(judge_unnamed(deleted, false, &judgement),
			 POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_DELETED);
	kernel.how_r = SYSCALL_ACCESS_RUNNING;
	assert_int_equal(judge_unnamed(fd, false, &judgement), -JUDGE_NOT_YET);
	assert_int_equal(judge_unnamed(fd, true, &judgement), POLICY_DENY);
}

/* Nothing of a descriptor that tells nothing is believed. */
static void unknown(void **state)
{
	struct judgement judgement;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(judge_unnamed(ends[0], false, &judgement),
			 POLICY_DENY);
	assert_int_equal(judgement.answer.reason, POLICY_REASON_UNKNOWN_PATH);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accounts, begin, end),
		cmocka_unit_test_setup_teardown(rules, begin, end),
		cmocka_unit_test_setup_teardown(ways_of_opening, begin, end),
		cmocka_unit_test_setup_teardown(doubts, begin, end),
		cmocka_unit_test_setup_teardown(closed_files, begin, end),
		cmocka_unit_test_setup_teardown(execs, begin, end),
		cmocka_unit_test_setup_teardown(loaders, begin, end),
		cmocka_unit_test_setup_teardown(many_execs, begin, end),
		cmocka_unit_test_setup_teardown(by_loader, begin, end),
		cmocka_unit_test_setup_teardown(without_name, begin, end),
		cmocka_unit_test_setup_teardown(unknown, begin, end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
