/* where a path leads, and which symlinks are not followed for it */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/system/resolve.h"

static bool distrusted; /* whether whoever runs this is */
static char top[64];

static bool distrusts_user(void *context, uid_t uid)
{
	(void)context;
	return distrusted && uid == geteuid();
}

static bool distrusts_group(void *context, gid_t gid)
{
	(void)context;
	(void)gid;
	return false;
}

static struct resolver resolver = {
	.distrusts_user = distrusts_user,
	.distrusts_group = distrusts_group,
};
static struct resolved found;

static const char *below(const char *name)
{
	static char paths[4][RESOLVE_PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, RESOLVE_PATH_MAX, "%s%s", top, name);
	return path;
}

static int look(const char *name, bool now)
{
	int r;

	/* It remembers a folder as it was. */
	resolver_done(&resolver);
	r = now ? resolve_now(&resolver, below(name), &found)
		: resolve_path(&resolver, below(name), &found);
	if (!r)
		resolved_done(&found);
	return r;
}

static int set_up(void **state)
{
	char command[1024];

	(void)state;
	strcpy(top, "/tmp/leash-resolve-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p a/b && echo > a/b/file && ln -s a/b ab && "
		 "ln -s ../a/b/file a/up && ln -s loop loop && ln -s gone/x "
		 "dangling && ln -s a/b/file/x through && mkdir open && "
		 "chmod 777 open && ln -s ../a/b open/l && mkdir sticky && "
		 "chmod 1777 sticky && ln -s ../a/b sticky/l",
		 top);
	return system(command);
}

static int take_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static void follows_what_is_trusted(void **state)
{
	static const struct {
		const char *path;
		const char *leads_to;
		bool exists;
	} cases[] = {
		{"/a/b/file", "/a/b/file", true},
		{"/ab/file", "/a/b/file", true},
		{"/a/up", "/a/b/file", true},
		{"/ab", "/a/b", true},
		{"/none/x", "/none/x", false},
		{"/dangling/y", "/gone/x/y", false},
		{"/through", "/a/b/file/x", false},
		{"/a/b/file/x/y", "/a/b/file/x/y", false},
		{"/sticky/l/file", "/a/b/file", true},
	};

	(void)state;
	distrusted = false;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(look(cases[i].path, false), 0);
		assert_string_equal(found.path, below(cases[i].leads_to));
		assert_int_equal(found.exists, cases[i].exists);
		assert_string_equal(found.link, "");
		assert_false(found.changeable);
	}
	assert_int_equal(look("/loop", false), RESOLVE_LOOP);
	assert_string_equal(found.link, below("/loop"));
	assert_true(found.link_owner == geteuid());
}

static void stops_at_what_is_not(void **state)
{
	static const char *const paths[] = {"/ab/file", "/a/up", "/loop/x",
					    "/dangling", "/sticky/l"};

	(void)state;
	distrusted = true;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(look(paths[i], false), 0);
		assert_string_equal(found.path, below(paths[i]));
		assert_false(found.exists);
		assert_true(found.link[0]);
		assert_true(found.link_owner == geteuid());
	}
	assert_int_equal(look("/ab/file", true), 0);
	assert_string_equal(found.path, below("/a/b/file"));
	assert_true(found.exists);
	assert_int_equal(look("/loop", true), RESOLVE_LOOP);
	/* A folder that others can change, whosever the link is. */
	distrusted = false;
	assert_int_equal(look("/open/l/file", false), 0);
	assert_string_equal(found.path, below("/open/l/file"));
	assert_string_equal(found.link, below("/open/l"));
	assert_true(found.changeable);
	assert_string_equal(found.changeable_at, below("/open"));
	assert_int_equal(look("/open", false), 0);
	assert_true(found.exists && found.changeable);
}

/* One after the other in a folder, as in a list of rules. */
static void remembers_a_folder(void **state)
{
	int first, last;

	(void)state;
	distrusted = false;
	resolver_done(&resolver);
	first = dup(STDOUT_FILENO);
	close(first);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			resolve_path(&resolver, below("/a/b/file"), &found), 0);
		assert_true(found.exists && found.fd >= 0);
		resolved_done(&found);
		assert_int_equal(
			resolve_path(&resolver, below("/a/b/none"), &found), 0);
		assert_string_equal(found.path, below("/a/b/none"));
		assert_false(found.exists);
		resolved_done(&found);
		assert_int_equal(
			resolve_path(&resolver, below("/a/up"), &found), 0);
		assert_string_equal(found.path, below("/a/b/file"));
		resolved_done(&found);
	}
	/* Nothing is left open. */
	assert_int_equal(resolve_path(&resolver, "/", &found), 0);
	assert_string_equal(found.path, "/");
	resolved_done(&found);
	resolver_done(&resolver);
	last = dup(STDOUT_FILENO);
	close(last);
	assert_int_equal(first, last);
}

static void takes_no_more_than_fits(void **state)
{
	char path[RESOLVE_PATH_MAX + 8];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(resolve_path(&resolver, path, &found),
			 RESOLVE_TOO_LONG);
	path[RESOLVE_PATH_MAX - 1] = '\0';
	for (size_t i = 200; i < RESOLVE_PATH_MAX - 1; i += 200)
		path[i] = '/';
	assert_int_equal(resolve_path(&resolver, path, &found), 0);
	assert_false(found.exists);
	resolved_done(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_what_is_trusted),
		cmocka_unit_test(stops_at_what_is_not),
		cmocka_unit_test(remembers_a_folder),
		cmocka_unit_test(takes_no_more_than_fits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, take_down);
}
