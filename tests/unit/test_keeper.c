/* A helper is started as somebody else, kept at work, and ended. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/helpers/keeper.h"
#include "gatekeeper/policy/build/build.h"

#define UID	65534
#define TICK_MS 20

/* Where test_helper is: everybody may go there, as not to every build. */
static char folder[] = "/tmp/leash-test-XXXXXX";

struct fixture {
	struct channel *channel;
	struct event_log log;
	struct helper_house house;
	struct helper_row row;
	struct policy *policy;
	int image, said; /* a policy, and what the helper writes to */
	bool dies;
	struct keeper *keeper;
	int deaths, loads;
};

static int prepare(void *context, struct helper_given *ret)
{
	static char *dying[] = {(char *)"test_helper", (char *)"dies", NULL};
	struct fixture *f = context;

	ret->fds = &f->said;
	ret->fd_count = 1;
	if (f->dies)
		ret->arguments = dying;
	return 0;
}

static void loaded(void *context)
{
	((struct fixture *)context)->loads++;
}

static void died(void *context)
{
	((struct fixture *)context)->deaths++;
}

static void make_policy(struct fixture *f, uint64_t generation)
{
	const struct policy_settings settings = {
		.mode = POLICY_MODE_ENFORCE,
		.database = "/d",
		.user = "nobody",
		.user_uid = UID,
		.user_gid = UID,
	};
	struct policy_builder *builder;
	uint32_t account;

	policy_free(f->policy);
	fd_close(f->image);
	assert_int_equal(policy_builder_new(&builder), 0);
	assert_int_equal(policy_builder_settings(builder, &settings), 0);
	assert_int_equal(
		policy_builder_account(builder, "puppy", 1000, &account), 0);
	assert_int_equal(policy_builder_finish(builder, generation, &f->image),
			 0);
	assert_int_equal(policy_map(f->image, &f->policy), 0);
	policy_builder_free(builder);
}

static void begin(struct fixture *f)
{
	const struct keeper_setup setup = {
		.house = &f->house,
		.row = &f->row,
		.context = f,
		.prepare = prepare,
		.loaded = loaded,
		.died = died,
	};
	int channel;

	*f = (struct fixture){.image = -1};
	f->row = (struct helper_row){
		.name = "test helper",
		.program = "test_helper",
		.wants_policy = true,
		.ready_ns = 10 * CLOCK_NS_PER_S,
		.ping_ns = 50 * CLOCK_NS_PER_MS,
		.silence_ns = 300 * CLOCK_NS_PER_MS,
		.short_ns = CLOCK_NS_PER_S,
		.pause_ns = CLOCK_NS_PER_S,
		.pause_max_ns = 10 * CLOCK_NS_PER_S,
		.meanwhile = "the test goes on",
	};
	assert_int_equal(channel_create((size_t)1 << 20, &channel), 0);
	assert_int_equal(channel_map(channel, &f->channel), 0);
	fd_close(channel);
	f->log = (struct event_log){.channel = f->channel, .wake = -1};
	f->said = memfd_create("said", MFD_CLOEXEC);
	f->house = (struct helper_house){
		.helpers_dir = folder,
		.log = &f->log,
		.wake = -1,
	};
	assert_int_equal(loop_new(&f->house.loop), 0);
	assert_int_equal(starter_new(&f->house.starter), 0);
	assert_int_equal(keeper_new(&setup, &f->keeper), 0);
	make_policy(f, 1);
}

static void end(struct fixture *f)
{
	keeper_free(f->keeper);
	starter_free(f->house.starter);
	loop_free(f->house.loop);
	channel_free(f->channel);
	policy_free(f->policy);
	fd_close(f->image);
	fd_close(f->said);
}

/* Go on until it judges by that generation as another than pid, or for ms. */
static bool wait_for(struct fixture *f, uint64_t generation, pid_t other,
		     int ms)
{
	for (int waited = 0; waited < ms; waited += TICK_MS) {
		if (loop_turn(f->house.loop, TICK_MS) < 0)
			return false;
		keeper_tick(f->keeper, clock_monotonic_ns());
		if (keeper_pid(f->keeper) != other &&
		    keeper_generation(f->keeper) == generation)
			return true;
	}
	return false;
}

