/* Which host a client's first bytes ask for, however they are cut. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "nfqueue/names/client_host.h"
#include "nfqueue/names/streams.h"

static uint8_t hello[32768];
static size_t hello_length;

static void put(const void *bytes, size_t length)
{
	memcpy(hello + hello_length, bytes, length);
	hello_length += length;
}

static void put_number(size_t value, size_t bytes)
{
	while (bytes--)
		hello[hello_length++] = (uint8_t)(value >> 8 * bytes);
}

static void set_number(size_t at, size_t value, size_t bytes)
{
	while (bytes--)
		hello[at++] = (uint8_t)(value >> 8 * bytes);
}

static void put_server_name(const char *name)
{
	size_t length = strlen(name);

	put_number(0, 2);
	put_number(length + 5, 2);
	put_number(length + 3, 2);
	put_number(0, 1);
	put_number(length, 2);
	put(name, length);
}

/* A ClientHello in records of at most so many bytes. */
static void make_hello(const char *name, const char *second, size_t padding,
		       size_t record)
{
	static uint8_t message[32768];
	size_t length, extensions;

	hello_length = 0;
	put_number(1, 1);
	put_number(0, 3);
	put_number(0x0303, 2);
	hello_length += 32;
	put_number(0, 1);
	put_number(2, 2);
	put_number(0x1301, 2);
	put_number(0x0100, 2);
	extensions = hello_length;
	put_number(0, 2);
	put_number(0xfe0d, 2); /* ECH, or what pretends to be */
	put_number(4, 2);
	put_number(0, 4);
	put_number(21, 2);
	put_number(padding, 2);
	memset(hello + hello_length, 0, padding);
	hello_length += padding;
	if (name)
		put_server_name(name);
	if (second)
		put_server_name(second);
	set_number(extensions, hello_length - extensions - 2, 2);
	set_number(1, hello_length - 4, 3);

	length = hello_length;
	memcpy(message, hello, length);
	hello_length = 0;
	for (size_t at = 0; at < length; at += record) {
		size_t part = length - at < record ? length - at : record;

		put_number(22, 1);
		put_number(0x0301, 2);
		put_number(part, 2);
		put(message + at, part);
	}
}

static enum policy_said read_it(const void *bytes, size_t length,
				const char *wanted)
{
	/* Of its own, so that reading beyond its end is seen. */
	uint8_t *copy = malloc(length + 1);
	char name[HOST_NAME_SIZE];
	enum policy_said said;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	said = client_host_read(copy, length, name);
	free(copy);
	if (said == POLICY_SAID_NAME)
		assert_string_equal(name, wanted);
	return said;
}

static enum policy_said text(const char *bytes, const char *wanted)
{
	return read_it(bytes, strlen(bytes), wanted);
}

static void tls(void **state)
{
	static const size_t records[] = {16384, 100, 5, 1};

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		make_hello("A.Example", NULL, 10, records[i]);
		for (size_t n = 0; n < hello_length; n++)
			assert_int_equal(read_it(hello, n, NULL),
					 POLICY_SAID_UNSEEN);
		assert_int_equal(read_it(hello, hello_length, "a.example"),
				 POLICY_SAID_NAME);
	}
	make_hello("a.example", NULL, 17 * 1024, 16384);
	assert_int_equal(read_it(hello, hello_length - 1, NULL),
			 POLICY_SAID_UNSEEN);
	assert_int_equal(read_it(hello, hello_length, "a.example"),
			 POLICY_SAID_NAME);
	make_hello(NULL, NULL, 10, 16384);
	assert_int_equal(read_it(hello, hello_length, NULL),
			 POLICY_SAID_NOTHING);
	make_hello("a.example", "b.example", 10, 16384);
	assert_int_equal(read_it(hello, hello_length, NULL),
			 POLICY_SAID_GARBLED);
	make_hello("a..example", NULL, 10, 16384);
	assert_int_equal(read_it(hello, hello_length, ""), POLICY_SAID_NAME);
	make_hello("a.example", NULL, 10, 16384);
	hello[5] = 2; /* a server's */
	assert_int_equal(read_it(hello, hello_length, NULL),
			 POLICY_SAID_GARBLED);
	make_hello("a.example", NULL, 28 * 1024, 16384);
	assert_int_equal(read_it(hello, hello_length, NULL),
			 POLICY_SAID_GARBLED);
}

