/* the file gate's pure parts, and gatekeeper's reading of mounts */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "gatekeeper/system/mount_table.h"
#include "fanotify/opener.h"
#include "fanotify/syscall_access.h"
#include "fanotify/target.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/files/layers.h"
#include "gatekeeper/files/marks.h"
#include "gatekeeper/policy/build/build.h"
#include "gatekeeper/wire/gate_table.h"

static struct syscall_access access_of(long number, int argument,
				       unsigned int flags)
{
	struct syscall_access how;
	unsigned int arguments[4] = {0};
	char text[256];

	arguments[argument] = flags;
	snprintf(text, sizeof(text), "%ld 0x%x 0x%x 0x%x 0x0 0x0 0x0 0x1 0x2",
		 number, arguments[0], arguments[1], arguments[2]);
	assert_int_equal(syscall_access_parse(text, &how), 0);
	return how;
}

static void test_access(void **state)
{
	struct syscall_access how;

	(void)state;
	assert_int_equal(access_of(SYS_openat, 2, O_RDONLY).access,
			 POLICY_ACCESS_READ);
	assert_int_equal(access_of(SYS_openat, 2, O_RDONLY | O_CLOEXEC).access,
			 POLICY_ACCESS_READ);
	assert_int_equal(access_of(SYS_openat, 2, O_WRONLY).access,
			 POLICY_ACCESS_WRITE);
	assert_int_equal(access_of(SYS_openat, 2, O_RDWR).access,
			 POLICY_ACCESS_WRITE);
	assert_int_equal(access_of(SYS_openat, 2, O_RDONLY | O_CREAT).access,
			 POLICY_ACCESS_WRITE);
	assert_int_equal(access_of(SYS_openat, 2, O_RDONLY | O_TRUNC).access,
			 POLICY_ACCESS_WRITE);
	assert_true(access_of(SYS_openat, 2, O_TMPFILE | O_RDWR).makes_unnamed);
	assert_false(access_of(SYS_openat, 2, O_DIRECTORY).makes_unnamed);
	assert_int_equal(access_of(SYS_openat2, 2, O_RDONLY).access,
			 POLICY_ACCESS_WRITE);
	assert_int_equal(access_of(SYS_execve, 0, 0).access,
			 POLICY_ACCESS_EXEC);
	assert_int_equal(access_of(SYS_execveat, 0, 0).access,
			 POLICY_ACCESS_EXEC);
	assert_int_equal(access_of(SYS_io_uring_enter, 0, 0).access,
			 POLICY_ACCESS_WRITE);
	assert_int_equal(access_of(-1, 0, 0).access, POLICY_ACCESS_WRITE);
	assert_int_equal(syscall_access_parse("running\n", &how),
			 SYSCALL_ACCESS_RUNNING);
	assert_int_equal(syscall_access_parse("", &how), 0);
	assert_int_equal(how.access, POLICY_ACCESS_WRITE);
	assert_int_equal(syscall_access_parse("257 0x1", &how), 0);
	assert_int_equal(how.access, POLICY_ACCESS_WRITE);
}

/* io_uring's workers have copied registers, and run nowhere in the program. */
static void test_access_of_workers(void **state)
{
	const char *const texts[] = {
		"257 0xffffff9c 0x5 0x0 0x0 0x0 0x0 0x0 0x0",
		"2 0x5 0x0 0x0 0x0 0x0 0x0 0x7ffc 0x0",
		"59 0x5 0x0 0x0 0x0 0x0 0x0 0x0 0x0",
		"257 0xffffff9c 0x5 0x0 0x0 0x0 0x0 0x7ffc",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct syscall_access how = {.access = POLICY_ACCESS_READ};

		assert_int_equal(syscall_access_parse(texts[i], &how), 0);
		assert_int_equal(how.access, POLICY_ACCESS_WRITE);
	}
}

/* Processes that only wait. */
#define CROWD 6

