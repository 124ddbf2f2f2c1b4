/* What a packet says, and above all what is taken for no packet. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "nfqueue/packet.h"
#include "nfqueue/queue.h"
#include "nfqueue/refusal.h"

/* clang-format off */
static const uint8_t ipv4_tcp[] = {
	0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0,
	10, 0, 0, 1, 192, 0, 2, 7,
	0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0,
};
static const uint8_t ipv6_udp[] = {
	0x60, 0, 0, 0, 0, 8, 17, 64,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0, 53, 0, 123, 0, 8, 0, 0,
};
/* clang-format on */

static int parse(const uint8_t *bytes, size_t length, struct packet *ret)
{
	return packet_parse(bytes, length, ret);
}

static void plain(void **state)
{
	char address[PACKET_TEXT_MAX], text[PACKET_TEXT_MAX];
	struct packet packet;

	(void)state;
	assert_int_equal(parse(ipv4_tcp, sizeof(ipv4_tcp), &packet), 0);
	assert_int_equal(packet.protocol, POLICY_PROTOCOL_TCP);
	assert_int_equal(packet.source_port, 40000);
	assert_int_equal(packet.destination_port, 443);
	packet_address_text(&packet.destination, address);
	packet_peer_text(packet.protocol, address, packet.destination_port,
			 text);
	assert_string_equal(text, "tcp 192.0.2.7:443");

	assert_int_equal(parse(ipv6_udp, sizeof(ipv6_udp), &packet), 0);
	assert_int_equal(packet.protocol, POLICY_PROTOCOL_UDP);
	assert_int_equal(packet.source_port, 53);
	packet_address_text(&packet.destination, address);
	packet_peer_text(packet.protocol, address, packet.destination_port,
			 text);
	assert_string_equal(text, "udp [2001:db8::2]:123");
}

static void cut_short(void **state)
{
	struct packet packet;

	(void)state;
	for (size_t n = 0; n < sizeof(ipv4_tcp); n++)
		assert_int_equal(parse(ipv4_tcp, n, &packet),
				 PACKET_NOT_UNDERSTOOD);
	for (size_t n = 0; n < sizeof(ipv6_udp); n++)
		assert_int_equal(parse(ipv6_udp, n, &packet),
				 PACKET_NOT_UNDERSTOOD);
}

/* Change one byte of a good packet. */
static int changed(const uint8_t *good, size_t length, size_t at, uint8_t value)
{
	uint8_t copy[128];
	struct packet packet;

	memcpy(copy, good, length);
	copy[at] = value;
	return packet_parse(copy, length, &packet);
}

static void not_plain_ipv4(void **state)
{
	const size_t n = sizeof(ipv4_tcp);

	(void)state;
	assert_int_equal(changed(ipv4_tcp, n, 0, 0x55), 1); /* version 5 */
	assert_int_equal(changed(ipv4_tcp, n, 0, 0x44), 1); /* no header */
	assert_int_equal(changed(ipv4_tcp, n, 0, 0x4f), 1); /* beyond its end */
	assert_int_equal(changed(ipv4_tcp, n, 6, 0x20), 1); /* more fragments */
	assert_int_equal(changed(ipv4_tcp, n, 7, 0x01), 1); /* a later one */
	assert_int_equal(changed(ipv4_tcp, n, 9, 47), 1);   /* GRE */
	assert_int_equal(changed(ipv4_tcp, n, 9, 41), 1);   /* IPv6 inside */
	assert_int_equal(changed(ipv4_tcp, n, 9, 58), 1);   /* ICMPv6 */
	assert_int_equal(changed(ipv4_tcp, n, 9, 17), 0);   /* UDP */
	assert_int_equal(changed(ipv4_tcp, n, 9, 132), 0);  /* SCTP */
	assert_int_equal(changed(ipv4_tcp, n, 9, 1), 0);    /* ICMP */
}

static int with_options(const uint8_t options[static 8])
{
	uint8_t bytes[sizeof(ipv4_tcp) + 8];
	struct packet packet;

	memcpy(bytes, ipv4_tcp, 20);
	bytes[0] = 0x47;
	bytes[3] = sizeof(bytes); /* and their own length */
	memcpy(bytes + 20, options, 8);
	memcpy(bytes + 28, ipv4_tcp + 20, 20);
	return packet_parse(bytes, sizeof(bytes), &packet);
}