/* Any byte changed: another answer perhaps, but one within bounds. */
static void tls_damaged(void **state)
{
	(void)state;
	make_hello("a.example", NULL, 4, 16384);
	for (size_t i = 0; i < hello_length; i++)
		for (int bit = 0; bit < 8; bit++) {
			char name[HOST_NAME_SIZE];

			hello[i] ^= (uint8_t)(1 << bit);
			(void)client_host_read(hello, hello_length, name);
			hello[i] ^= (uint8_t)(1 << bit);
		}
}

static void http(void **state)
{
	static const char request[] = "GET /x HTTP/1.1\r\nAccept: */*\r\n"
				      "hOsT: \tA.example:8080 \r\n\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof(request) - 1; n++)
		assert_int_equal(read_it(request, n, NULL), POLICY_SAID_UNSEEN);
	assert_int_equal(text(request, "a.example"), POLICY_SAID_NAME);
	assert_int_equal(
		text("\r\nGET / HTTP/1.1\nHost: a.example\n\n", "a.example"),
		POLICY_SAID_NAME);
	assert_int_equal(text("PURGE * HTTP/1.0\r\n\r\n", NULL),
			 POLICY_SAID_NOTHING);
	assert_int_equal(text("GET http://a.example/x HTTP/1.1\r\n"
			      "Host: a.example\r\n\r\n",
			      "a.example"),
			 POLICY_SAID_NAME);
	assert_int_equal(
		text("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", "192.0.2.1"),
		POLICY_SAID_NAME);
	/* What stands where a port would, a server may take for the host. */
	assert_int_equal(
		text("GET / HTTP/1.1\r\nHost: a.example:80@b.example\r\n\r\n",
		     ""),
		POLICY_SAID_NAME);
	assert_int_equal(
		text("GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n", "a.example"),
		POLICY_SAID_NAME);
	assert_int_equal(text("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ""),
			 POLICY_SAID_NAME);
}

/* What a server might read otherwise than we would. */
static void http_garbled(void **state)
{
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example\r\n b.example\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n",
		"GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"CONNECT b.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET / x HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example\rHost: b.example\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (text(requests[i], NULL) != POLICY_SAID_GARBLED)
			fail_msg("%s", requests[i]);
	memset(hello, 'x', sizeof(hello));
	assert_int_equal(read_it(hello, sizeof(hello), NULL),
			 POLICY_SAID_OTHER);
	hello[3] = ' ';
	assert_int_equal(read_it(hello, 24 * 1024, NULL), POLICY_SAID_UNSEEN);
	assert_int_equal(read_it(hello, sizeof(hello), NULL),
			 POLICY_SAID_GARBLED);
}

static void others(void **state)
{
	char name[HOST_NAME_SIZE];

	(void)state;
	assert_int_equal(client_host_read(NULL, 0, name), POLICY_SAID_UNSEEN);
	assert_int_equal(text("\r\n", NULL), POLICY_SAID_UNSEEN);
	assert_int_equal(text("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", NULL),
			 POLICY_SAID_OTHER);
	assert_int_equal(text("EHLO me\r\n", NULL), POLICY_SAID_OTHER);
	assert_int_equal(read_it("\0\0\0\10\4\322\26/", 8, NULL),
			 POLICY_SAID_OTHER); /* PostgreSQL */
	assert_int_equal(text("*1\r\n$4\r\nPING\r\n", NULL), POLICY_SAID_OTHER);
	assert_int_equal(text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NULL),
			 POLICY_SAID_OTHER);
	assert_int_equal(read_it("\26\1", 2, NULL), POLICY_SAID_OTHER);
	assert_true(client_host_is_demanded(443));
	assert_false(client_host_is_demanded(22));
}

static struct packet packet_of(uint32_t sequence)
{
	return (struct packet){
		.protocol = POLICY_PROTOCOL_TCP,
		.source_port = 40000,
		.destination_port = 443,
		.sequence = sequence,
	};
}