static void start_crowd(pid_t pids[CROWD])
{
	for (int i = 0; i < CROWD; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			for (;;)
				pause();
		assert_true(pids[i] > 0);
	}
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void end_crowd(const pid_t pids[CROWD])
{
	for (int i = 0; i < CROWD; i++)
		if (pids[i])
			end_process(pids[i]);
}

static int try_exec(struct opener_cache *cache, pid_t pid, uint32_t account)
{
	struct opener *opener;
	int r;

	assert_int_equal(opener_identify(cache, pid, &opener), 0);
	r = opener_may_exec(cache, opener, account, 2);
	if (r)
		return r;
	opener = opener_execs(cache, opener,
			      &(struct opener_exec){.account = account,
						    .inode = (uint64_t)pid,
						    .expects_loader = true});
	assert_int_equal(opener->tid, pid);
	return 0;
}

static void look_at_all(struct opener_cache *cache, const pid_t pids[CROWD])
{
	struct opener *opener;

	for (int i = 0; i < CROWD; i++)
		assert_int_equal(opener_identify(cache, pids[i], &opener), 0);
}

static int new_cache(int proc, struct opener_room room,
		     struct opener_cache **ret)
{
	static struct gate_table table;
	const struct gate_ends ends = {.proc = proc, .table = &table};

	return opener_cache_new(&ends, room, ret);
}

/* One place for all in the cache: what an exec needs stays all the same. */
static void test_execs_stay(void **state)
{
	CLEANUP(opener_cache_free) struct opener_cache *cache = NULL;
	CLEANUP(fd_close) int proc = process_open_proc();
	struct opener *opener;
	pid_t pids[CROWD];

	(void)state;
	assert_int_equal(new_cache(proc, (struct opener_room){1, 4}, &cache),
			 0);
	start_crowd(pids);
	assert_int_equal(try_exec(cache, pids[0], 0), 0);
	assert_int_equal(try_exec(cache, pids[1], 0), 0);
	look_at_all(cache, pids);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(opener_identify(cache, pids[i], &opener), 0);
		assert_true(opener->execs && opener->exec.expects_loader);
		assert_int_equal(opener->exec.inode, pids[i]);
	}
	opener_exec_over(cache, opener);
	assert_int_equal(opener_exec_count(cache), 1);
	assert_int_equal(opener_identify(cache, pids[1], &opener), 0);
	assert_false(opener->execs);
	assert_int_equal(opener_identify(cache, pids[0], &opener), 0);
	assert_int_equal(opener->exec.inode, pids[0]);
	end_crowd(pids);
}

/* An account fills its own share alone, and waits; the dead make room. */
static void test_exec_shares(void **state)
{
	const struct timespec a_while = {.tv_nsec = 20000000};
	CLEANUP(opener_cache_free) struct opener_cache *cache = NULL;
	CLEANUP(fd_close) int proc = process_open_proc();
	pid_t pids[CROWD];

	(void)state;
	assert_int_equal(new_cache(proc, (struct opener_room){8, 4}, &cache),
			 0);
	start_crowd(pids);
	assert_int_equal(try_exec(cache, pids[0], 0), 0);
	assert_int_equal(try_exec(cache, pids[1], 0), 0);
	assert_int_equal(try_exec(cache, pids[2], 0), OPENER_FULL);
	assert_int_equal(try_exec(cache, pids[3], 1), 0);
	assert_int_equal(try_exec(cache, pids[4], 1), 0);
	assert_int_equal(try_exec(cache, pids[1], 0), 0); /* its next exec */
	end_process(pids[0]);
	nanosleep(&a_while, NULL);
	assert_int_equal(try_exec(cache, pids[2], 0), 0);
	assert_int_equal(try_exec(cache, pids[5], 0), OPENER_FULL);
	assert_int_equal(opener_exec_count(cache), 4);
	pids[0] = 0;
	end_crowd(pids);
}

/* A program that runs, and asks for nothing more, holds no room. */
static void test_execs_that_are_over(void **state)
{
	const struct timespec a_while = {.tv_nsec = 20000000};
	CLEANUP(opener_cache_free) struct opener_cache *cache = NULL;
	CLEANUP(fd_close) int proc = process_open_proc();
	struct opener_exec exec = {.account = 0};
	struct opener *opener;
	pid_t pids[CROWD];
	const char *program;

	(void)state;
	assert_int_equal(new_cache(proc, (struct opener_room){8, 2}, &cache),
			 0);
	start_crowd(pids);
	assert_int_equal(opener_identify(cache, pids[0], &opener), 0);
	program = opener_program(cache, opener);
	assert_non_null(program);
	exec.path = opener_hash(program, strlen(program));
	/* What it ran before is said to have been another program. */
	opener->program[0] = 'x';
	(void)opener_execs(cache, opener, &exec);
	nanosleep(&a_while, NULL);
	assert_int_equal(try_exec(cache, pids[1], 0), 0);
	assert_int_equal(opener_exec_count(cache), 1);
	end_crowd(pids);
}