static void ipv4_options(void **state)
{
	(void)state;
	assert_int_equal(with_options((uint8_t[8]){1, 1, 7, 6}), 0);
	assert_int_equal(with_options((uint8_t[8]){0, 131, 7}), 0);
	assert_int_equal(with_options((uint8_t[8]){131, 7, 4}), 1); /* LSRR */
	assert_int_equal(with_options((uint8_t[8]){1, 137, 7}), 1); /* SSRR */
	assert_int_equal(with_options((uint8_t[8]){7, 0}), 1);
	assert_int_equal(with_options((uint8_t[8]){7, 9}), 1);
	assert_int_equal(with_options((uint8_t[8]){1, 1, 1, 1, 1, 1, 1, 131}),
			 1);
}

/* An extension header of 8 bytes in front of UDP. */
static int with_extension(uint8_t kind, const uint8_t header[static 8])
{
	uint8_t bytes[sizeof(ipv6_udp) + 8];
	struct packet packet;

	memcpy(bytes, ipv6_udp, 40);
	bytes[5] = sizeof(bytes) - 40;
	bytes[6] = kind;
	memcpy(bytes + 40, header, 8);
	memcpy(bytes + 48, ipv6_udp + 40, 8);
	return packet_parse(bytes, sizeof(bytes), &packet);
}

static void ipv6_extensions(void **state)
{
	uint8_t chain[40 + 9 * 8 + 8];
	struct packet packet;

	(void)state;
	assert_int_equal(with_extension(0, (uint8_t[8]){17}), 0);
	assert_int_equal(with_extension(60, (uint8_t[8]){17}), 0);
	assert_int_equal(with_extension(60, (uint8_t[8]){17, 9}), 1);
	assert_int_equal(with_extension(43, (uint8_t[8]){17, 0, 4, 0}), 0);
	assert_int_equal(with_extension(43, (uint8_t[8]){17, 0, 4, 1}), 1);
	assert_int_equal(with_extension(44, (uint8_t[8]){17, 0, 0, 0}), 0);
	assert_int_equal(with_extension(44, (uint8_t[8]){17, 0, 0, 1}), 1);
	assert_int_equal(with_extension(44, (uint8_t[8]){17, 0, 1, 0}), 1);
	assert_int_equal(with_extension(50, (uint8_t[8]){17}), 1); /* ESP */
	assert_int_equal(with_extension(59, (uint8_t[8]){17}), 1);
	assert_int_equal(with_extension(0, (uint8_t[8]){1}), 1); /* ICMPv4 */

	memset(chain, 0, sizeof(chain));
	memcpy(chain, ipv6_udp, 40);
	chain[5] = 9 * 8 + 8;
	chain[6] = 60;
	for (int i = 0; i < 9; i++)
		chain[40 + i * 8] = i == 8 ? 17 : 60;
	assert_int_equal(packet_parse(chain, sizeof(chain), &packet), 1);
}

static void no_message(void **state)
{
	uint8_t zero[64] = {0};
	struct queue_packet packet;

	(void)state;
	for (size_t n = 0; n < sizeof(zero); n++)
		assert_int_equal(queue_parse(zero, n, &packet),
				 QUEUE_MALFORMED);
}

/* A SYN and ACK becomes a reset with the same ends; nothing else does. */
static void refusals(void **state)
{
	char buffer[REFUSAL_SIZE_MAX];
	const uint8_t *reset = (const uint8_t *)buffer;
	uint8_t copy[sizeof(ipv4_tcp)];
	size_t length;

	(void)state;
	assert_int_equal(
		refusal_make(ipv4_tcp, sizeof(ipv4_tcp), buffer, &length),
		REFUSAL_NONE);
	memcpy(copy, ipv4_tcp, sizeof(copy));
	copy[33] = 0x12;
	copy[31] = 7; /* acknowledges 7 */
	assert_int_equal(refusal_make(copy, sizeof(copy) - 1, buffer, &length),
			 REFUSAL_NONE);
	assert_int_equal(refusal_make(copy, sizeof(copy), buffer, &length), 0);
	assert_int_equal(length, 40);
	assert_memory_equal(reset + 12, copy + 12, 12); /* ends and ports */
	assert_int_equal(reset[33], 0x14);
	assert_int_equal(reset[31], 7);
	assert_int_equal(
		refusal_make(ipv6_udp, sizeof(ipv6_udp), buffer, &length),
		REFUSAL_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(not_plain_ipv4),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(ipv6_extensions),
		cmocka_unit_test(no_message),
		cmocka_unit_test(refusals),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