static void streams_in_order(void **state)
{
	CLEANUP(streams_free) struct streams *streams = NULL;
	struct packet syn = packet_of(UINT32_MAX - 3);
	uint32_t first = syn.sequence + 1;
	struct stream *stream;

	(void)state;
	assert_int_equal(streams_new(32768, &streams), 0);
	assert_null(streams_find(streams, &syn));
	stream = streams_begin(streams, &syn, 1000, 1);
	assert_ptr_equal(streams_find(streams, &syn), stream);
	/* Across the end of the numbers. */
	assert_int_equal(streams_add(streams, stream, first, "abcd", 4), 0);
	assert_int_equal(streams_add(streams, stream, first + 6, "gh", 2),
			 STREAMS_GAP);
	assert_int_equal(streams_add(streams, stream, first + 2, "cdef", 4), 0);
	assert_true(streams_agree(stream, first + 4, "efzz", 4));
	assert_true(streams_agree(stream, first + 6, "zz", 2));
	assert_false(streams_agree(stream, first + 4, "ez", 2));
	assert_false(streams_agree(stream, first - 1, "zabc", 4));
	assert_int_equal(streams_add(streams, stream, first + 6, "gh", 2), 0);
	assert_int_equal(streams_add(streams, stream, first, "abcd", 4), 0);
	assert_int_equal(streams_add(streams, stream, first + 1, "bX", 2),
			 STREAMS_DIFFERENT);
	assert_int_equal(streams_add(streams, stream, first - 1, "xabc", 4),
			 STREAMS_DIFFERENT);
	assert_int_equal(stream->length, 8);
	assert_memory_equal(stream->bytes, "abcdefgh", 8);
	streams_end(streams, stream);
	assert_null(streams_find(streams, &syn));
}

static void streams_consumed(void **state)
{
	CLEANUP(streams_free) struct streams *streams = NULL;
	struct packet syn = packet_of(0);
	struct stream *stream;

	(void)state;
	assert_int_equal(streams_new(70000, &streams), 0);
	stream = streams_begin(streams, &syn, 1000, 1);
	assert_int_equal(streams_add(streams, stream, 1, "abcdef", 6), 0);
	streams_consume(streams, stream, 4);
	assert_memory_equal(stream->bytes, "ef", 2);
	assert_int_equal(streams_add(streams, stream, 1, "abcd", 4),
			 STREAMS_OLD);
	assert_int_equal(streams_add(streams, stream, 1, "xxxxefgh", 8), 0);
	assert_int_equal(streams_add(streams, stream, 5, "eX", 2),
			 STREAMS_DIFFERENT);
	assert_memory_equal(stream->bytes, "efgh", 4);
	streams_consume(streams, stream, 4);
	assert_int_equal(stream->length, 0);
	memset(hello, 'x', sizeof(hello));
	assert_int_equal(streams_add(streams, stream, 9, hello, 32768), 0);
	streams_consume(streams, stream, 32000);
	assert_int_equal(stream->length, 768);
}

static void streams_bounds(void **state)
{
	CLEANUP(streams_free) struct streams *streams = NULL;
	struct packet syn = packet_of(0);
	struct stream *stream;
	uint32_t full = 0;

	(void)state;
	memset(hello, 'x', sizeof(hello));
	assert_int_equal(streams_new(32768, &streams), 0);
	stream = streams_begin(streams, &syn, 1000, 1);
	assert_int_equal(streams_add(streams, stream, 1, hello, 32768), 0);
	assert_int_equal(streams_add(streams, stream, 32769, "x", 1),
			 STREAMS_FULL);
	for (uint16_t port = 1; port < 5000; port++) {
		syn.source_port = port;
		stream = streams_begin(streams, &syn, 1000, port);
		if (streams_add(streams, stream, 1, hello, 32768) ==
		    STREAMS_FULL)
			full++;
	}
	assert_true(full > 0); /* bounded together, too */
	assert_non_null(streams_find(streams, &syn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls),
		cmocka_unit_test(tls_damaged),
		cmocka_unit_test(http),
		cmocka_unit_test(http_garbled),
		cmocka_unit_test(others),
		cmocka_unit_test(streams_in_order),
		cmocka_unit_test(streams_consumed),
		cmocka_unit_test(streams_bounds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
