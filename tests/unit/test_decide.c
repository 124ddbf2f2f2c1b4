/* Which rule for files and programs decides, when, and what is written down. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gatekeeper/policy/decide.h"
#include "tests/unit/made_policy.h"

#define NEED_ACCESS 0 /* in a verdict's place */

static struct made_policy made;

static int begin(void **state)
{
	(void)state;
	made_policy_begin(&made);
	return 0;
}

static int end(void **state)
{
	(void)state;
	policy_free(made.policy);
	return 0;
}

static void add(struct policy_rule_spec spec)
{
	const char *other;

	spec.meta.origin = spec.path;
	assert_int_equal(policy_builder_rule(made.builder, &spec, &other), 0);
}

static struct policy_rule_spec file(enum policy_effect effect, const char *path)
{
	return (struct policy_rule_spec){
		.class = POLICY_CLASS_FILES,
		.effect = effect,
		.path = path,
	};
}

static struct policy_rule_spec program(enum policy_effect effect,
				       const char *path)
{
	struct policy_rule_spec spec = file(effect, path);

	spec.class = POLICY_CLASS_PROGRAMS;
	return spec;
}

static struct policy_question
question(enum policy_kind kind, enum policy_access access, const char *path)
{
	return (struct policy_question){
		.kind = kind,
		.access = access,
		.path = path,
		.path_length = strlen(path),
		.now_s = 1000,
	};
}

static struct policy_answer answer_to(struct policy_question asked)
{
	struct policy_answer answer = {.rule = POLICY_NONE};
	int r = policy_decide(made.policy, &asked, &answer);

	if (r) {
		assert_int_equal(r, POLICY_NEED_ACCESS);
		assert_int_equal(answer.verdict, 0); /* is untouched */
		return answer;
	}
	assert_int_not_equal(answer.verdict, 0);
	return answer;
}

static struct policy_answer reads(const char *path)
{
	return answer_to(question(POLICY_KIND_OPEN, POLICY_ACCESS_READ, path));
}

static struct policy_answer lists(const char *path)
{
	return answer_to(
		question(POLICY_KIND_LIST, POLICY_ACCESS_UNKNOWN, path));
}

static struct policy_answer opens(const char *path)
{
	return answer_to(
		question(POLICY_KIND_OPEN, POLICY_ACCESS_UNKNOWN, path));
}

static struct policy_answer execs(const char *path, uint32_t facts)
{
	struct policy_question asked =
		question(POLICY_KIND_EXEC, POLICY_ACCESS_EXEC, path);

	asked.facts = facts;
	return answer_to(asked);
}

static const char *decided_by(const struct policy_answer answer)
{
	return policy_text(made.policy,
			   policy_rule(made.policy, answer.rule)->origin);
}

/* Of patterns that say the same, the first; but one that is logged. */
static void first_of_several(void **state)
{
	struct policy_rule_spec quiet = file(POLICY_EFFECT_READ, "/q");

	(void)state;
	add(file(POLICY_EFFECT_DENY, "/a/*/y"));
	add(file(POLICY_EFFECT_DENY, "/a/x*"));
	add(file(POLICY_EFFECT_DENY, "/b/x*"));
	add(file(POLICY_EFFECT_DENY, "/b/*/y"));
	quiet.meta.quiet = true;
	add(quiet);
	add(file(POLICY_EFFECT_READ, "/q"));
	add(file(POLICY_EFFECT_READ, "/r"));
	quiet.path = "/r";
	add(quiet);
	quiet.path = "/s";
	add(quiet);
	quiet.path = "/t/*/y";
	add(quiet);
	add(file(POLICY_EFFECT_READ, "/t/x*"));
	quiet.path = "/u/x*";
	add(quiet);
	add(file(POLICY_EFFECT_READ, "/u/*/y"));
	quiet.path = "/v/*/y";
	add(quiet);
	quiet.path = "/v/x*";
	add(quiet);
	made_policy_end(&made, 1);
	assert_string_equal(decided_by(reads("/a/x/y")), "/a/*/y");
	assert_string_equal(decided_by(reads("/b/x/y")), "/b/x*");
	assert_true(reads("/q").log);
	assert_true(reads("/r").log);
	assert_false(reads("/s").log);
	assert_int_equal(reads("/s").verdict, POLICY_ALLOW);
	assert_true(reads("/t/x/y").log);
	assert_string_equal(decided_by(reads("/t/x/y")), "/t/x*");
	assert_true(reads("/u/x/y").log);
	assert_string_equal(decided_by(reads("/u/x/y")), "/u/*/y");
	assert_false(reads("/v/x/y").log);
	assert_string_equal(decided_by(reads("/v/x/y")), "/v/*/y");
}

