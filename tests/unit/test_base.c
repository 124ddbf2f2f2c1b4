/* base and wire: escape, channel, process, record, message */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/hash.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/record.h"

static void expect_escaped(const char *bytes, size_t length, const char *wanted)
{
	char shown[256];

	escape_text(shown, sizeof(shown), bytes, length);
	assert_string_equal(shown, wanted);
}

static void test_escape(void **state)
{
	(void)state;
	expect_escaped("plain", 5, "plain");
	expect_escaped("new\nline", 8, "new\\nline");
	expect_escaped("\033[31mred", 8, "\\x1b[31mred");
	expect_escaped("caf\xc3\xa9", 5, "caf\xc3\xa9");
	expect_escaped("\xff\xfe", 2, "\\xff\\xfe");
	expect_escaped("\xc0\xaf", 2, "\\xc0\\xaf");	      /* overlong */
	expect_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	expect_escaped("\xe2\x80\xae"
		       "x",
		       4, "\\xe2\\x80\\xaex");
	expect_escaped("a\\b", 3, "a\\\\b");
	expect_escaped("a\0b", 3, "a\\x00b");
	assert_true(escape_is_utf8("caf\xc3\xa9\n", 6));
	assert_false(escape_is_utf8("\xc3", 1));
}

static void test_escape_never_splits(void **state)
{
	char shown[8];

	(void)state;
	for (size_t size = 1; size < sizeof(shown); size++) {
		size_t n = escape_text(shown, size, "a\xff\xff", 3);

		assert_true(n < size);
		assert_true(n == 0 || n == 1 || n == 5);
	}
}

/* What policy images of this version hold. */
static void test_hash(void **state)
{
	(void)state;
	assert_true(hash_bytes(1, "leash", 5) == UINT64_C(0x1b53729792657f73));
	assert_true(hash_bytes(hash_seed(1, 2, 3), "a longer text", 13) ==
		    UINT64_C(0xa913de39de6ed8b6));
	assert_true(hash_bytes(1, "leash", 5) != hash_bytes(2, "leash", 5));
}

static struct channel *make_channel(size_t size)
{
	CLEANUP(fd_close) int fd = -1;
	struct channel *channel = NULL;

	assert_int_equal(channel_create(size, &fd), 0);
	assert_int_equal(channel_map(fd, &channel), 0);
	return channel;
}

/* Many turns round the ring, with records of every length. */
static void test_channel_order(void **state)
{
	CLEANUP(channel_free) struct channel *channel = make_channel(4096);
	char bytes[1024];
	uint64_t cursor = 0;
	size_t put = 0, taken = 0;

	(void)state;
	while (taken < 20000) {
		const void *found;
		size_t length;

		memset(bytes, (int)(put & 0xff), sizeof(bytes));
		if (channel_put(channel, bytes, put % 1000, true) == 0) {
			put++;
			continue;
		}
		while (channel_peek(channel, &cursor, &found, &length) == 0) {
			assert_int_equal(length, taken % 1000);
			for (size_t i = 0; i < length; i++)
				assert_int_equal(
					((const unsigned char *)found)[i],
					taken & 0xff);
			taken++;
		}
		channel_release(channel, cursor);
		assert_int_equal(channel_used(channel), 0);
	}
}

static void test_channel_keeps_room(void **state)
{
	CLEANUP(channel_free) struct channel *channel = make_channel(4096);
	char bytes[56] = {0};
	int ordinary = 0, important = 0;

	(void)state;
	while (channel_put(channel, bytes, sizeof(bytes), false) == 0)
		ordinary++;
	while (channel_put(channel, bytes, sizeof(bytes), true) == 0)
		important++;
	assert_int_equal(ordinary, 48); /* three quarters of 4096 / 64 */
	assert_int_equal(important, 16);
	assert_int_equal(channel_lost(channel).ordinary, 1);
	assert_int_equal(channel_lost(channel).important, 1);
}

