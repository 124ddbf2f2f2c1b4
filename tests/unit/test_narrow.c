/* what may become a rule because it happened, and how its text is written */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/policy/glob.h"
#include "tools/lib/narrow.h"

static void wide_folders(void **state)
{
	static const char *const wide[] = {
		"/",	    "/etc",	   "/srv",
		"/data",    "/home",	   "/home/alice",
		"/var/lib", "/usr/lib",	   "/usr/local",
		"/root",    "/agents/me",  "/usr/local/lib",
		"/etc/",    "/run/user/7", "/usr/lib/x86_64-linux-gnu",
	};
	static const char *const narrow[] = {
		"/tmp",		"/home/alice/work",
		"/srv/project", "/usr/lib/python",
		"/etc/ssl",	"/agents/me/work",
		"/data/set",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (narrow_is_folder(wide[i], "/agents/me"))
			fail_msg("%s is wide", wide[i]);
	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++)
		if (!narrow_is_folder(narrow[i], "/agents/me"))
			fail_msg("%s is not", narrow[i]);
	assert_true(narrow_is_folder("/agents/me", NULL));
}

static void secrets(void **state)
{
	static const char *const closed[] = {
		"/srv/p/.env",	 "/srv/p/.ENV",	  "/home/a/.ssh/id_rsa",
		"/home/a/.ssh/", "/x/server.key", "/etc/shadow",
		"/etc/shadow-",	 "/x/secrets",	  "/home/a/.bash_history",
	};
	static const char *const open[] = {
		"/srv/p/env",
		"/x/keys.c",
		"/etc/passwd",
		"/home/a/ssh/x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		assert_true(narrow_is_secret(closed[i]));
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		assert_false(narrow_is_secret(open[i]));
}

static void suffixes(void **state)
{
	static const char *const shared[] = {
		"com", "co.uk", "github.io", "s3.amazonaws.com", "web.app",
	};
	static const char *const own[] = {
		"example.com", "api.github.com", "me.github.io", "nas", "x.lan",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		assert_true(narrow_is_suffix(shared[i]));
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		assert_false(narrow_is_suffix(own[i]));
}

/* What is written matches the one name, and no other. */
static void literals(void **state)
{
	static const char *const names[] = {
		"*", "[ab]", "a?", "**", "[!x]", "\\*", "[\\]", "x\\y*", "]",
	};
	static const char *const others[] = {"a", "b", "x", "ab", "", "\\"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = narrow_literal(names[i]);

		assert_non_null(text);
		if (!glob_is_pattern(text, strlen(text)))
			assert_string_equal(text, names[i]);
		else
			assert_true(glob_match(text, strlen(text), names[i],
					       strlen(names[i])));
		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			assert_false(glob_match(text, strlen(text), others[j],
						strlen(others[j])));
		free(text);
	}
	for (int plain = 0; plain < 2; plain++) {
		const char *path = plain ? "/a b/c\\d" : "/srv/x";
		char *text = narrow_literal(path);

		assert_string_equal(text, path);
		free(text);
	}
}

static void put(const char *folder, const char *name)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (name[strlen(name) - 1] == '/') {
		assert_int_equal(mkdir(path, 0700), 0);
		return;
	}
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void note(const char *path, void *context)
{
	strcat(context, strrchr(path, '/'));
}

static void finds_secrets_below(void **state)
{
	char folder[] = "/tmp/leash-narrow-XXXXXX", found[256] = "";
	char command[64], path[256];

	(void)state;
	assert_non_null(mkdtemp(folder));
	put(folder, "sub/");
	put(folder, "sub/deep/");
	put(folder, "sub/plain");
	assert_int_equal(narrow_secrets_below(folder, 5, note, found), 0);
	put(folder, "sub/deep/.env");
	put(folder, "sub/.ssh/");
	put(folder, "sub/.ssh/one");
	put(folder, "sub/.ssh/two");
	assert_int_equal(narrow_secrets_below(folder, 5, note, found), 2);
	assert_non_null(strstr(found, "/.env"));
	assert_non_null(strstr(found, "/.ssh"));
	assert_null(strstr(found, "/one"));
	assert_int_equal(narrow_secrets_below(folder, 1, NULL, NULL), 1);
	/* Neither a link nor a file is a folder to look in. */
	snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink("/", path), 0);
	assert_int_equal(narrow_secrets_below(folder, 5, NULL, NULL), 2);
	snprintf(path, sizeof(path), "%s/sub/plain", folder);
	assert_int_equal(narrow_secrets_below(path, 5, NULL, NULL), 0);
	assert_int_equal(narrow_secrets_below("/nothing/there", 5, NULL, NULL),
			 0);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wide_folders),
		cmocka_unit_test(secrets),
		cmocka_unit_test(suffixes),
		cmocka_unit_test(literals),
		cmocka_unit_test(finds_secrets_below),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