/* A quiet rule keeps quiet of what it allows, and of nothing else. */
static void logged(void **state)
{
	struct policy_rule_spec quiet = file(POLICY_EFFECT_READ, "/q");

	(void)state;
	quiet.meta.quiet = true;
	add(quiet);
	quiet = file(POLICY_EFFECT_DENY, "/no");
	quiet.meta.quiet = true;
	add(quiet);
	add(file(POLICY_EFFECT_READ, "/r"));
	policy_builder_account_default(made.builder, made.puppy,
				       POLICY_CLASS_FILES, POLICY_ALLOW);
	made_policy_end(&made, 1);
	assert_false(reads("/q").log);
	assert_true(
		answer_to(question(POLICY_KIND_OPEN, POLICY_ACCESS_WRITE, "/q"))
			.log);
	assert_true(reads("/no").log);
	assert_true(reads("/r").log);
	assert_true(reads("/elsewhere").log);
	assert_int_equal(reads("/elsewhere").verdict, POLICY_ALLOW);
}

/* A rule is over in the second in which it ends. */
static void ends(void **state)
{
	struct policy_rule_spec spec = file(POLICY_EFFECT_READ, "/a");
	struct policy_inode inode = {.device = 1, .inode = 1};

	(void)state;
	spec.meta.until_s = 1000;
	add(spec);
	spec.path = "/b";
	spec.meta.until_s = 1001;
	add(spec);
	add(file(POLICY_EFFECT_READ, "/c"));
	spec = file(POLICY_EFFECT_DENY, "/c/d");
	spec.meta.until_s = 1000;
	spec.inode = &inode;
	add(spec);
	inode.inode = 2;
	spec.path = "/c/e";
	spec.meta.until_s = 1001;
	add(spec);
	made_policy_end(&made, 1);
	assert_int_equal(reads("/a").verdict, POLICY_DENY);
	assert_int_equal(reads("/b").verdict, POLICY_ALLOW);
	for (uint64_t i = 1; i <= 2; i++) {
		struct policy_question asked = question(
			POLICY_KIND_OPEN, POLICY_ACCESS_READ, "/c/other");

		asked.device = 1;
		asked.inode = i;
		assert_int_equal(answer_to(asked).verdict,
				 i == 1 ? POLICY_ALLOW : POLICY_DENY);
	}
}

static enum policy_reason reason_by_inode(uint32_t account, uint64_t device,
					  uint64_t inode)
{
	struct policy_question asked =
		question(POLICY_KIND_OPEN, POLICY_ACCESS_READ, "/c/other");

	asked.account = account;
	asked.device = device;
	asked.inode = inode;
	return answer_to(asked).reason;
}