static void at_work(void **state)
{
	struct fixture f;
	char uid[16] = "";
	pid_t first;

	(void)state;
	begin(&f);
	assert_false(wait_for(&f, 1, -1, 5 * TICK_MS)); /* without a policy */
	keeper_set_policy(f.keeper, f.policy, f.image);
	assert_true(wait_for(&f, 1, -1, 10000));
	first = keeper_pid(f.keeper);
	assert_true(pread(f.said, uid, sizeof(uid) - 1, 0) > 0);
	assert_int_equal(atoi(uid), UID);
	/* Pinged all the while, it stays. */
	assert_false(wait_for(&f, 1, first, 1000));
	make_policy(&f, 2);
	keeper_set_policy(f.keeper, f.policy, f.image);
	assert_true(wait_for(&f, 2, -1, 10000));
	assert_int_equal(keeper_pid(f.keeper), first);
	assert_int_equal(f.loads, 2);
	assert_int_equal(f.deaths, 0);
	keeper_stop(f.keeper, 10000);
	assert_int_equal(keeper_pid(f.keeper), -1);
	assert_int_equal(kill(first, 0), -1);
	end(&f);
}

static void replaced(void **state)
{
	struct fixture f;
	pid_t first, second;

	(void)state;
	begin(&f);
	keeper_set_policy(f.keeper, f.policy, f.image);
	assert_true(wait_for(&f, 1, -1, 10000));
	first = keeper_pid(f.keeper);
	kill(first, SIGKILL); /* by somebody: at once, however short */
	assert_true(wait_for(&f, 1, first, 900));
	second = keeper_pid(f.keeper);
	assert_int_equal(f.deaths, 1);
	kill(second, SIGSTOP);
	assert_true(wait_for(&f, 1, second, 10000));
	assert_int_equal(f.deaths, 2);
	end(&f);
}

/* One that cannot live is tried ever more slowly. */
static void short_lives(void **state)
{
	struct fixture f;
	int seen;

	(void)state;
	begin(&f);
	f.dies = true;
	f.row.pause_ns = 100 * CLOCK_NS_PER_MS;
	keeper_set_policy(f.keeper, f.policy, f.image);
	assert_false(wait_for(&f, 1, -1, 1500)); /* after 0.1 s, 0.2, 0.4, .8 */
	assert_in_range(f.deaths, 2, 5);
	f.dies = false;
	seen = f.deaths;
	assert_true(wait_for(&f, 1, -1, 10000));
	assert_in_range(f.deaths, seen, seen + 1);
	end(&f);
}

static bool copy_helper(const char *from)
{
	char source[4096], target[64];
	CLEANUP(fd_close) int in = -1;
	CLEANUP(fd_close) int out = -1;
	struct stat st;

	snprintf(source, sizeof(source), "%s/test_helper", from);
	if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
		return false;
	snprintf(target, sizeof(target), "%s/test_helper", folder);
	in = open(source, O_RDONLY | O_CLOEXEC);
	out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	return in >= 0 && out >= 0 && fstat(in, &st) == 0 &&
	       sendfile(out, in, NULL, (size_t)st.st_size) == st.st_size &&
	       fchmod(out, 0755) == 0;
}

static void remove_helper(void)
{
	char target[64];

	snprintf(target, sizeof(target), "%s/test_helper", folder);
	unlink(target);
	rmdir(folder);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_work),
		cmocka_unit_test(replaced),
		cmocka_unit_test(short_lives),
	};

	int r;

	if (argc < 2 || getuid() != 0) {
		printf("1..0 # SKIP must be root, with the helper's folder\n");
		return 0;
	}
	if (!copy_helper(argv[1])) {
		perror("test_keeper: cannot copy the helper");
		return 1;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	remove_helper();
	return r;
}
