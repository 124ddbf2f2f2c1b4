/* What DNS messages are taken to say, honest ones and others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "dns/dns_message.h"

#define A     1
#define NS    2
#define CNAME 5
#define TXT   16
#define AAAA  28
#define OPT   41

static struct {
	unsigned char bytes[70000];
	size_t length;
} m;

static struct dns_link_told told;

static void put(const void *bytes, size_t length)
{
	memcpy(m.bytes + m.length, bytes, length);
	m.length += length;
}

static void put16(unsigned int value)
{
	put((unsigned char[]){(unsigned char)(value >> 8),
			      (unsigned char)value},
	    2);
}

/* "a.b" as labels; "@12" is a pointer to offset 12. */
static void put_name(const char *name)
{
	unsigned int offset;

	if (sscanf(name, "@%u", &offset) == 1) {
		put16(0xc000 | offset);
		return;
	}
	while (*name) {
		size_t length = strcspn(name, ".");

		m.bytes[m.length++] = (unsigned char)length;
		put(name, length);
		name += length + (name[length] == '.');
	}
	m.bytes[m.length++] = 0;
}

static void begin(unsigned int flags, unsigned int answers,
		  unsigned int additional)
{
	m.length = 0;
	put16(0x1234);
	put16(flags);
	put16(1);
	put16(answers);
	put16(0);
	put16(additional);
}

static void question(const char *name, unsigned int type)
{
	put_name(name);
	put16(type);
	put16(1);
}

static void record(const char *owner, unsigned int type, unsigned int ttl,
		   const void *data, size_t length)
{
	put_name(owner);
	put16(type);
	put16(1);
	put16(ttl >> 16);
	put16(ttl);
	put16((unsigned int)length);
	put(data, length);
}

static void cname(const char *owner, const char *target, unsigned int ttl)
{
	size_t at;

	record(owner, CNAME, ttl, "", 0);
	at = m.length;
	put_name(target);
	m.bytes[at - 1] = (unsigned char)(m.length - at);
}

static int read_as(enum dns_link_kind kind)
{
	memset(&told, 0xee, sizeof(told));
	return dns_message_read(m.bytes, m.length, kind, &told);
}

static void questions(void **state)
{
	(void)state;
	begin(0x0100, 0, 0);
	question("Example.ORG", AAAA);
	assert_int_equal(read_as(DNS_LINK_QUESTION), 0);
	assert_int_equal(told.id, 0x1234);
	assert_int_equal(told.type, AAAA);
	assert_string_equal(told.name, "example.org");
	assert_int_equal(told.question_end, m.length);
	assert_false(told.has_edns);
	assert_int_equal(read_as(DNS_LINK_ANSWER), DNS_MESSAGE_MALFORMED);

	for (unsigned int flags = 0; flags <= 0xffff; flags++) {
		begin(flags, 0, 0);
		question("example.org", A);
		assert_int_equal(read_as(DNS_LINK_QUESTION),
				 flags & ~0x0130U ? DNS_MESSAGE_MALFORMED : 0);
	}
}

/* A question with EDNS of that size and time to live, and those options. */
static int with_edns(unsigned int size, unsigned int ttl, const void *options,
		     size_t length)
{
	begin(0x0100, 0, 1);
	question("example.org", A);
	record("", OPT, ttl, options, length);
	m.bytes[m.length - length - 8] = (unsigned char)(size >> 8);
	m.bytes[m.length - length - 7] = (unsigned char)size;
	return read_as(DNS_LINK_QUESTION);
}

static int with_option(unsigned int option, const void *data, size_t length)
{
	char bytes[1024] = {(char)(option >> 8), (char)option,
			    (char)(length >> 8), (char)length};

	memcpy(bytes + 4, data, length);
	return with_edns(1232, 0, bytes, length + 4);
}