/* A denied file is denied by whatever name: of many, that very one. */
static void other_names(void **state)
{
	static const struct policy_inode inodes[] = {
		{.device = 2, .inode = 10}, {.device = 2, .inode = 30},
		{.device = 5, .inode = 1},  {.device = 5, .inode = 20},
		{.device = 5, .inode = 90}, {.device = 7, .inode = 20},
	};
	struct policy_rule_spec spec = file(POLICY_EFFECT_DENY, "/c/d");
	uint32_t kitten = made_policy_account(&made, "kitten", 1001);
	struct policy_answer found;
	struct policy_question asked =
		question(POLICY_KIND_OPEN, POLICY_ACCESS_READ, "/c/other");

	(void)state;
	add(file(POLICY_EFFECT_READ, "/c"));
	for (size_t i = 0; i < sizeof(inodes) / sizeof(inodes[0]); i++) {
		spec.inode = &inodes[i];
		add(spec);
	}
	spec.account = kitten;
	spec.inode = &(struct policy_inode){.device = 7, .inode = 30};
	add(spec);
	spec.inode = &inodes[3];
	add(spec);
	made_policy_end(&made, 1);
	for (uint64_t device = 1; device < 9; device++)
		for (uint64_t inode = 0; inode < 100; inode++) {
			bool is = false;

			for (size_t i = 0;
			     i < sizeof(inodes) / sizeof(inodes[0]); i++)
				is |= inodes[i].device == device &&
				      inodes[i].inode == inode;
			assert_int_equal(reason_by_inode(0, device, inode),
					 is ? POLICY_REASON_INODE
					    : POLICY_REASON_RULE);
		}
	/* Of this account only. */
	assert_int_equal(reason_by_inode(kitten, 7, 30), POLICY_REASON_INODE);
	assert_int_equal(reason_by_inode(kitten, 5, 20), POLICY_REASON_INODE);
	assert_int_equal(reason_by_inode(kitten, 5, 1), POLICY_REASON_DEFAULT);
	asked.device = 5;
	asked.inode = 20;
	found = answer_to(asked);
	assert_int_equal(found.verdict, POLICY_DENY);
	assert_string_equal(decided_by(found), "/c/d");
}

/* A program by its content is that one, and unchanged. */
static void contents(void **state)
{
	static const struct policy_digest digest = {1, 2, 3, 4};
	struct policy_rule_spec spec = program(POLICY_EFFECT_RUN, "/p");
	struct policy_question asked =
		question(POLICY_KIND_EXEC, POLICY_ACCESS_EXEC, "/p");

	(void)state;
	spec.digest = &digest;
	add(spec);
	add(program(POLICY_EFFECT_RUN, "/any"));
	made_policy_end(&made, 1);
	for (int wrong = 0; wrong < 5; wrong++) {
		asked.device = wrong == 1 ? 9 : 1;
		asked.inode = wrong == 2 ? 9 : 2;
		asked.size = wrong == 3 ? 9 : 3;
		asked.changed_ns = wrong == 4 ? 9 : 4;
		assert_int_equal(answer_to(asked).verdict,
				 wrong ? POLICY_DENY : POLICY_ALLOW);
		assert_int_equal(answer_to(asked).reason,
				 wrong ? POLICY_REASON_CONTENT
				       : POLICY_REASON_RULE);
	}
	assert_int_equal(execs("/any", 0).verdict, POLICY_ALLOW);
}

/* Programs by patterns and by default, and what a rule for files forbids. */
static void programs(void **state)
{
	(void)state;
	add(program(POLICY_EFFECT_RUN, "/bin"));
	add(program(POLICY_EFFECT_DENY, "/bin/no"));
	add(program(POLICY_EFFECT_RUN, "/opt/*/run"));
	add(program(POLICY_EFFECT_DENY, "*.bad"));
	add(file(POLICY_EFFECT_DENY, "/bin/secret"));
	add(file(POLICY_EFFECT_WRITE, "/home"));
	made_policy_end(&made, 1);
	assert_int_equal(execs("/bin/sh", 0).verdict, POLICY_ALLOW);
	assert_int_equal(execs("/bin/no", 0).verdict, POLICY_DENY);
	assert_int_equal(execs("/bin/a.bad", 0).verdict, POLICY_DENY);
	assert_int_equal(execs("/opt/x/run", 0).verdict, POLICY_ALLOW);
	assert_int_equal(execs("/opt/x/other", 0).reason,
			 POLICY_REASON_DEFAULT);
	assert_int_equal(execs("/bin/secret", 0).verdict, POLICY_DENY);
	assert_string_equal(decided_by(execs("/bin/secret", 0)), "/bin/secret");
	/* That it may be read does not let it run. */
	assert_int_equal(execs("/home/a", 0).verdict, POLICY_DENY);
	/* The kernel's own loader needs no rule, but none against it. */
	assert_int_equal(execs("/lib/ld.so", 0).verdict, POLICY_DENY);
	assert_int_equal(execs("/lib/ld.so", POLICY_FACT_INTERPRETER).verdict,
			 POLICY_ALLOW);
	assert_int_equal(execs("/lib/ld.so", POLICY_FACT_INTERPRETER).reason,
			 POLICY_REASON_INTERPRETER);
	assert_int_equal(execs("/bin/no", POLICY_FACT_INTERPRETER).verdict,
			 POLICY_DENY);
	assert_int_equal(execs("/bin/secret", POLICY_FACT_INTERPRETER).verdict,
			 POLICY_DENY);
	assert_int_equal(execs("/bin/sh", POLICY_FACT_INTERPRETER).reason,
			 POLICY_REASON_RULE);
}