static struct target target_of(const char *path, uid_t owner, mode_t mode)
{
	struct target target = {.owner = owner, .mode = S_IFREG | mode};

	target.path_length =
		(size_t)snprintf(target.path, sizeof(target.path), "%s", path);
	return target;
}

/* A policy in which no uid is an account's. */
static struct policy *of_nobody(void)
{
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/d",
		.user = "u",
	};
	CLEANUP(policy_builder_free) struct policy_builder *builder = NULL;
	CLEANUP(fd_close) int fd = -1;
	struct policy *policy;

	assert_int_equal(policy_builder_new(&builder), 0);
	assert_int_equal(policy_builder_settings(builder, &settings), 0);
	assert_int_equal(policy_builder_finish(builder, 1, &fd), 0);
	assert_int_equal(policy_map(fd, &policy), 0);
	return policy;
}

static bool may_be_program(const char *path, uid_t owner, mode_t mode)
{
	CLEANUP(policy_free) struct policy *policy = of_nobody();
	struct target target = target_of(path, owner, mode);

	return target_may_be_program(&target, policy);
}

static void test_programs_by_looks(void **state)
{
	CLEANUP(policy_free) struct policy *policy = of_nobody();
	struct target folder = target_of("/etc", 0, 0755);

	(void)state;
	folder.mode = S_IFDIR | 0755;
	assert_false(target_may_be_program(&folder, policy));
	assert_false(may_be_program("/etc/ld.so.cache", 0, 0644));
	assert_false(may_be_program("/usr/lib/locale/locale-archive", 0, 0644));
	assert_true(may_be_program("/usr/bin/perl", 0, 0755));
	assert_true(may_be_program("/usr/bin/perl", 0, 0700));
	assert_true(may_be_program("/usr/lib/libperl.so.5.36", 0, 0644));
	assert_true(may_be_program("/srv/perl", 1000, 0644));
	assert_true(may_be_program("/srv/perl", 0, 0664));
	assert_true(may_be_program("/srv/perl", 0, 0646));
}

static bool accepts_unnamed(const char *path)
{
	struct target target = target_of(path, 0, 0600);

	target.facts = POLICY_FACT_DELETED;
	target_accept_unnamed(&target);
	return !target.facts;
}

static void test_unnamed(void **state)
{
	(void)state;
	assert_true(accepts_unnamed("/srv/#131 (deleted)"));
	assert_false(accepts_unnamed("/srv/secret (deleted)"));
	assert_false(accepts_unnamed("/srv/#131x (deleted)"));
	assert_false(accepts_unnamed("/srv/x#131 (deleted)"));
}

static bool is_loader(const char *path)
{
	return opener_is_loader_name(path, strlen(path));
}

static void test_loader_names(void **state)
{
	(void)state;
	assert_true(
		is_loader("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"));
	assert_true(is_loader("/usr/lib/ld-linux-aarch64.so.1"));
	assert_true(is_loader("/lib/ld-musl-x86_64.so.1"));
	assert_true(is_loader("ld.so"));
	assert_false(is_loader("/usr/bin/ld"));
	assert_false(is_loader("/usr/bin/ld.bfd"));
	assert_false(is_loader("/srv/ld-linux/cat"));
	assert_false(is_loader(""));
}

static void test_mount_table(void **state)
{
	CLEANUP_FREE uint64_t *ids = NULL;
	size_t count;

	(void)state;
	assert_int_equal(mount_table_parse("30 1 8:1 / / rw - ext4 a rw\n"
					   "22 30 0:5 / /proc rw - proc p rw\n"
					   "nonsense\n\n7x 1\n25 1",
					   &ids, &count),
			 0);
	assert_int_equal(count, 3);
	assert_int_equal(ids[0], 22);
	assert_int_equal(ids[1], 25);
	assert_int_equal(ids[2], 30);
}

static void test_marks(void **state)
{
	(void)state;
	assert_int_equal(marks_kind_of("ext4"), MARKS_KIND_FILES);
	assert_int_equal(marks_kind_of("tmpfs"), MARKS_KIND_FILES);
	assert_int_equal(marks_kind_of("overlay"), MARKS_KIND_FILES);
	assert_int_equal(marks_kind_of("proc"), MARKS_KIND_NO_FILES);
	assert_int_equal(marks_kind_of("fuse.sshfs"), MARKS_KIND_ANSWERED);
	assert_int_equal(marks_kind_of("nfs4"), MARKS_KIND_ANSWERED);
	assert_true(marks_is_below("/mnt/t", "/mnt"));
	assert_true(marks_is_below("/mnt", "/mnt"));
	assert_true(marks_is_below("/mnt", "/mnt/"));
	assert_true(marks_is_below("/mnt", "/"));
	assert_false(marks_is_below("/mnt2", "/mnt"));
	assert_false(marks_is_below("/", "/mnt"));
}

