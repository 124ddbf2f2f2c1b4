/* The drop-in that leash(1) writes, and lists of fields. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gatekeeper/config/local_rules.h"
#include "gatekeeper/wire/fields.h"

static int add(struct local_rules *rules, unsigned int change,
	       const char *account, const char *section, const char *text)
{
	const struct local_entry entry = {
		.change = change,
		.time = (char *)"2026-11-21T10:00:00Z",
		.who = (char *)"alice",
		.account = (char *)account,
		.section = (char *)section,
		.why = (char *)(change % 2 ? "because of that" : ""),
		.text = (char *)text,
	};

	return local_rules_add(rules, &entry);
}

static void fill(struct local_rules *rules)
{
	*rules = (struct local_rules){NULL, 0};
	assert_int_equal(add(rules, 1, "puppy", "files.read",
			     "{ path = \"/a\"; name = \"local 1\"; }"),
			 0);
	assert_int_equal(add(rules, 2, "-", "mode", "mode = \"observe\";"), 0);
	assert_int_equal(add(rules, 3, "kitten", "network.deny",
			     "{ host = \"a.b\"; name = \"local 3\"; until = "
			     "\"2026-11-21T12:00:00Z\"; }"),
			 0);
	assert_int_equal(add(rules, 4, "puppy", "files.read",
			     "{ path = \"/b\"; name = \"local 4\"; }"),
			 0);
}

static void reads_what_it_writes(void **state)
{
	struct local_rules rules, again;
	char *text, *second;
	size_t line;

	(void)state;
	fill(&rules);
	text = local_rules_text(&rules);
	assert_non_null(text);
	assert_non_null(strstr(text, "#+ 1 2026-11-21T10:00:00Z alice puppy "
				     "files.read because of that\n"));
	assert_int_equal(local_rules_read(text, &again, &line), 0);
	assert_int_equal(again.count, 4);
	assert_int_equal(local_rules_last(&again), 4);
	second = local_rules_text(&again);
	assert_string_equal(text, second);
	free(text);
	free(second);
	local_rules_free(&rules);
	local_rules_free(&again);
	assert_int_equal(local_rules_read("", &again, &line), 0);
	assert_int_equal(again.count, 0);
}

static void notices_other_hands(void **state)
{
	static const char *const strange[] = {"# mine\n", "\n", "x", "#+ 9\n"};
	struct local_rules rules, again;
	char *text, *changed;
	size_t line;

	(void)state;
	fill(&rules);
	text = local_rules_text(&rules);
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		changed = malloc(strlen(text) + strlen(strange[i]) + 1);
		strcpy(changed, text);
		strcat(changed, strange[i]);
		assert_int_equal(local_rules_read(changed, &again, &line),
				 LOCAL_RULES_FOREIGN);
		assert_true(line > 2);
		free(changed);
	}
	assert_int_equal(local_rules_read("accounts = ();\n", &again, &line),
			 LOCAL_RULES_FOREIGN);
	assert_int_equal(line, 1);
	free(text);
	local_rules_free(&rules);
}

static void replaces_and_removes(void **state)
{
	struct local_rules rules;

	(void)state;
	fill(&rules);
	/* The same path in another list of the account, and in another's. */
	assert_int_equal(add(&rules, 5, "puppy", "files.deny",
			     "{ path = \"/a\"; name = \"local 5\"; }"),
			 0);
	assert_int_equal(rules.count, 4);
	assert_int_equal(add(&rules, 6, "kitten", "files.deny",
			     "{ path = \"/a\"; name = \"local 6\"; }"),
			 0);
	assert_int_equal(rules.count, 5);
	assert_int_equal(add(&rules, 7, "-", "mode", "mode = \"enforce\";"), 0);
	assert_int_equal(rules.count, 5);
	assert_int_equal(local_rules_undo(&rules, 6), 1);
	assert_int_equal(local_rules_undo(&rules, 6), 0);
	local_rules_tidy(&rules, "2026-11-21T11:59:59Z");
	assert_int_equal(rules.count, 4);
	local_rules_tidy(&rules, "2026-11-21T12:00:00Z");
	assert_int_equal(rules.count, 3);
	local_rules_free(&rules);
}

static void fields_come_back(void **state)
{
	struct fields fields = {NULL, 0, 0, false}, view;
	struct fields_cursor cursor = {0};
	int count = 0;

	(void)state;
	fields_put(&fields, "path", "/a=b\nc");
	fields_format(&fields, "number", "%d", 7);
	fields_put(&fields, "empty", "");
	assert_true(fields_view(fields.bytes, fields.length, &view));
	assert_string_equal(fields_get(&view, "path"), "/a=b\nc");
	assert_string_equal(fields_get(&view, "number"), "7");
	assert_string_equal(fields_get(&view, "empty"), "");
	assert_null(fields_get(&view, "pat"));
	while (fields_next(&view, &cursor))
		count++;
	assert_int_equal(count, 3);
	fields_free(&fields);
	assert_false(fields_view("a=b", 3, &view));
	assert_false(fields_view("=b", 3, &view));
	assert_false(fields_view("ab", 3, &view));
	assert_false(fields_view("\0a=b", 5, &view));
	assert_true(fields_view("", 0, &view));
}

static void fields_end_somewhere(void **state)
{
	struct fields fields = {NULL, 0, 0, false}, view;
	struct fields_cursor cursor = {0};
	int cuts = 0;

	(void)state;
	for (int i = 0; i < 10000; i++)
		fields_put(&fields, "key", "0123456789");
	assert_true(fields.failed);
	assert_true(fields.length <= FIELDS_MAX);
	/* Whoever reads it is told, once. */
	assert_true(fields_view(fields.bytes, fields.length, &view));
	while (fields_next(&view, &cursor))
		cuts += fields_is(&cursor, FIELDS_CUT);
	assert_int_equal(cuts, 1);
	fields_free(&fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(notices_other_hands),
		cmocka_unit_test(replaces_and_removes),
		cmocka_unit_test(fields_come_back),
		cmocka_unit_test(fields_end_somewhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