static struct policy_answer by_loader(const char *path,
				      enum policy_access access)
{
	struct policy_question asked = question(POLICY_KIND_OPEN, access, path);

	asked.facts = POLICY_FACT_BY_LOADER;
	return answer_to(asked);
}

/* A loader opens what may be run, or what may not even be read. */
static void loaders(void **state)
{
	(void)state;
	add(file(POLICY_EFFECT_READ, "/lib"));
	add(file(POLICY_EFFECT_READ, "/bin"));
	add(program(POLICY_EFFECT_RUN, "/bin"));
	add(program(POLICY_EFFECT_DENY, "/bin/no"));
	made_policy_end(&made, 1);
	assert_int_equal(by_loader("/bin/sh", POLICY_ACCESS_READ).verdict,
			 POLICY_ALLOW);
	assert_int_equal(by_loader("/bin/sh", POLICY_ACCESS_UNKNOWN).verdict,
			 NEED_ACCESS);
	assert_int_equal(by_loader("/bin/no", POLICY_ACCESS_READ).reason,
			 POLICY_REASON_LOADER);
	assert_string_equal(
		decided_by(by_loader("/bin/no", POLICY_ACCESS_READ)),
		"/bin/no");
	assert_int_equal(by_loader("/lib/x", POLICY_ACCESS_READ).verdict,
			 POLICY_DENY);
	assert_int_equal(by_loader("/etc/x", POLICY_ACCESS_READ).reason,
			 POLICY_REASON_DEFAULT);
	assert_int_equal(by_loader("/lib/x", POLICY_ACCESS_WRITE).reason,
			 POLICY_REASON_READ_ONLY);
}

/* How it is opened is asked for only where it matters. */
static void ways_of_opening(void **state)
{
	(void)state;
	add(file(POLICY_EFFECT_READ, "/read"));
	add(file(POLICY_EFFECT_WRITE, "/write"));
	add(file(POLICY_EFFECT_DENY, "/deny"));
	add(file(POLICY_EFFECT_READ, "/pattern/*"));
	add(program(POLICY_EFFECT_RUN, "/run"));
	add(program(POLICY_EFFECT_RUN, "/deny/run"));
	made_policy_end(&made, 1);
	assert_int_equal(opens("/read").verdict, NEED_ACCESS);
	assert_int_equal(opens("/pattern/a").verdict, NEED_ACCESS);
	assert_int_equal(opens("/write").verdict, POLICY_ALLOW);
	assert_int_equal(opens("/deny/run").verdict, POLICY_DENY);
	assert_int_equal(opens("/run").verdict, NEED_ACCESS);
	assert_int_equal(opens("/none").verdict, POLICY_DENY);
	assert_int_equal(lists("/read").verdict, POLICY_ALLOW);
	assert_int_equal(lists("/run").verdict, POLICY_DENY);
	assert_int_equal(lists("/deny").verdict, POLICY_DENY);
	assert_int_equal(reads("/run").verdict, POLICY_DENY);
	assert_int_equal(answer_to(question(POLICY_KIND_OPEN,
					    POLICY_ACCESS_EXEC, "/read"))
				 .verdict,
			 POLICY_ALLOW);
	assert_int_equal(answer_to(question(POLICY_KIND_OPEN,
					    POLICY_ACCESS_EXEC, "/none"))
				 .verdict,
			 POLICY_DENY);
	assert_int_equal(answer_to(question(POLICY_KIND_OPEN,
					    POLICY_ACCESS_EXEC, "/deny/run"))
				 .verdict,
			 POLICY_DENY);
}