/* A gate that dies in its second read leaves what that read, not the first. */
static void test_batches(void **state)
{
	static struct gate_table table;
	struct gate_shared *slot = &table.slots[1];
	struct fanotify_event_metadata *events = (void *)slot->events;

	(void)state;
	assert_false(gate_table_owes(&table));
	for (int i = 0; i < GATE_BATCH_MAX; i++)
		events[i] = (struct fanotify_event_metadata){
			.event_len = sizeof(events[i]),
			.fd = 10 + i,
		};
	atomic_store(&slot->answered, GATE_BATCH_MAX);
	assert_true(gate_table_owes(&table));
	gate_table_clear(slot);
	assert_false(gate_table_owes(&table));
	assert_int_equal(atomic_load(&slot->answered), 0);
	events[0].event_len = sizeof(events[0]);
	assert_true(gate_table_slot_owes(slot));
	for (int i = 1; i < GATE_BATCH_MAX; i++)
		assert_int_equal(events[i].event_len, 0);
	gate_table_clear(slot);
	atomic_store(&slot->held[GATE_HELD_MAX - 1].fd, 7);
	gate_table_clear(slot); /* what is put aside is still owed */
	assert_true(gate_table_owes(&table));
}

/* What is left is closed once, and no more of it than there is room for. */
static void test_left(void **state)
{
	static struct gate_table table;
	int ends[3];

	(void)state;
	assert_false(gate_table_close_left(&table));
	for (int i = 0; i < 3; i++)
		ends[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(gate_table_leave(&table, ends[0], 2));
	assert_true(gate_table_leave(&table, ends[1], 2));
	assert_false(gate_table_leave(&table, ends[2], 2));
	assert_int_equal(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
	assert_true(gate_table_close_left(&table));
	assert_true(gate_table_close_left(&table));
	assert_false(gate_table_close_left(&table));
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
	assert_int_equal(fcntl(ends[1], F_GETFD), -1);
	close(ends[2]);
}

static void assert_layers(const char *options, const char *wanted)
{
	struct layers layers = {.at = options};
	char found[256] = "", folder[16];

	while (layers_next(&layers, folder, sizeof(folder))) {
		strcat(found, folder);
		strcat(found, "|");
	}
	assert_string_equal(found, wanted);
}

static void test_layers(void **state)
{
	(void)state;
	assert_true(layers_kernel("6.5.0").asks_about_layers);
	assert_true(layers_kernel("6.12.41+deb13-amd64").asks_about_layers);
	assert_false(layers_kernel("6.12.41+deb13-amd64").waits_for_itself);
	assert_true(layers_kernel("6.14.0").waits_for_itself);
	assert_true(layers_kernel("7.0").waits_for_itself);
	assert_false(layers_kernel("6.1.0-56-amd64").asks_about_layers);
	assert_false(layers_kernel("6.4").asks_about_layers);
	assert_false(layers_kernel("5.15").waits_for_itself);
	assert_false(layers_kernel("").asks_about_layers);
	assert_layers("rw,lowerdir=/a:/b,upperdir=/c,workdir=/d", "/a|/b|/c|");
	assert_layers("ro,lowerdir=l/AB:l/CD", "l/AB|l/CD|");
	assert_layers("rw,lowerdir+=/a,lowerdir+=/b,datadir+=/c,xino=off",
		      "/a|/b|/c|");
	assert_layers("rw,lowerdir=/a\\:b\\,c::/d,upperdir=/e",
		      "/a:b,c|/d|/e|");
	assert_layers("rw,lowerdir=/longer/than/there/is/room:/a", "|/a|");
	assert_layers("rw,xlowerdir=/a,workdir=/b", "");
	assert_layers("lowerdir=", "|");
	assert_layers("", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_access_of_workers),
		cmocka_unit_test(test_execs_stay),
		cmocka_unit_test(test_exec_shares),
		cmocka_unit_test(test_execs_that_are_over),
		cmocka_unit_test(test_programs_by_looks),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_loader_names),
		cmocka_unit_test(test_mount_table),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_left),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
