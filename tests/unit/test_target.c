/* What is known of a file by its descriptor, and which the kernel may open
 * without asking. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fanotify/ignore_marks.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"
#include "tests/unit/made_policy.h"

/* The kernel, which takes marks or says why not. */
static struct {
	int error;
	int added;
	int flushed;
} kernel;

int fanotify_mark(int group, unsigned int flags, uint64_t mask, int folder,
		  const char *path)
{
	(void)group;
	(void)mask;
	(void)folder;
	(void)path;
	if (flags & FAN_MARK_FLUSH) {
		kernel.flushed++;
		return 0;
	}
	kernel.added++;
	errno = kernel.error;
	return kernel.error ? -1 : 0;
}

static void look_at(int fd, struct target *ret)
{
	CLEANUP(fd_close) int proc = process_open_proc();
	CLEANUP(mount_table_free) struct mount_table *mounts = NULL;
	CLEANUP(fd_close) int fds = openat(proc, "self/fd", O_PATH | O_CLOEXEC);

	assert_int_equal(mount_table_new(proc, &mounts), 0);
	memset(ret, 0xff, sizeof(*ret));
	target_identify(fd, mounts, ret);
	assert_int_equal(ret->path_length, 0);
	assert_int_equal(ret->path[0], '\0');
	target_name(fds, fd, ret);
}

static void identity(void **state)
{
	char path[] = "/tmp/leash-target-XXXXXX";
	CLEANUP(fd_close) int fd = mkstemp(path);
	struct policy_question question;
	struct target target;
	struct stat st;

	(void)state;
	assert_int_equal(ftruncate(fd, 4000000), 0);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(fstat(fd, &st), 0);
	look_at(fd, &target);
	assert_string_equal(target.path, path);
	assert_int_equal(target.path_length, strlen(path));
	assert_int_equal(target.facts, 0);
	assert_int_equal(target.device, st.st_dev);
	assert_int_equal(target.inode, st.st_ino);
	assert_int_equal(target.size, 4000000);
	assert_int_equal(target.allocated, st.st_blocks * 512);
	assert_int_equal(target.mode, S_IFREG | 0640);
	assert_int_equal(target.owner, st.st_uid);
	assert_int_equal(target.changed_ns,
			 st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
	question = target_question(&target, 3, POLICY_KIND_OPEN, 77);
	assert_int_equal(question.account, 3);
	assert_int_equal(question.kind, POLICY_KIND_OPEN);
	assert_int_equal(question.now_s, 77);
	assert_int_equal(question.inode, st.st_ino);
	assert_int_equal(question.device, st.st_dev);
	assert_int_equal(question.size, 4000000);
	assert_int_equal(question.changed_ns, target.changed_ns);
	assert_int_equal(question.path_length, strlen(path));

	assert_int_equal(unlink(path), 0);
	look_at(fd, &target);
	assert_int_equal(target.facts, POLICY_FACT_DELETED);
}

/* What is on no mount of ours, has no path, or cannot be asked at all. */
static void nothing_known(void **state)
{
	CLEANUP(fd_close) int memory = memfd_create("x", MFD_CLOEXEC);
	struct target target;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	look_at(ends[0], &target);
	assert_int_equal(target.facts,
			 POLICY_FACT_UNKNOWN_PATH | POLICY_FACT_FOREIGN_MOUNT);
	/* What there is to tell is told. */
	assert_int_equal(strncmp(target.path, "pipe:[", 6), 0);
	assert_int_equal(target.path_length, strlen(target.path));
	look_at(memory, &target);
	assert_int_equal(target.facts,
			 POLICY_FACT_DELETED | POLICY_FACT_FOREIGN_MOUNT);
	close(ends[0]);
	close(ends[1]);
	look_at(9999, &target); /* is none */
	assert_true(target.facts & POLICY_FACT_UNKNOWN_PATH);
	assert_int_equal(target.path_length, 0);
	assert_int_equal(target.mode, 0777);
	assert_int_equal(target.owner, 0);
	assert_int_equal(target.inode | target.device | target.size, 0);
}

/* A path as long as there is room is one that may go on. */
static void long_path(void **state)
{
	CLEANUP(fd_close) int memory = memfd_create("x", MFD_CLOEXEC);
	char folder[] = "/tmp/leash-target-XXXXXX", link[64], name[16];
	CLEANUP(fd_close) int at = -1;
	static char to[TARGET_PATH_MAX];
	static struct target target;

	(void)state;
	assert_non_null(mkdtemp(folder));
	at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%d", memory);
	snprintf(link, sizeof(link), "%s/%s", folder, name);
	memset(to, '/', sizeof(to) - 1); /* the longest that a link may be */
	assert_int_equal(symlink(to, link), 0);
	target_name(at, memory, &target);
	assert_int_equal(target.facts, 0);
	assert_int_equal(target.path_length, TARGET_PATH_MAX - 1);
	assert_int_equal(unlink(link), 0);
	target_name(at, memory, &target);
	assert_int_equal(target.facts, POLICY_FACT_UNKNOWN_PATH);
	assert_int_equal(target.path_length, 0);
	/* Nothing before it: no file's name, and so no deleted one's. */
	target.facts = 0;
	assert_int_equal(symlink(" (deleted)", link), 0);
	target_name(at, memory, &target);
	assert_int_equal(target.facts, POLICY_FACT_UNKNOWN_PATH);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(folder), 0);
}

