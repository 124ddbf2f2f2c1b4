/* options: command lines, right and wrong, and what --help prints */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gatekeeper/base/options.h"

#define WORDS_MAX 16

struct found {
	bool dry, last;
	const char *account, *which;
	long long limit;
	char words[64];
	char said[4096]; /* on standard output and error */
};

static const char long_help[] =
	"one that is so long that it cannot but be folded, since a terminal "
	"has eighty columns and no more than these";

/* What is printed while that line is read goes to said. */
static int read_line(struct options_command *command, char **argv,
		     struct found *found)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	char **words = NULL;
	FILE *said = tmpfile();
	int argc = 0, r;

	assert_non_null(said);
	while (argv[argc])
		argc++;
	fflush(stdout);
	dup2(fileno(said), STDOUT_FILENO);
	dup2(fileno(said), STDERR_FILENO);
	r = options_read(command, argc, argv, &words);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(said);
	found->said[fread(found->said, 1, sizeof(found->said) - 1, said)] = 0;
	fclose(said);
	for (; r == OPTIONS_GO_ON && *words; words++) {
		strcat(found->words, *words);
		strcat(found->words, ";");
	}
	return r;
}

/* The line, blanks between its words, is read by a table with all there is. */
static int read_by_table(const char *line, bool stops, struct found *ret)
{
	const struct options_row rows[] = {
		{"account", 'a', "NAME", "of this account",
		 .text = &ret->account},
		{"dry-run", 'n', NULL, long_help, .flag = &ret->dry},
		{"last", 0, "NUMBER", "the last, or that", .flag = &ret->last,
		 .text = &ret->which},
		{"limit", 'l', "N", "so many", .number = &ret->limit},
		{.name = NULL},
	};
	struct options_command command = {
		.name = "leash try",
		.version = "1.2.3",
		.synopsis = "WHAT [WHERE]\n--last",
		.notes = "That is all.\n",
		.rows = rows,
		.least = 1,
		.most = stops ? OPTIONS_ANY : 2,
		.stops = stops,
	};
	static char copy[512];
	char *argv[WORDS_MAX] = {(char *)"try"}, *save = NULL;

	memset(ret, 0, sizeof(*ret));
	snprintf(copy, sizeof(copy), "%s", line);
	argv[1] = strtok_r(copy, " ", &save);
	for (int i = 2; argv[i - 1] && i < WORDS_MAX - 1; i++)
		argv[i] = strtok_r(NULL, " ", &save);
	return read_line(&command, argv, ret);
}

static void goes_on(const char *line, struct found *ret)
{
	assert_int_equal(read_by_table(line, false, ret), OPTIONS_GO_ON);
	assert_string_equal(ret->said, "");
}

static void is_wrong(const char *line, const char *said)
{
	struct found found;
	char whole[512];

	assert_int_equal(read_by_table(line, false, &found), OPTIONS_WRONG);
	snprintf(whole, sizeof(whole), "leash try: %s; see leash try --help\n",
		 said);
	assert_string_equal(found.said, whole);
}

static void test_forms(void **state)
{
	static const char *const lines[] = {
		"--account puppy --dry-run --limit 7 x",
		"--account=puppy --dry-run --limit=7 x",
		"-a puppy -n -l 7 x",
		"-apuppy -nl7 x",
		"x -n --limit 7 -apuppy",
		"-n -a kitten --account puppy -l 3 -l 7 -- x",
	};
	struct found found;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		goes_on(lines[i], &found);
		assert_string_equal(found.account, "puppy");
		assert_true(found.dry);
		assert_false(found.last);
		assert_int_equal(found.limit, 7);
		assert_string_equal(found.words, "x;");
	}
	goes_on("x", &found);
	assert_null(found.account);
	assert_false(found.dry);
	goes_on("--account= x", &found);
	assert_string_equal(found.account, "");
}

static void test_argument_left_out(void **state)
{
	struct found found;

	(void)state;
	goes_on("--last x", &found);
	assert_true(found.last);
	assert_null(found.which);
	assert_string_equal(found.words, "x;");
	goes_on("x --last=12", &found);
	assert_true(found.last);
	assert_string_equal(found.which, "12");
	goes_on("x --last=", &found);
	assert_string_equal(found.which, "");
}

static void test_words(void **state)
{
	struct found found;

	(void)state;
	goes_on("a -n b", &found);
	assert_string_equal(found.words, "a;b;");
	goes_on("a -- -n", &found);
	assert_string_equal(found.words, "a;-n;");
	assert_false(found.dry);
	goes_on("- --account -- x", &found);
	assert_string_equal(found.account, "--");
	assert_string_equal(found.words, "-;x;");
	is_wrong("", "something is missing");
	is_wrong("-n", "something is missing");
	is_wrong("a b -n c d", "does not take \"c\"");
	is_wrong("a b -- -n", "does not take \"-n\"");
}

/* A command that another one is handed to. */
static void test_stops(void **state)
{
	struct found found;

	(void)state;
	assert_int_equal(read_by_table("-n cat --account x -z", true, &found),
			 OPTIONS_GO_ON);
	assert_true(found.dry);
	assert_null(found.account);
	assert_string_equal(found.words, "cat;--account;x;-z;");
	assert_int_equal(read_by_table("-- cat --help", true, &found),
			 OPTIONS_GO_ON);
	assert_string_equal(found.words, "cat;--help;");
}

static void test_wrong(void **state)
{
	(void)state;
	is_wrong("--frob", "there is no option --frob");
	is_wrong("x --frob=1", "there is no option --frob");
	is_wrong("-z x", "there is no option -z");
	is_wrong("-nz x", "there is no option -z");
	is_wrong("--dry x", "there is no option --dry");
	is_wrong("--=1 x", "there is no option --");
	is_wrong("x --account", "--account takes NAME");
	is_wrong("x -a", "--account takes NAME");
	is_wrong("x --dry-run=yes", "--dry-run takes no argument");
	is_wrong("x --help=yes", "--help takes no argument");
	is_wrong("x --limit many", "--limit takes a number, not \"many\"");
	is_wrong("x -l -1", "--limit takes a number, not \"-1\"");
	is_wrong("x -l 1x", "--limit takes a number, not \"1x\"");
	is_wrong("x -l 99999999999999999999",
		 "--limit takes a number, not \"99999999999999999999\"");
}

static void test_told(void **state)
{
	static const char help[] =
		"Usage: leash try WHAT [WHERE]\n"
		"       leash try --last\n"
		"\n"
		"  -a, --account NAME  of this account\n"
		"  -n, --dry-run       one that is so long that it cannot but "
		"be "
		"folded, since a\n"
		"                      terminal has eighty columns and no more "
		"than these\n"
		"  --last[=NUMBER]     the last, or that\n"
		"  -l, --limit N       so many\n"
		"  -h, --help          print this\n"
		"  --version           print the version\n"
		"\n"
		"That is all.\n";
	struct found found;

	(void)state;
	assert_int_equal(read_by_table("--help", false, &found), OPTIONS_TOLD);
	assert_string_equal(found.said, help);
	/* Whatever else there is, but for what is wrong before it. */
	assert_int_equal(read_by_table("a b c -h --frob", false, &found),
			 OPTIONS_TOLD);
	assert_string_equal(found.said, help);
	is_wrong("--frob --help", "there is no option --frob");
	assert_int_equal(read_by_table("--version", false, &found),
			 OPTIONS_TOLD);
	assert_string_equal(found.said, "leash try 1.2.3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_argument_left_out),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
