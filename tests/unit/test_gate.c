/* the file gate's pure parts, and gatekeeper's reading of mounts */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "fanotify/mount_table.h"
#include "fanotify/opener.h"
#include "fanotify/syscall_access.h"
#include "gatekeeper/marks.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_loader_names),
		cmocka_unit_test(test_mount_table),
		cmocka_unit_test(test_marks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