static void test_channel_sleep(void **state)
{
	CLEANUP(channel_free) struct channel *channel = make_channel(4096);
	uint64_t cursor = 0;
	const void *bytes;
	size_t length;

	(void)state;
	assert_false(channel_wants_wake(channel));
	assert_true(channel_sleep(channel, cursor));
	assert_int_equal(channel_put(channel, "x", 1, false), 0);
	assert_true(channel_wants_wake(channel));
	assert_false(channel_wants_wake(channel));
	assert_false(channel_sleep(channel, cursor));
	assert_int_equal(channel_peek(channel, &cursor, &bytes, &length), 0);
	assert_int_equal(channel_peek(channel, &cursor, &bytes, &length),
			 CHANNEL_EMPTY);
}

static void test_status(void **state)
{
	static const char text[] = "Name:\tx\\nUid:\t0\nTgid:\t12\nPPid:\t3\n"
				   "Uid:\t1\t2\t3\t4\nCapPrm:\t0000000000000001"
				   "\n";
	struct process_ids ids;
	bool capable;

	(void)state;
	assert_int_equal(process_parse_status(text, &ids, &capable), 0);
	assert_int_equal(ids.tgid, 12);
	assert_int_equal(ids.parent_tgid, 3);
	assert_int_equal(ids.uids[3], 4);
	assert_true(capable);
	assert_int_equal(process_parse_status("", &ids, &capable), -EINVAL);
	assert_int_equal(process_parse_status("Uid:\t1", &ids, &capable),
			 -EINVAL);
}

static void test_own_process(void **state)
{
	CLEANUP(fd_close) int proc = process_open_proc();
	struct process_ids ids;
	uint64_t started;

	(void)state;
	assert_int_equal(process_ids_of(proc, getpid(), &ids), 0);
	assert_int_equal(ids.tgid, getpid());
	assert_int_equal(ids.uids[1], geteuid());
	assert_int_equal(process_start_time(proc, getpid(), &started), 0);
	assert_true(started > 0);
}

static void test_record(void **state)
{
	static char buffer[RECORD_SIZE_MAX * 2];
	static char large[RECORD_TEXT_MAX * 2];
	struct record record = {
		.time_ns = 5,
		.generation = 6,
		.kind = POLICY_KIND_EXEC,
		.verdict = POLICY_DENY,
		.pid = 7,
	};
	struct record back;
	size_t length;

	(void)state;
	memset(large, 'x', sizeof(large));
	record_set(&record, RECORD_TEXT_ACCOUNT, "puppy");
	record_set(&record, RECORD_TEXT_NOTE, NULL);
	record.texts[RECORD_TEXT_TARGET] =
		(struct record_bytes){large, sizeof(large)};
	length = record_encode(&record, buffer);
	assert_int_equal(record_decode(buffer, length, &back), 0);
	assert_int_equal(back.pid, 7);
	assert_int_equal(back.texts[RECORD_TEXT_ACCOUNT].length, 5);
	assert_int_equal(back.texts[RECORD_TEXT_NOTE].length, 0);
	assert_int_equal(back.texts[RECORD_TEXT_TARGET].length,
			 RECORD_TEXT_MAX);
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(record_decode(buffer, cut, &back),
				 RECORD_MALFORMED);
	assert_int_equal(record_decode(buffer, length + 1, &back),
			 RECORD_MALFORMED);
}

static void test_message(void **state)
{
	const struct message sent = {.type = MESSAGE_POLICY, .value = 9};
	struct message got;
	int ends[2], fd = -1, passed;

	(void)state;
	assert_int_equal(message_pair(ends), 0);
	assert_int_equal(message_receive(ends[1], &got, &fd), MESSAGE_NONE);
	passed = open("/dev/null", O_RDONLY);
	assert_int_equal(message_send(ends[0], &sent, passed), 0);
	assert_int_equal(message_receive(ends[1], &got, &fd), 0);
	assert_int_equal(got.value, 9);
	assert_true(fd >= 0 && fd != passed);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	fd_close(fd);
	fd_close(passed);
	assert_int_equal(write(ends[0], "x", 1), 1);
	assert_int_equal(message_receive(ends[1], &got, &fd),
			 MESSAGE_MALFORMED);
	fd_close(ends[0]);
	assert_int_equal(message_receive(ends[1], &got, &fd), MESSAGE_CLOSED);
	fd_close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_never_splits),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_channel_order),
		cmocka_unit_test(test_channel_keeps_room),
		cmocka_unit_test(test_channel_sleep),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_message),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