static struct target target_of(const char *path, uint32_t owner, mode_t mode)
{
	struct target target = {.owner = owner,
				.mode = S_IFREG | mode,
				.device = 1,
				.inode = 2};

	target.path_length =
		(size_t)snprintf(target.path, sizeof(target.path), "%s", path);
	return target;
}

static void heavy(void **state)
{
	struct target target = target_of("/a", 1000, 0644);

	(void)state;
	target.allocated = 1 << 20;
	assert_false(target_is_heavy(&target));
	target.allocated++;
	assert_true(target_is_heavy(&target));
	target.owner = 0;
	assert_false(target_is_heavy(&target));
}

static bool is_library(const char *path)
{
	struct target target = target_of(path, 0, 0644);

	return target_is_library_name(&target);
}

static void libraries(void **state)
{
	(void)state;
	assert_true(is_library("/usr/lib/libc.so.6"));
	assert_true(is_library("/usr/lib/libm-2.36.so"));
	assert_true(is_library("/usr/lib/_socket.cpython-311.so"));
	assert_true(is_library("/usr/lib/a.sox.so"));
	assert_false(is_library("/usr/lib/a.sox"));
	assert_false(is_library("/usr/lib/a.so.conf"));
	assert_false(is_library("/usr/lib.so.6/passwd"));
	assert_false(is_library("/etc/ld.so.cache"));
	assert_false(is_library(""));
}

static struct policy *two_accounts(void)
{
	struct made_policy made;
	uint32_t kitten;

	made_policy_begin(&made);
	kitten = made_policy_account(&made, "kitten", 1001);
	made_policy_quiet_file(&made, made.puppy, POLICY_EFFECT_READ, "/all");
	made_policy_quiet_file(&made, kitten, POLICY_EFFECT_READ, "/all");
	made_policy_quiet_file(&made, made.puppy, POLICY_EFFECT_READ, "/one");
	made_policy_file(&made, POLICY_EFFECT_READ, "/all/logged");
	made_policy_file(&made, POLICY_EFFECT_DENY, "/all/denied");
	made_policy_end(&made, 1);
	return made.policy;
}

static bool may(const struct policy *policy, const char *path, uint32_t owner,
		mode_t mode)
{
	struct target target = target_of(path, owner, mode);

	return ignore_marks_may(policy, &target, 1000);
}

/* Only where nobody's answer could differ, whatever is done with the file. */
static void unasked(void **state)
{
	CLEANUP(policy_free) struct policy *policy = two_accounts();
	struct target folder = target_of("/all", 0, 0755);
	struct made_policy empty;

	(void)state;
	assert_true(may(policy, "/all/a", 0, 0644));
	assert_true(may(policy, "/all/libc.so.6", 0, 0755));
	assert_false(may(policy, "/one/a", 0, 0644)); /* of one account */
	assert_false(may(policy, "/all/logged", 0, 0644));
	assert_false(may(policy, "/all/denied", 0, 0644));
	assert_false(may(policy, "/none", 0, 0644));
	/* An account may write to it. */
	assert_false(may(policy, "/all/a", 0, 0664));
	assert_false(may(policy, "/all/a", 0, 0646));
	assert_false(may(policy, "/all/a", 1000, 0644));
	assert_false(may(policy, "/all/a", 1001, 0644));
	/* A loader could be made to run it. */
	assert_false(may(policy, "/all/a", 0, 0744));
	assert_false(may(policy, "/all/a", 0, 0654));
	assert_false(may(policy, "/all/a", 0, 0645));
	assert_false(may(policy, "/all/a", 5, 0644));
	folder.mode = S_IFDIR | 0755;
	assert_false(ignore_marks_may(policy, &folder, 1000));
	folder = target_of("/all/a", 0, 0644);
	folder.facts = POLICY_FACT_FOREIGN_MOUNT;
	assert_false(ignore_marks_may(policy, &folder, 1000));

	assert_true(ignore_marks_are_of_use(policy));
	made_policy_begin(&empty);
	made_policy_file(&empty, POLICY_EFFECT_READ, "/all");
	made_policy_quiet_file(&empty, empty.puppy, POLICY_EFFECT_DENY, "/no");
	made_policy_end(&empty, 1);
	assert_false(ignore_marks_are_of_use(empty.policy));
	policy_free(empty.policy);
}

