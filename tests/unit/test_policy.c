/* policy: glob, image and decide */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/policy/build/build.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/glob.h"
#include "gatekeeper/policy/places.h"

static bool matches(const char *pattern, const char *name)
{
	return glob_match(pattern, strlen(pattern), name, strlen(name));
}

static void test_glob(void **state)
{
	(void)state;
	assert_true(matches("*", ""));
	assert_true(matches("*", "anything"));
	assert_true(matches("a*c", "abc"));
	assert_true(matches("a*c", "ac"));
	assert_false(matches("a*c", "acb"));
	assert_true(matches("*a*b*c*", "xxaxxbxxcxx"));
	assert_false(matches("*a*b*c*", "xxaxxcxxbxx"));
	assert_true(matches("?", "x"));
	assert_false(matches("?", ""));
	assert_false(matches("?", "xy"));
	assert_true(matches("[a-c]x", "bx"));
	assert_false(matches("[a-c]x", "dx"));
	assert_true(matches("[!a-c]x", "dx"));
	assert_true(matches("[]]", "]"));
	assert_true(matches("[", "["));
	assert_true(matches("[ab", "[ab"));
	assert_true(matches("\\*", "*"));
	assert_false(matches("\\*", "x"));
	assert_true(matches("\xff*", "\xff\xfe"));
}

/* A name made to be slow takes no longer than pattern times name. */
static void test_glob_is_bounded(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'a', 255);
	name[255] = '\0';
	for (int i = 0; i < 1000; i++)
		assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

struct fixture {
	struct policy_builder *builder;
	struct policy *policy;
	uint32_t account;
	int image;
};

static void begin(struct fixture *fixture)
{
	*fixture = (struct fixture){.image = -1};
	assert_int_equal(policy_builder_new(&fixture->builder), 0);
	assert_int_equal(policy_builder_account(fixture->builder, "puppy", 1000,
						&fixture->account),
			 0);
	assert_int_equal(policy_builder_uids(fixture->builder, fixture->account,
					     1000, 1000),
			 0);
}

static int add(struct fixture *fixture, enum policy_class class,
	       enum policy_effect effect, const char *path)
{
	const struct policy_rule_spec spec = {
		.account = fixture->account,
		.class = class,
		.effect = effect,
		.path = path,
		.meta.origin = path,
	};
	const char *other;

	return policy_builder_rule(fixture->builder, &spec, &other);
}

static int add_file(struct fixture *fixture, enum policy_effect effect,
		    const char *path)
{
	return add(fixture, POLICY_CLASS_FILES, effect, path);
}

static void finish(struct fixture *fixture)
{
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/x",
		.user = "x",
	};

	assert_int_equal(policy_builder_settings(fixture->builder, &settings),
			 0);
	assert_int_equal(
		policy_builder_finish(fixture->builder, 7, &fixture->image), 0);
	assert_int_equal(policy_map(fixture->image, &fixture->policy), 0);
}

static void end(struct fixture *fixture)
{
	policy_builder_free(fixture->builder);
	policy_free(fixture->policy);
	fd_close(fixture->image);
}

static struct policy_answer ask(const struct fixture *fixture,
				enum policy_kind kind,
				enum policy_access access, const char *path)
{
	const struct policy_question question = {
		.account = fixture->account,
		.kind = kind,
		.access = access,
		.path = path,
		.path_length = strlen(path),
		.now_s = 1000,
	};
	struct policy_answer answer = {.rule = POLICY_NONE};

	if (policy_decide(fixture->policy, &question, &answer))
		answer.verdict = 0; /* POLICY_NEED_ACCESS */
	return answer;
}

static enum policy_verdict reads(const struct fixture *fixture,
				 const char *path)
{
	return ask(fixture, POLICY_KIND_OPEN, POLICY_ACCESS_READ, path).verdict;
}

