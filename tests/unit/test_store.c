/* store: database, drain; and what leash-query makes of filters */

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "store/database.h"
#include "store/drain.h"
#include "tools/lib/query_filter.h"

static char folder[64], path[128];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/leash-unit-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/v.db", folder);
	return 0;
}

static int tear_down(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static long long number(const char *sql)
{
	sqlite3_stmt *statement;
	sqlite3 *sqlite;
	long long value;

	assert_int_equal(
		sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(sqlite);
	return value;
}

static void put(struct channel *channel, const char *target, uint32_t verdict)
{
	static char buffer[RECORD_SIZE_MAX * 2];
	struct record record = {
		.time_ns = clock_realtime_ns(),
		.kind = POLICY_KIND_OPEN,
		.verdict = verdict,
		.reason = POLICY_REASON_DEFAULT,
	};
	size_t length;

	record_set(&record, RECORD_TEXT_TARGET, target);
	record_set(&record, RECORD_TEXT_ACCOUNT, "puppy");
	length = record_encode(&record, buffer);
	assert_int_equal(channel_put(channel, buffer, length,
				     record_is_important(&record)),
			 0);
}

static void make_channels(struct channel *channels[DRAIN_CHANNELS],
			  int fds[DRAIN_CHANNELS])
{
	for (int i = 0; i < DRAIN_CHANNELS; i++) {
		assert_int_equal(channel_create(1 << 20, &fds[i]), 0);
		assert_int_equal(channel_map(fds[i], &channels[i]), 0);
	}
}

static const struct drain_limits limits = {
	.keep_ns = 90 * 24 * 3600 * CLOCK_NS_PER_S,
	.max_bytes = UINT64_C(1) << 30,
};

static void test_once_and_only_once(void **state)
{
	struct channel *channels[DRAIN_CHANNELS], *again[DRAIN_CHANNELS];
	struct drain *drain;
	int fds[DRAIN_CHANNELS], wait_ms;

	(void)state;
	make_channels(channels, fds);
	assert_int_equal(drain_new(path, channels, &limits, &drain), 0);
	for (int i = 0; i < 100; i++)
		put(channels[1], i % 2 ? "/a" : "/b\xff", POLICY_DENY);
	assert_int_equal(drain_turn(drain, &wait_ms), 0);
	drain_free(drain);
	assert_int_equal(number("SELECT count(*) FROM verdicts"), 100);
	assert_int_equal(number("SELECT count(*) FROM verdicts WHERE"
				" target = '/a' AND verdict = 'deny'"),
			 50);
	assert_int_equal(number("SELECT count(*) FROM verdicts WHERE"
				" target = x'2f62ff'"),
			 50);

	/* A store killed between commit and release: no row comes twice. */
	channel_release(channels[1], 0);
	for (int i = 0; i < DRAIN_CHANNELS; i++)
		assert_int_equal(channel_map(fds[i], &again[i]), 0);
	put(channels[1], "/c", POLICY_ALLOW);
	assert_int_equal(drain_new(path, again, &limits, &drain), 0);
	assert_int_equal(drain_turn(drain, &wait_ms), 0);
	drain_free(drain);
	assert_int_equal(number("SELECT count(*) FROM verdicts"), 101);
	for (int i = 0; i < DRAIN_CHANNELS; i++) {
		channel_free(channels[i]);
		channel_free(again[i]);
		fd_close(fds[i]);
	}
}

static void test_losses_and_nonsense(void **state)
{
	struct channel *channels[DRAIN_CHANNELS];
	struct drain *drain;
	int fds[DRAIN_CHANNELS], wait_ms, lost = 0;
	static char large[4096];

	(void)state;
	make_channels(channels, fds);
	assert_int_equal(drain_new(path, channels, &limits, &drain), 0);
	assert_int_equal(channel_put(channels[0], "nonsense", 8, true), 0);
	while (channel_put(channels[0], large, sizeof(large), false) == 0)
		lost++;
	do
		assert_int_equal(drain_turn(drain, &wait_ms), 0);
	while (wait_ms == 0);
	drain_free(drain);
	assert_int_equal(number("SELECT count(*) FROM verdicts WHERE note LIKE"
				" 'records lost for want of room: 1 of%'"),
			 1);
	assert_int_equal(number("SELECT count(*) FROM verdicts WHERE note LIKE"
				" 'a record could not be read%'"),
			 lost + 1);
	for (int i = 0; i < DRAIN_CHANNELS; i++) {
		channel_free(channels[i]);
		fd_close(fds[i]);
	}
}

static void test_locked(void **state)
{
	struct channel *channels[DRAIN_CHANNELS];
	struct drain *drain;
	sqlite3 *other;
	int fds[DRAIN_CHANNELS], wait_ms;

	(void)state;
	make_channels(channels, fds);
	assert_int_equal(drain_new(path, channels, &limits, &drain), 0);
	put(channels[1], "/first", POLICY_ALLOW);
	assert_int_equal(drain_turn(drain, &wait_ms), 0);
	sqlite3_open(path, &other);
	sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL);
	put(channels[1], "/second", POLICY_ALLOW);
	assert_int_equal(drain_turn(drain, &wait_ms), 0);
	assert_true(wait_ms > 0);
	assert_true(channel_used(channels[1]) > 0);
	sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(other);
	assert_int_equal(drain_turn(drain, &wait_ms), 0);
	assert_int_equal(channel_used(channels[1]), 0);
	drain_free(drain);
	assert_int_equal(number("SELECT count(*) FROM verdicts WHERE"
				" target = '/second'"),
			 1);
	assert_int_equal(number("SELECT count(*) FROM verdicts WHERE"
				" note LIKE 'the log could not be written%'"),
			 1);
	for (int i = 0; i < DRAIN_CHANNELS; i++) {
		channel_free(channels[i]);
		fd_close(fds[i]);
	}
}

static void test_newer_is_left_alone(void **state)
{
	struct database *database = NULL;
	sqlite3 *other;

	(void)state;
	sqlite3_open(path, &other);
	sqlite3_exec(other, "PRAGMA user_version = 99", NULL, NULL, NULL);
	sqlite3_close(other);
	assert_int_equal(database_open(path, &database), DATABASE_NEWER);
	assert_int_equal(number("PRAGMA user_version"), 99);
}

static void test_expire(void **state)
{
	struct database *database = NULL;
	int deleted = 0;

	(void)state;
	assert_int_equal(database_open(path, &database), 0);
	assert_int_equal(database_begin(database), 0);
	for (int i = 0; i < 100; i++) {
		struct record record = {
			.time_ns = i,
			.kind = POLICY_KIND_OPEN,
			.verdict = POLICY_ALLOW,
		};

		record_set(&record, RECORD_TEXT_TARGET, i < 50 ? "/a" : "/b");
		assert_int_equal(database_add(database, &record), 0);
	}
	assert_int_equal(database_commit(database), 0);
	assert_int_equal(database_expire(database, 60, UINT64_C(1) << 30, 1000,
					 &deleted),
			 0);
	assert_int_equal(deleted, 60);
	assert_int_equal(database_forget_texts(database), 0);
	assert_int_equal(number("SELECT count(*) FROM log"), 40);
	assert_int_equal(number("SELECT count(*) FROM texts"), 1);
	/* Larger than it may be: the oldest go, whatever their age. */
	assert_int_equal(database_expire(database, 0, 1, 30, &deleted), 0);
	assert_int_equal(number("SELECT min(time) FROM log"), 90);
	database_free(database);
}

/* A word of the first row that the SQL yields; "" where there is none. */
static void expect_word(const char *sql, const char *wanted)
{
	sqlite3_stmt *statement;
	sqlite3 *sqlite;
	const char *word = "";

	assert_int_equal(
		sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL),
			 SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		word = (const char *)sqlite3_column_text(statement, 0);
	assert_non_null(word);
	assert_string_equal(word, wanted);
	sqlite3_finalize(statement);
	sqlite3_close(sqlite);
}

static void put_kinds(struct channel *channel)
{
	char buffer[RECORD_SIZE_MAX * 2];

	for (const struct policy_kind_row *row = policy_kinds; row->word;
	     row++) {
		struct record record = {
			.time_ns = clock_realtime_ns(),
			.kind = row->kind,
			.verdict = POLICY_DENY,
			.protocol = POLICY_PROTOCOL_TCP,
		};
		size_t length;

		record_set(&record, RECORD_TEXT_TARGET, row->word);
		record.host = record.texts[RECORD_TEXT_TARGET];
		length = record_encode(&record, buffer);
		assert_int_equal(channel_put(channel, buffer, length, true), 0);
	}
}

/* The views have words of their own: they are those of the vocabulary. */
static void test_kinds(void **state)
{
	static const char *const views[] = {
		"files", "target", "programs", "program",
		"hosts", "host",   "tools",    "tool",
	};
	struct channel *channels[DRAIN_CHANNELS];
	struct drain *drain;
	int fds[DRAIN_CHANNELS], wait_ms;
	char sql[256];

	(void)state;
	make_channels(channels, fds);
	put_kinds(channels[1]);
	assert_int_equal(drain_new(path, channels, &limits, &drain), 0);
	assert_int_equal(drain_turn(drain, &wait_ms), 0);
	drain_free(drain);
	for (const struct policy_kind_row *row = policy_kinds; row->word;
	     row++) {
		const char *family = policy_family_word(row->family);

		snprintf(sql, sizeof(sql),
			 "SELECT kind FROM verdicts WHERE target = '%s'",
			 row->word);
		expect_word(sql, row->word);
		for (size_t i = 0; i < 8; i += 2) {
			snprintf(sql, sizeof(sql),
				 "SELECT %s FROM %s WHERE %s = '%s'",
				 views[i + 1], views[i], views[i + 1],
				 row->word);
			expect_word(sql,
				    strcmp(family, views[i]) ? "" : row->word);
		}
	}
	for (int i = 0; i < DRAIN_CHANNELS; i++) {
		channel_free(channels[i]);
		fd_close(fds[i]);
	}
}

/* Likewise those for how a file is opened, and for verdicts. */
static void test_words(void **state)
{
	struct database *database = NULL;
	char sql[128];

	(void)state;
	assert_int_equal(database_open(path, &database), 0);
	assert_int_equal(database_begin(database), 0);
	for (uint32_t access = 0; access <= POLICY_ACCESS_EXEC; access++)
		for (uint32_t verdict = POLICY_ALLOW; verdict <= POLICY_OBSERVE;
		     verdict++) {
			struct record record = {
				.kind = POLICY_KIND_OPEN,
				.access = access,
				.verdict = verdict,
				.pid = access * 16 + verdict,
			};

			assert_int_equal(database_add(database, &record), 0);
		}
	assert_int_equal(database_commit(database), 0);
	database_free(database);
	for (uint32_t pid = 0; pid < 64; pid++) {
		if (pid % 16 < POLICY_ALLOW || pid % 16 > POLICY_OBSERVE)
			continue;
		snprintf(sql, sizeof(sql),
			 "SELECT access FROM verdicts WHERE pid = %u", pid);
		expect_word(sql, policy_access_word(pid / 16));
		snprintf(sql, sizeof(sql),
			 "SELECT verdict FROM verdicts WHERE pid = %u", pid);
		expect_word(sql, policy_verdict_word(pid % 16));
	}
}

/* Every number has a sentence of its own, and leads back to it. */
static void test_reasons(void **state)
{
	uint32_t count = 0;

	(void)state;
	while (policy_reasons[count].sentence)
		count++;
	for (uint32_t reason = 1; reason <= count; reason++)
		for (uint32_t verdict = POLICY_ALLOW; verdict <= POLICY_OBSERVE;
		     verdict++)
			assert_int_equal(policy_reason_read(policy_reason_text(
						 reason, verdict)),
					 reason);
	assert_string_equal(policy_reason_text(0, POLICY_DENY), "?");
	assert_string_equal(policy_reason_text(count + 1, POLICY_DENY), "?");
	assert_int_equal(policy_reason_read("?"), 0);
	assert_string_equal(
		policy_reason_text(POLICY_REASON_DEFAULT, POLICY_OBSERVE),
		"no rule allows it (default deny)");
	assert_string_equal(
		policy_reason_text(POLICY_REASON_DEFAULT, POLICY_ALLOW),
		"no rule denies it (default allow)");
}

static void test_list_kinds(void **state)
{
	char kinds[QUERY_KINDS_SIZE];

	(void)state;
	query_list_kinds(kinds);
	assert_string_equal(kinds, "open, list, exec, connect, accept, "
				   "resolve, call, result or daemon");
}

static void expect_time(const char *text, int64_t wanted_s)
{
	int64_t ns;

	assert_int_equal(query_parse_time(text, 1000000 * CLOCK_NS_PER_S, &ns),
			 0);
	assert_int_equal(ns / CLOCK_NS_PER_S, wanted_s);
}

static void test_times(void **state)
{
	static const char *const wrong[] = {
		"",	    "h",   "5",		 "5x",
		"-5h",	    "5hh", "2026-13-01", "2026-11-20T25:00",
		"yesterday"};
	int64_t ns;

	(void)state;
	expect_time("90s", 999910);
	expect_time("15m", 999100);
	expect_time("2h", 992800);
	expect_time("7d", 395200);
	expect_time("999d", 1000000 % 86400);
	expect_time("1970-01-02", 86400);
	expect_time("1970-01-02T01:30", 91800);
	expect_time("1970-01-02T01:30:05Z", 91805);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
			query_parse_time(wrong[i], CLOCK_NS_PER_S, &ns),
			-EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_once_and_only_once),
		TEST(test_losses_and_nonsense),
		TEST(test_locked),
		TEST(test_newer_is_left_alone),
		TEST(test_expire),
		TEST(test_kinds),
		TEST(test_words),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_list_kinds),
		cmocka_unit_test(test_times),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