static void beside_the_name(void **state)
{
	static const unsigned int sizes[] = {512, 1200, 1232, 4096, 65494};
	const char zeros[600] = {0}, ones[41] = {[0 ... 40] = 1};
	const char end[] = {[127] = 1};

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(with_edns(sizes[i], 0, "", 0), 0);
	assert_true(told.has_edns);
	assert_int_equal(with_edns(1231, 0, "", 0), DNS_MESSAGE_MALFORMED);
	assert_int_equal(with_edns(0, 0, "", 0), DNS_MESSAGE_MALFORMED);
	assert_int_equal(with_edns(1232, 0x8000, "", 0), 0); /* DNSSEC */
	for (unsigned int bit = 0; bit < 32; bit++)
		assert_int_equal(with_edns(1232, 1U << bit, "", 0),
				 bit == 15 ? 0 : DNS_MESSAGE_MALFORMED);

	for (size_t n = 0; n <= 600; n++)
		assert_int_equal(with_option(12, zeros, n),
				 n <= 128 ? 0 : DNS_MESSAGE_MALFORMED);
	assert_int_equal(with_option(12, ones, 1), DNS_MESSAGE_MALFORMED);
	assert_int_equal(with_option(12, end, 128), DNS_MESSAGE_MALFORMED);
	for (size_t n = 0; n <= 41; n++)
		assert_int_equal(with_option(10, ones, n),
				 n == 8 || (n >= 16 && n <= 40)
					 ? 0
					 : DNS_MESSAGE_MALFORMED);
	assert_int_equal(with_option(8, "\0\1\0\0", 4), 0);
	assert_int_equal(with_option(8, "\0\2\0\0", 4), 0);
	assert_int_equal(with_option(8, "\0\3\0\0", 4), 1);
	assert_int_equal(with_option(8, "\0\1\0\1", 4), 1);
	assert_int_equal(with_option(8, "\0\1\10\0\12", 5), 1);
	for (unsigned int option = 0; option <= 0xffff; option++)
		if (option != 3 && option != 11 && option != 12) {
			assert_int_equal(with_option(option, "", 0), 1);
		} else {
			assert_int_equal(with_option(option, "", 0), 0);
			assert_int_equal(with_option(option + 256, "", 0), 1);
		}
	assert_int_equal(with_option(3, "x", 1), DNS_MESSAGE_MALFORMED);
	assert_int_equal(with_option(11, "\0\1", 2), DNS_MESSAGE_MALFORMED);
	/* Several, and one of them twice. */
	assert_int_equal(with_edns(1232, 0, "\0\3\0\0\0\12\0\10cookie..", 16),
			 0);
	assert_int_equal(with_edns(1232, 0, "\0\3\0\0\0\3\0\0", 8), 1);
	/* Beyond its end, and cut short. */
	assert_int_equal(with_edns(1232, 0, "\0\12\0\11cookie..", 12), 1);
	assert_int_equal(with_edns(1232, 0, "\0\3\0", 3), 1);
}

/* The name in another way than written out: as a pointer, or its owner's. */
static void pointers(void **state)
{
	(void)state;
	begin(0x0100, 0, 0);
	m.bytes[0] = 1; /* the number as a label */
	put_name("@0");
	put16(A);
	put16(1);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	begin(0x0100, 0, 1);
	question("example.org", A);
	record("@24", OPT, 0, "", 0); /* a pointer to the root */
	assert_int_equal(m.bytes[24], 0);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	begin(0x0100, 0, 1);
	question("example.org", A);
	record("a", OPT, 0, "", 0);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	assert_int_equal(with_edns(1232, 0, "", 0), 0);
	put("x", 1);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);
}

/* Whatever would carry something out beside the name. */
static void smuggled(void **state)
{
	(void)state;
	begin(0x0100, 0, 0);
	question("example.org", A);
	put("secret", 6);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	begin(0x0100, 1, 0);
	question("example.org", A);
	record("secret.example", A, 0, "\1\2\3\4", 4);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	begin(0x0100, 0, 1);
	question("example.org", A);
	record("secret.example", TXT, 0, "\6secret", 7);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	begin(0x2800, 0, 0); /* an update */
	question("example.org", A);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);

	begin(0x0100, 0, 0);
	m.bytes[5] = 2; /* two questions */
	question("example.org", A);
	question("secret.example", A);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);
}

static void odd_names(void **state)
{
	char longest[300];

	(void)state;
	begin(0x0100, 0, 0);
	question("a b\\c", A);
	assert_int_equal(read_as(DNS_LINK_QUESTION), 0);
	assert_string_not_equal(told.name, "abc");
	begin(0x0100, 0, 0);
	put("\3a.b\1c", 7); /* a dot within a label is no dot */
	put16(A);
	put16(1);
	assert_int_equal(read_as(DNS_LINK_QUESTION), 0);
	assert_string_not_equal(told.name, "a.b.c");
	begin(0x0100, 0, 0);
	question("@12", A); /* a pointer to itself */
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);
	begin(0x0100, 0, 0);
	question("@9000", A);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);
	memset(longest, 'a', sizeof(longest));
	for (int i = 9; i < 299; i += 10)
		longest[i] = '.';
	longest[299] = '\0';
	begin(0x0100, 0, 0);
	question(longest, A);
	assert_int_equal(read_as(DNS_LINK_QUESTION), DNS_MESSAGE_MALFORMED);
}

