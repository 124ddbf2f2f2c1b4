/* What a packet says, and above all what is taken for no packet. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <string.h>

#include "nfqueue/packets/bare_syn.h"
#include "nfqueue/packets/packet.h"
#include "nfqueue/packets/queue.h"
#include "nfqueue/packets/refusal.h"

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
	assert_int_equal(changed(ipv4_tcp, n, 9, 17), 1);   /* UDP of 0 */
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

/* Its receiver goes by UDP's own length. */
static void udp_length(void **state)
{
	const size_t n = sizeof(ipv6_udp);

	(void)state;
	assert_int_equal(changed(ipv6_udp, n, 45, 7), 1);
	assert_int_equal(changed(ipv6_udp, n, 45, 9), 1);
	assert_int_equal(changed(ipv6_udp, n, 44, 1), 1);
	/* One byte is there that nobody would be given. */
	assert_int_equal(
		changed((uint8_t[49]){0x60, [5] = 9, 17, [45] = 8}, 49, 45, 8),
		1);
	assert_int_equal(
		changed((uint8_t[49]){0x60, [5] = 9, 17, [45] = 8}, 49, 45, 9),
		0);
}

static void urgent(void **state)
{
	uint8_t copy[sizeof(ipv4_tcp)];
	struct packet packet;

	(void)state;
	memcpy(copy, ipv4_tcp, sizeof(copy));
	assert_int_equal(parse(copy, sizeof(copy), &packet), 0);
	assert_false(packet.is_urgent);
	copy[33] = 0x38; /* URG, ACK, PSH */
	assert_int_equal(parse(copy, sizeof(copy), &packet), 0);
	assert_true(packet.is_urgent);
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

/* Whether the kernel will make several of it. */
static void to_be_cut(void **state)
{
	const uint32_t known[] = {
		0,
		NFQA_SKB_CSUMNOTREADY,
		NFQA_SKB_GSO,
		NFQA_SKB_GSO | NFQA_SKB_CSUMNOTREADY,
	};
	const struct nfqnl_msg_packet_hdr header = {.packet_id = htonl(7)};
	char buffer[512];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct nlmsghdr *message =
			nfq_nlmsg_put(buffer, NFQNL_MSG_PACKET, 3);
		struct queue_packet packet;

		mnl_attr_put(message, NFQA_PACKET_HDR, sizeof(header), &header);
		if (known[i])
			mnl_attr_put_u32(message, NFQA_SKB_INFO,
					 htonl(known[i]));
		mnl_attr_put(message, NFQA_PAYLOAD, sizeof(ipv6_udp), ipv6_udp);
		assert_int_equal(
			queue_parse(buffer, message->nlmsg_len, &packet), 0);
		assert_int_equal(packet.id, 7);
		assert_int_equal(packet.is_to_be_cut, i >= 2);
	}
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

/* All 16-bit words, as an IP header and what TCP is summed with sum them. */
static uint16_t sum(const uint8_t *bytes, size_t length, uint32_t total)
{
	for (size_t i = 0; i < length; i += 2)
		total += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)total;
}

static void bare_syns(void **state)
{
	static const uint8_t option[] = {34, 4, 0, 0}; /* Fast Open */
	uint8_t syn[sizeof(ipv4_tcp) + sizeof(option) + 5];
	uint8_t large[512] = {0};
	char buffer[BARE_SYN_SIZE_MAX];
	const uint8_t *bare = (const uint8_t *)buffer;
	struct packet packet;
	size_t length;

	(void)state;
	memcpy(syn, ipv4_tcp, sizeof(ipv4_tcp));
	memcpy(syn + sizeof(ipv4_tcp), option, sizeof(option));
	memcpy(syn + sizeof(ipv4_tcp) + sizeof(option), "hello", 5);
	syn[3] = sizeof(syn);
	syn[32] = 6 << 4;
	assert_int_equal(packet_parse(syn, sizeof(syn), &packet), 0);
	assert_int_equal(packet.data_length, 5);
	assert_int_equal(bare_syn_make(syn, &packet, buffer, &length), 0);
	assert_int_equal(length, sizeof(syn) - 5);
	assert_int_equal(sum(bare, 20, 0), 0xffff);
	assert_int_equal(sum(bare + 12, length - 12, 6 + 24), 0xffff);
	assert_memory_equal(bare + 12, syn + 12, 24);
	assert_memory_equal(bare + 40, option, sizeof(option));
	assert_int_equal(packet_parse(bare, length, &packet), 0);
	assert_true(packet.is_syn);
	assert_int_equal(packet.data_length, 0);

	/* IPv6, and behind more headers than anybody sends. */
	memcpy(large, ipv6_udp, 40);
	large[5] = 8 + 20 + 6;
	large[6] = 60;
	large[40] = 6;
	large[48 + 12] = 5 << 4;
	large[48 + 13] = 2;
	assert_int_equal(packet_parse(large, 74, &packet), 0);
	assert_int_equal(bare_syn_make(large, &packet, buffer, &length), 0);
	assert_int_equal(length, 68);
	assert_int_equal(bare[5], 28);
	assert_int_equal(sum(bare + 8, 32, sum(bare + 48, 20, 6 + 20)), 0xffff);
	large[4] = 1;
	large[5] = 0x60;
	large[41] = 39;
	large[40 + 320 + 12] = 5 << 4;
	large[40 + 320 + 13] = 2;
	assert_int_equal(packet_parse(large, 40 + 0x160, &packet), 0);
	assert_int_equal(bare_syn_make(large, &packet, buffer, &length),
			 BARE_SYN_TOO_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(not_plain_ipv4),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(udp_length),
		cmocka_unit_test(urgent),
		cmocka_unit_test(ipv6_extensions),
		cmocka_unit_test(no_message),
		cmocka_unit_test(to_be_cut),
		cmocka_unit_test(refusals),
		cmocka_unit_test(bare_syns),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