/* A rule that only looks on lets go on, and nothing else does. */
static void observing_rule(void **state)
{
	struct policy_rule_spec spec = file(POLICY_EFFECT_DENY, "/a");

	(void)state;
	spec.meta.observe = true;
	add(spec);
	add(file(POLICY_EFFECT_DENY, "/b"));
	add(file(POLICY_EFFECT_READ, "/c"));
	spec = program(POLICY_EFFECT_DENY, "/p");
	spec.meta.observe = true;
	add(spec);
	made_policy_end(&made, 1);
	assert_int_equal(reads("/a").verdict, POLICY_OBSERVE);
	assert_int_equal(reads("/b").verdict, POLICY_DENY);
	assert_int_equal(reads("/c").verdict, POLICY_ALLOW);
	assert_int_equal(reads("/none").verdict, POLICY_DENY);
	/* What is learned from is looked at closely. */
	assert_int_equal(opens("/a").verdict, NEED_ACCESS);
	assert_int_equal(opens("/b").verdict, POLICY_DENY);
	assert_int_equal(lists("/a").verdict, POLICY_OBSERVE);
	assert_int_equal(execs("/p", 0).verdict, POLICY_OBSERVE);
}

static void observed_account(void **state)
{
	(void)state;
	add(file(POLICY_EFFECT_DENY, "/b"));
	add(file(POLICY_EFFECT_READ, "/c"));
	policy_builder_account_mode(made.builder, made.puppy,
				    POLICY_MODE_OBSERVE);
	made_policy_account(&made, "kitten", 1001);
	made_policy_end(&made, 1);
	assert_int_equal(reads("/b").verdict, POLICY_OBSERVE);
	assert_int_equal(reads("/none").verdict, POLICY_OBSERVE);
	assert_int_equal(reads("/c").verdict, POLICY_ALLOW);
	/* An exec says by itself how it opens. */
	assert_int_equal(answer_to(question(POLICY_KIND_EXEC,
					    POLICY_ACCESS_UNKNOWN, "/none"))
				 .verdict,
			 POLICY_OBSERVE);
	assert_int_equal(reason_by_inode(1, 0, 0), POLICY_REASON_DEFAULT);
	assert_int_equal(
		answer_to((struct policy_question){.account = 1,
						   .kind = POLICY_KIND_OPEN,
						   .access = POLICY_ACCESS_READ,
						   .path = "/b",
						   .path_length = 2})
			.verdict,
		POLICY_DENY);
}

/* A name that is all prefix, or all suffix, of a pattern. */
static void whole_affix(void **state)
{
	(void)state;
	add(file(POLICY_EFFECT_READ, "/a/lib*"));
	add(file(POLICY_EFFECT_READ, "/a/*.pem"));
	made_policy_end(&made, 1);
	assert_int_equal(reads("/a/lib").verdict, POLICY_ALLOW);
	assert_int_equal(reads("/a/li").verdict, POLICY_DENY);
	assert_int_equal(reads("/a/.pem").verdict, POLICY_ALLOW);
	assert_int_equal(reads("/a/pem").verdict, POLICY_DENY);
	assert_int_equal(reads("/a/libx").verdict, POLICY_ALLOW);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(first_of_several),
		CASE(logged),
		CASE(ends),
		CASE(other_names),
		CASE(contents),
		CASE(programs),
		CASE(loaders),
		CASE(ways_of_opening),
		CASE(observing_rule),
		CASE(observed_account),
		CASE(whole_affix),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