/* Whoever may run it may have it run by a loader. */
static void unasked_programs(void **state)
{
	struct made_policy made;

	(void)state;
	made_policy_begin(&made);
	made_policy_quiet_file(&made, made.puppy, POLICY_EFFECT_WRITE, "/all");
	made_policy_program(&made, POLICY_EFFECT_RUN, "/all/run");
	made_policy_end(&made, 1);
	assert_true(may(made.policy, "/all/run", 0, 0755));
	assert_false(may(made.policy, "/all/other", 0, 0755));
	assert_true(ignore_marks_are_of_use(made.policy));
	policy_free(made.policy);
}

static void marks(void **state)
{
	CLEANUP(policy_free) struct policy *policy = two_accounts();
	static struct ignore_marks cache;
	_Atomic uint32_t count = 0;
	struct target good = target_of("/all/a", 0, 0644),
		      bad = target_of("/all/denied", 0, 0644);

	(void)state;
	bad.inode = 3;
	memset(&kernel, 0, sizeof(kernel));
	ignore_marks_init(&cache, -1, &count);
	assert_int_equal(ignore_marks_wait_ms(&cache), -1);
	assert_false(ignore_marks_knows(&cache, 1, 2));
	ignore_marks_consider(&cache, policy, &good, -1, 1000);
	ignore_marks_consider(&cache, policy, &good, -1, 1000);
	ignore_marks_consider(&cache, policy, &bad, -1, 1000);
	assert_int_equal(kernel.added, 1);
	assert_int_equal(count, 1);
	assert_true(ignore_marks_knows(&cache, 1, 2));
	assert_true(ignore_marks_marked(&cache, 1, 2));
	assert_true(ignore_marks_knows(&cache, 1, 3));
	assert_false(ignore_marks_marked(&cache, 1, 3));
	assert_false(ignore_marks_knows(&cache, 2, 2));
	assert_false(ignore_marks_marked(&cache, 1, 4));

	/* All go after a time. */
	assert_int_equal(ignore_marks_wait_ms(&cache), IGNORE_MARKS_S * 1000);
	ignore_marks_age(&cache, cache.since_s + IGNORE_MARKS_S - 1);
	assert_int_equal(kernel.flushed, 0);
	ignore_marks_age(&cache, cache.since_s + IGNORE_MARKS_S);
	assert_int_equal(kernel.flushed, 1);
	assert_int_equal(count, 0);
	assert_false(ignore_marks_knows(&cache, 1, 2));
	ignore_marks_age(&cache, INT64_MAX); /* there is nothing */
	assert_int_equal(kernel.flushed, 1);

	/* As many as there is time to take away. */
	count = IGNORE_MARKS_MAX;
	ignore_marks_consider(&cache, policy, &good, -1, 1000);
	assert_int_equal(kernel.added, 1);
	assert_false(ignore_marks_marked(&cache, 1, 2));
}

/* A kernel that will not is not asked again; one without memory is. */
static void refused(void **state)
{
	CLEANUP(policy_free) struct policy *policy = two_accounts();
	static struct ignore_marks cache;
	_Atomic uint32_t count = 0;
	struct target target = target_of("/all/a", 0, 0644);

	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	ignore_marks_init(&cache, -1, &count);
	kernel.error = ENOMEM;
	ignore_marks_consider(&cache, policy, &target, -1, 1000);
	assert_false(cache.refused);
	assert_false(ignore_marks_marked(&cache, 1, 2));
	ignore_marks_flush(&cache);
	kernel.error = EINVAL;
	ignore_marks_consider(&cache, policy, &target, -1, 1000);
	assert_true(cache.refused);
	assert_int_equal(count, 0);
	ignore_marks_flush(&cache);
	assert_true(ignore_marks_knows(&cache, 7, 7)); /* all of them */
	ignore_marks_consider(&cache, policy, &target, -1, 1000);
	assert_int_equal(kernel.added, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(long_path),
		cmocka_unit_test(heavy),
		cmocka_unit_test(libraries),
		cmocka_unit_test(unasked),
		cmocka_unit_test(unasked_programs),
		cmocka_unit_test(marks),
		cmocka_unit_test(refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