static void test_longest_wins(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/srv"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/a"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/srv/a/b"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/a/b/c"), 0);
	finish(&f);
	assert_int_equal(reads(&f, "/srv"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/x"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/a"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/a/x"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/ab"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/a/b/x/y"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/a/b/c"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/a/b/c/d"), POLICY_DENY);
	assert_int_equal(reads(&f, "/sr"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv2"), POLICY_DENY);
	assert_int_equal(reads(&f, "/"), POLICY_DENY);
	assert_int_equal(reads(&f, ""), POLICY_DENY);
	end(&f);
}

static void test_patterns(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/srv"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "**/.env"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "*.pem"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/*/keys"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "id_*"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/a/**/z"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/deep/**"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/opt/[a-c]?/**"), 0);
	finish(&f);
	assert_int_equal(reads(&f, "/srv/x"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/.env"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/a/b/.env"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/.env/below"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/.environment"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/k.pem"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/k.pem2"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/.pem"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/one/keys"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/one/keys/k"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/one/two/keys"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/x/id_rsa"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/a/z"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/a/b/c/z"), POLICY_DENY);
	assert_int_equal(reads(&f, "/srv/b/z"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/deep"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/srv/deep/x/y"), POLICY_DENY);
	assert_int_equal(reads(&f, "/opt/ax/y"), POLICY_ALLOW);
	assert_int_equal(reads(&f, "/opt/dx/y"), POLICY_DENY);
	end(&f);
}

static void test_access(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/usr"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/home"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/both"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/both"), 0);
	assert_int_equal(
		add(&f, POLICY_CLASS_PROGRAMS, POLICY_EFFECT_RUN, "/opt/tool"),
		0);
	finish(&f);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_WRITE, "/usr/x")
			.verdict,
		POLICY_DENY);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_WRITE, "/usr/x").reason,
		POLICY_REASON_READ_ONLY);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_WRITE, "/home/x")
			.verdict,
		POLICY_ALLOW);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_WRITE, "/both/x")
			.verdict,
		POLICY_ALLOW);
	/* Asked only where it changes the answer. */
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_UNKNOWN, "/usr/x")
			.verdict,
		0);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_UNKNOWN, "/home/x")
			.verdict,
		POLICY_ALLOW);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_UNKNOWN, "/etc/x")
			.verdict,
		POLICY_DENY);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_UNKNOWN, "/opt/tool")
			.verdict,
		0);
	/* A program listed may be opened by exec, not read. */
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_EXEC, "/opt/tool")
			.verdict,
		POLICY_ALLOW);
	assert_int_equal(reads(&f, "/opt/tool"), POLICY_DENY);
	assert_int_equal(
		ask(&f, POLICY_KIND_LIST, POLICY_ACCESS_READ, "/usr").verdict,
		POLICY_ALLOW);
	end(&f);
}

static void test_facts(void **state)
{
	static const uint32_t facts[] = {
		POLICY_FACT_UNKNOWN_PATH,
		POLICY_FACT_FOREIGN_MOUNT,
		POLICY_FACT_DELETED,
		POLICY_FACT_BY_LOADER,
	};
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/"), 0);
	finish(&f);
	assert_int_equal(reads(&f, "/srv"), POLICY_ALLOW);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		const struct policy_question question = {
			.account = f.account,
			.kind = POLICY_KIND_OPEN,
			.facts = facts[i],
			.path = "/srv",
			.path_length = 4,
		};
		struct policy_answer answer;

		assert_int_equal(policy_decide(f.policy, &question, &answer),
				 0);
		assert_int_equal(answer.verdict, POLICY_DENY);
	}
	end(&f);
}

static void test_conflict(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/srv/x"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/x/"),
			 POLICY_BUILD_CONFLICT);
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/srv/x"), 0);
	assert_int_equal(policy_builder_uids(f.builder, f.account, 900, 1000),
			 POLICY_BUILD_UID_TAKEN);
	end(&f);
}

static void test_uids(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(
		policy_builder_uids(f.builder, f.account, 100000, 165535), 0);
	finish(&f);
	assert_int_equal(policy_account_of(f.policy, 1000), f.account);
	assert_int_equal(policy_account_of(f.policy, 999), POLICY_NONE);
	assert_int_equal(policy_account_of(f.policy, 1001), POLICY_NONE);
	assert_int_equal(policy_account_of(f.policy, 100000), f.account);
	assert_int_equal(policy_account_of(f.policy, 165535), f.account);
	assert_int_equal(policy_account_of(f.policy, 165536), POLICY_NONE);
	assert_int_equal(policy_account_of(f.policy, 0), POLICY_NONE);
	end(&f);
}

/* More `**` at once than the bound: denied, and nothing worse. */
static void test_too_complex(void **state)
{
	struct fixture f;
	char path[512], name[256];

	(void)state;
	begin(&f);
	memset(name, 'q', 200);
	name[200] = '\0';
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/srv"), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/srv/%.*s[q]*/**/x", i, name);
		assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, path), 0);
	}
	finish(&f);
	assert_int_equal(reads(&f, "/srv/plain/y"), POLICY_ALLOW);
	snprintf(path, sizeof(path), "/srv/%s/y", name);
	assert_int_equal(
		ask(&f, POLICY_KIND_OPEN, POLICY_ACCESS_READ, path).reason,
		POLICY_REASON_TOO_COMPLEX);
	end(&f);
}

