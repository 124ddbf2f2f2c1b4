/* freezer and sleep_askers: what the kernel's texts say */

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "gatekeeper/sleep/freezer.h"
#include "gatekeeper/sleep/sleep_askers.h"

static void expect_mount(const char *mountinfo, const char *wanted)
{
	char text[2048], point[64];

	snprintf(text, sizeof(text), "%s", mountinfo);
	assert_int_equal(freezer_parse_mounts(text, point, sizeof(point)),
			 wanted != NULL);
	if (wanted)
		assert_string_equal(point, wanted);
}

static void test_mounts(void **state)
{
	(void)state;
	expect_mount("", NULL);
	expect_mount("\n\n", NULL);
	expect_mount("25 1 0:23 / /sys rw - sysfs sysfs rw\n"
		     "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 "
		     "cgroup2 rw,nsdelegate\n",
		     "/sys/fs/cgroup");
	/* hybrid: version 1 above it */
	expect_mount("30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
		     "31 30 0:27 / /sys/fs/cgroup/pids rw - cgroup none rw\n"
		     "32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none "
		     "rw\n",
		     "/sys/fs/cgroup/unified");
	/* only version 1, which cannot be frozen in this way */
	expect_mount("31 30 0:27 / /sys/fs/cgroup/a rw - cgroup cgroup rw\n",
		     NULL);
	/* a part of it, then the whole */
	expect_mount("1 1 0:2 /docker/1 /mnt rw - cgroup2 cgroup2 rw\n"
		     "1 1 0:2 / /whole rw - cgroup2 cgroup2 rw\n",
		     "/whole");
	expect_mount("1 1 0:2 /docker/1 /mnt rw - cgroup2 cgroup2 rw\n", NULL);
	/* a name that only looks like it */
	expect_mount("1 1 0:2 / /mnt rw - cgroup20 cgroup2 rw\n", NULL);
	expect_mount("1 1 0:2 / /a\\040b rw - cgroup2 cgroup2 rw\n", NULL);
	expect_mount("1 1 0:2 - cgroup2 cgroup2 rw\n", NULL);
	expect_mount(
		"1 1 0:2 / "
		"/a/very/long/path/that/does/most/surely/not/go/into/what/is"
		"/there/for/it rw - cgroup2 cgroup2 rw\n",
		NULL);
}

static void expect_cgroup(const char *text, int r, const char *wanted)
{
	char path[64];

	assert_int_equal(freezer_parse_cgroup(text, path, sizeof(path)), r);
	if (wanted)
		assert_string_equal(path, wanted);
}

static void test_cgroup(void **state)
{
	(void)state;
	expect_cgroup("0::/\n", 0, "/");
	expect_cgroup("0::/system.slice/cron.service\n", 0,
		      "/system.slice/cron.service");
	expect_cgroup("9:name=systemd:/a\n8:pids:/b\n0::/c\n", 0, "/c");
	expect_cgroup("0::/no-newline", 0, "/no-newline");
	expect_cgroup("0::/a b\\c:0::/d\n", 0, "/a b\\c:0::/d");
	expect_cgroup("8:pids:/b\n", -ENOENT, NULL);
	expect_cgroup("8:pids:/0::/b\n", -ENOENT, NULL);
	expect_cgroup("10::/b\n", -ENOENT, NULL);
	expect_cgroup("0::", -ENOENT, NULL);
	expect_cgroup("", -ENOENT, NULL);
	expect_cgroup("0::/../elsewhere\n", -ENOENT, NULL);
	expect_cgroup("0::/a (deleted)\n", -ESRCH, NULL);
	expect_cgroup("0::/a (deleted)b\n", 0, "/a (deleted)b");
	expect_cgroup("0::/a/very/long/path/that/does/most/surely/not/go/into/"
		      "what/is/there"
		      "/for/it\n",
		      -ENAMETOOLONG, NULL);
}

static void test_events(void **state)
{
	(void)state;
	assert_true(freezer_parse_events("populated 1\nfrozen 1\n"));
	assert_true(freezer_parse_events("frozen 1"));
	assert_false(freezer_parse_events("populated 1\nfrozen 0\n"));
	assert_false(freezer_parse_events("populated 1\n"));
	assert_false(freezer_parse_events("frozen 10\n"));
	assert_false(freezer_parse_events("not frozen 1\n"));
	assert_false(freezer_parse_events(""));
}

static void test_kernels(void **state)
{
	(void)state;
	assert_true(sleep_askers_are_needed("6.1.0-18-amd64"));
	assert_true(sleep_askers_are_needed("6.8.12"));
	assert_true(sleep_askers_are_needed("5.10.0"));
	assert_true(sleep_askers_are_needed("2.6.78"));
	assert_true(sleep_askers_are_needed("unknown"));
	assert_false(sleep_askers_are_needed("6.9.0"));
	assert_false(sleep_askers_are_needed("6.12.6+bpo-amd64"));
	assert_false(sleep_askers_are_needed("7.0"));
}

static void expect_reading(bool reading, long number, unsigned first,
			   unsigned second)
{
	char text[256];

	/* openat(AT_FDCWD, path, second) or open(path, first) */
	snprintf(text, sizeof(text),
		 "%ld 0xffffff9c 0x%x 0x%x 0x1b6 0x0 0x0 0x7ffd 0x7f00\n",
		 number, first, second);
	assert_int_equal(sleep_askers_is_reading(text), reading);
}

static void test_reading(void **state)
{
	(void)state;
	expect_reading(true, SYS_openat, 0x7f001234, 0x80000); /* O_CLOEXEC */
	expect_reading(false, SYS_openat, 0x7f001230, 01);
	expect_reading(false, SYS_openat, 0x7f001230, 02);
	expect_reading(false, SYS_openat, 0x7f001230, 01000); /* O_TRUNC */
	expect_reading(false, SYS_openat, 0x7f001230, 0x241); /* a shell's > */
#ifdef SYS_open
	expect_reading(true, SYS_open, 0, 01);
	expect_reading(false, SYS_open, 01, 0);
#endif
	/* Flags in memory, a ring, 32 bits: it may be anything. */
	expect_reading(false, SYS_openat2, 0, 0);
	expect_reading(false, SYS_io_uring_enter, 0, 0);
	expect_reading(false, 5, 0, 0);
	assert_false(sleep_askers_is_reading("running\n"));
	assert_false(sleep_askers_is_reading("-1 0x7ffd 0x7f00\n"));
	assert_false(sleep_askers_is_reading(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts),	cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_events),	cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_reading),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