static bool has_address(const char last_bytes[static 4])
{
	for (uint32_t i = 0; i < told.count; i++)
		if (!memcmp(told.records[i].address.bytes + 12, last_bytes, 4))
			return true;
	return false;
}

static void addresses(void **state)
{
	(void)state;
	begin(0x8180, 3, 1);
	question("example.org", A);
	record("@12", A, 300, "\1\2\3\4", 4);
	record("EXAMPLE.org", A, 200, "\1\2\3\5", 4);
	record("other.example", A, 300, "\6\6\6\6", 4);
	record("example.org", A, 300, "\7\7\7\7", 4); /* additional */
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.count, 2);
	assert_true(has_address("\1\2\3\4"));
	assert_true(has_address("\1\2\3\5"));
	assert_int_equal(told.records[0].ttl_s, 300);
	assert_int_equal(told.records[0].address.bytes[10], 0xff);

	begin(0x8180, 2, 0);
	question("example.org", AAAA);
	record("@12", AAAA, 300, " \1\15\270\0\0\0\0\0\0\0\0\1\2\3\4", 16);
	record("@12", AAAA, 300, "\1\2\3\4", 4); /* too short to be one */
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.count, 1);

	begin(0x8183, 0, 0);
	question("example.org", A);
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.response_code, 3);
	assert_int_equal(told.count, 0);
}

static void chains(void **state)
{
	char here[32], there[32];

	(void)state;
	begin(0x8180, 4, 0);
	question("a.example", A);
	record("c.example", A, 300, "\1\2\3\4", 4);
	cname("b.example", "c.example", 30);
	cname("a.example", "B.example", 60);
	record("b.example", A, 300, "\6\6\6\6", 4); /* beside a CNAME */
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.count, 1);
	assert_true(has_address("\1\2\3\4"));
	assert_int_equal(told.records[0].ttl_s, 30);

	begin(0x8180, 3, 0); /* a loop leads nowhere */
	question("a.example", A);
	cname("a.example", "b.example", 30);
	cname("b.example", "a.example", 30);
	record("c.example", A, 300, "\6\6\6\6", 4);
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.count, 0);

	for (unsigned int length = 12; length <= 20; length += 8) {
		begin(0x8180, length + 1, 0);
		question("n0.example", A);
		for (unsigned int i = 0; i < length; i++) {
			snprintf(here, sizeof(here), "n%u.example", i);
			snprintf(there, sizeof(there), "n%u.example", i + 1);
			cname(here, there, 30);
		}
		record(there, A, 300, "\1\2\3\4", 4);
		assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
		assert_int_equal(told.count, length == 12 ? 1 : 0);
	}
}

static void many(void **state)
{
	(void)state;
	begin(0x8180, 500, 0);
	question("example.org", A);
	for (unsigned int i = 0; i < 500; i++) {
		record("@12", A, 300, "\1\2\0\0", 4);
		m.bytes[m.length - 2] = (unsigned char)(i >> 8);
		m.bytes[m.length - 1] = (unsigned char)i;
	}
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.count, 500);
	assert_true(has_address("\1\2\1\363"));

	begin(0x8180, 4000, 0);
	question("example.org", A);
	for (unsigned int i = 0; i < 4000; i++)
		record("@12", A, 300, "\1\2\0\0", 4);
	assert_int_equal(read_as(DNS_LINK_ANSWER), 0);
	assert_int_equal(told.count, DNS_LINK_RECORDS_MAX);
}

/* However short it is cut, it is read within its bounds (see ASan). */
static void cut(void **state)
{
	unsigned char whole[512];
	size_t length;

	(void)state;
	begin(0x8180, 2, 0);
	question("a.example", A);
	cname("a.example", "b.example", 30);
	record("b.example", A, 300, "\1\2\3\4", 4);
	length = m.length;
	memcpy(whole, m.bytes, length);
	for (size_t n = 0; n < length; n++) {
		unsigned char *copy = malloc(n + 1);

		assert_non_null(copy);
		memcpy(copy, whole, n);
		assert_int_equal(
			dns_message_read(copy, n, DNS_LINK_ANSWER, &told),
			DNS_MESSAGE_MALFORMED);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions),
		cmocka_unit_test(smuggled),
		cmocka_unit_test(beside_the_name),
		cmocka_unit_test(pointers),
		cmocka_unit_test(odd_names),
		cmocka_unit_test(addresses),
		cmocka_unit_test(chains),
		cmocka_unit_test(many),
		cmocka_unit_test(cut),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