/* An image with any one byte changed is refused or still safe to use. */
static void test_damaged_image(void **state)
{
	CLEANUP_FREE unsigned char *image = NULL;
	CLEANUP_FREE unsigned char *copy = NULL;
	struct fixture f;
	size_t size;

	(void)state;
	begin(&f);
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/srv"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "**/*.pem"), 0);
	finish(&f);
	size = policy_size(f.policy);
	image = malloc(size);
	copy = malloc(size);
	assert_true(image && copy &&
		    pread(f.image, image, size, 0) == (ssize_t)size);
	for (size_t i = 0; i < size; i++) {
		struct policy *view = NULL;

		memcpy(copy, image, size);
		copy[i] ^= 0xff;
		if (policy_view(copy, size, &view) == 0) {
			struct fixture changed = f;

			changed.policy = view;
			(void)reads(&changed, "/srv/x/y.pem");
		}
		policy_free(view);
	}
	for (size_t i = 0; i < size; i += 7) {
		struct policy *view = NULL;

		assert_int_equal(policy_view(image, i, &view),
				 POLICY_BAD_IMAGE);
	}
	end(&f);
}

/* As if each that decided had ended, and never longer than the set. */
static void test_passed_over(void **state)
{
	static const char *const order[] = {"**/*.pem", "/srv/x/y.pem",
					    "/srv/x", "/srv"};
	struct policy_passed passed = {.count = 0};
	struct policy_question question = {
		.kind = POLICY_KIND_OPEN,
		.access = POLICY_ACCESS_READ,
		.path = "/srv/x/y.pem",
		.path_length = strlen("/srv/x/y.pem"),
		.device = 1,
		.inode = 2,
		.passed = &passed,
	};
	const struct policy_inode inode = {.device = 1, .inode = 2};
	struct policy_rule_spec single = {
		.class = POLICY_CLASS_FILES,
		.effect = POLICY_EFFECT_DENY,
		.path = "/elsewhere",
		.meta.origin = "/elsewhere",
		.inode = &inode,
	};
	struct policy_answer answer;
	const char *other;
	struct fixture f;

	(void)state;
	begin(&f);
	question.account = single.account = f.account;
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/srv"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/x"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_WRITE, "/srv/x/y.pem"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "**/*.pem"), 0);
	assert_int_equal(policy_builder_rule(f.builder, &single, &other), 0);
	finish(&f);

	assert_int_equal(policy_decide(f.policy, &question, &answer), 0);
	assert_int_equal(answer.reason, POLICY_REASON_INODE);
	for (size_t i = 0; i < 4; i++) {
		passed.rules[passed.count++] = answer.rule;
		assert_int_equal(policy_decide(f.policy, &question, &answer),
				 0);
		assert_string_equal(
			policy_text(f.policy,
				    policy_rule(f.policy, answer.rule)->origin),
			order[i]);
	}
	passed.rules[passed.count++] = answer.rule;
	assert_int_equal(policy_decide(f.policy, &question, &answer), 0);
	assert_int_equal(answer.rule, POLICY_NONE);
	question.passed = NULL;
	assert_int_equal(policy_decide(f.policy, &question, &answer), 0);
	assert_int_equal(answer.reason, POLICY_REASON_INODE);
	end(&f);
}

struct seen {
	char text[512];
	size_t length;
};

static void note_place(void *context, const struct policy_place *place)
{
	static const char kinds[] = {
		[POLICY_PLACE_FILE] = 'f',   [POLICY_PLACE_PROGRAM] = 'p',
		[POLICY_PLACE_NET] = 'n',    [POLICY_PLACE_HOST] = 'h',
		[POLICY_PLACE_DOMAIN] = 'd',
	};
	struct seen *seen = context;
	const char *text = place->text ? place->text : "";

	seen->length += (size_t)snprintf(seen->text + seen->length,
					 sizeof(seen->text) - seen->length,
					 "%c%s", kinds[place->kind], text);
	if (place->kind == POLICY_PLACE_NET)
		seen->length += (size_t)snprintf(
			seen->text + seen->length,
			sizeof(seen->text) - seen->length, "%d-%d:%d-%d",
			place->first.bytes[15], place->last.bytes[15],
			place->port_first, place->port_last);
	seen->text[seen->length++] = ' ';
	seen->text[seen->length] = '\0';
}

static void test_places(void **state)
{
	struct policy_net_spec net = {
		.effect = POLICY_EFFECT_REACH,
		.address.bytes = {[10] = 0xff, [11] = 0xff, [15] = 8},
		.length = 125,
		.protocols = POLICY_PROTOCOL_TCP,
		.port_first = 1,
		.port_last = 2,
		.meta.origin = "n",
	};
	struct policy_net_spec host = {
		.effect = POLICY_EFFECT_DENY,
		.host = "a.example",
		.protocols = POLICY_PROTOCOL_TCP,
		.meta.origin = "h",
	};
	uint32_t rule = POLICY_NONE, other = POLICY_NONE;
	struct seen seen = {.length = 0};
	struct fixture f;

	(void)state;
	begin(&f);
	net.account = host.account = f.account;
	assert_int_equal(add_file(&f, POLICY_EFFECT_READ, "/"), 0);
	assert_int_equal(add_file(&f, POLICY_EFFECT_DENY, "/srv/**/x"), 0);
	assert_int_equal(
		add(&f, POLICY_CLASS_PROGRAMS, POLICY_EFFECT_RUN, "/usr/bin/x"),
		0);
	assert_int_equal(policy_builder_net(f.builder, &net, &rule), 0);
	assert_int_equal(policy_builder_net(f.builder, &host, &other), 0);
	finish(&f);
	assert_int_equal(policy_places(f.policy, note_place, &seen), 0);
	assert_string_equal(seen.text, "f/ p/usr/bin/x n8-15:1-2 ha.example ");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_glob_is_bounded),
		cmocka_unit_test(test_longest_wins),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_uids),
		cmocka_unit_test(test_too_complex),
		cmocka_unit_test(test_damaged_image),
		cmocka_unit_test(test_passed_over),
		cmocka_unit_test(test_places),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
