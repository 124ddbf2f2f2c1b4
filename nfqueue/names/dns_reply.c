#include "nfqueue/names/dns_reply.h"

#include <arpa/inet.h>
#include <libnetfilter_queue/libnetfilter_queue_ipv4.h>
#include <libnetfilter_queue/libnetfilter_queue_tcp.h>
#include <libnetfilter_queue/libnetfilter_queue_udp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#define HEADER_SIZE    12
#define FLAG_ANSWER    0x80 /* of the third byte */
#define FLAG_DESIRED   0x01 /* recursion, as it was asked for */
#define FLAG_AVAILABLE 0x80 /* of the fourth byte */
#define TYPE_OPT       41
#define UDP_SIZE       1232
#define OPTION_ERROR   15
#define ERROR_BLOCKED  15
#define REASON_MAX     120
#define TTL	       64

/* Bytes that grow up to an end. */
struct bytes {
	char *at;
	char *end;
	bool full;
};

static void put(struct bytes *out, const void *bytes, size_t length)
{
	if ((size_t)(out->end - out->at) < length) {
		out->full = true;
		return;
	}
	memcpy(out->at, bytes, length);
	out->at += length;
}

static void put16(struct bytes *out, size_t value)
{
	const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(out, bytes, sizeof(bytes));
}

static void put_error(struct bytes *out, const char *reason)
{
	size_t length = strnlen(reason, REASON_MAX);

	put(out, "", 1); /* the root's name */
	put16(out, TYPE_OPT);
	put16(out, UDP_SIZE);
	put(out, "\0\0\0\0", 4); /* code, version and flags */
	put16(out, 4 + 2 + length);
	put16(out, OPTION_ERROR);
	put16(out, 2 + length);
	put16(out, ERROR_BLOCKED);
	put(out, reason, length);
}

static void put_message(struct bytes *out, const struct dns_reply_part *part,
			const char *reason)
{
	const uint8_t flags[] = {
		(uint8_t)(FLAG_ANSWER | (part->message[2] & FLAG_DESIRED)),
		(uint8_t)(FLAG_AVAILABLE | (unsigned int)part->code),
	};

	put(out, part->message, 2);
	put(out, flags, sizeof(flags));
	put16(out, 1);
	put16(out, 0);
	put16(out, 0);
	put16(out, part->has_edns);
	put(out, part->message + HEADER_SIZE, part->question_end - HEADER_SIZE);
	if (part->has_edns)
		put_error(out, reason);
}

static void put_messages(struct bytes *out, const struct dns_reply *reply)
{
	for (unsigned int i = 0; i < reply->count; i++) {
		char *begin = out->at;

		if (reply->packet->protocol == POLICY_PROTOCOL_TCP)
			put16(out, 0);
		put_message(out, &reply->parts[i], reply->reason);
		if (reply->packet->protocol == POLICY_PROTOCOL_TCP &&
		    !out->full) {
			uint16_t length =
				htons((uint16_t)(out->at - begin - 2));

			memcpy(begin, &length, sizeof(length));
		}
	}
}

/* The addresses and ports that the reply has. */
struct ends {
	const struct policy_address *source;
	const struct policy_address *destination;
	uint16_t source_port;
	uint16_t destination_port;
};

static struct ends ends_of(const struct dns_reply *reply)
{
	const struct packet *packet = reply->packet;

	if (reply->turned)
		return (struct ends){
			&packet->destination,
			&packet->source,
			packet->destination_port,
			packet->source_port,
		};
	return (struct ends){
		&packet->source,
		&packet->destination,
		packet->source_port,
		packet->destination_port,
	};
}

static size_t put_transport(struct bytes *out, const struct dns_reply *reply,
			    const struct ends *ends)
{
	const struct packet *packet = reply->packet;
	char *begin = out->at;

	if (packet->protocol == POLICY_PROTOCOL_TCP) {
		struct tcphdr tcp = {
			.source = htons(ends->source_port),
			.dest = htons(ends->destination_port),
			.seq = htonl(packet->acknowledged),
			.ack_seq = htonl(packet->sequence +
					 (uint32_t)packet->data_length),
			.doff = sizeof(tcp) / 4,
			.psh = 1,
			.ack = 1,
			.window = htons(UINT16_MAX),
		};

		put(out, &tcp, sizeof(tcp));
		put_messages(out, reply);
	} else {
		struct udphdr udp = {
			.source = htons(ends->source_port),
			.dest = htons(ends->destination_port),
		};

		put(out, &udp, sizeof(udp));
		put_messages(out, reply);
		udp.len = htons((uint16_t)(out->at - begin));
		memcpy(begin, &udp, sizeof(udp));
	}
	return (size_t)(out->at - begin);
}

static void finish_ipv4(char *buffer, size_t length, const struct ends *ends,
			bool is_tcp)
{
	struct iphdr *ip = (struct iphdr *)buffer;
	void *transport = buffer + sizeof(*ip);

	*ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tot_len = htons((uint16_t)(sizeof(*ip) + length)),
		.frag_off = htons(IP_DF),
		.ttl = TTL,
		.protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP,
	};
	memcpy(&ip->saddr, ends->source->bytes + 12, 4);
	memcpy(&ip->daddr, ends->destination->bytes + 12, 4);
	nfq_ip_set_checksum(ip);
	if (is_tcp)
		nfq_tcp_compute_checksum_ipv4(transport, ip);
	else
		nfq_udp_compute_checksum_ipv4(transport, ip);
}

static void finish_ipv6(char *buffer, size_t length, const struct ends *ends,
			bool is_tcp)
{
	struct ip6_hdr *ip = (struct ip6_hdr *)buffer;
	void *transport = buffer + sizeof(*ip);

	*ip = (struct ip6_hdr){.ip6_flow = 0};
	ip->ip6_vfc = 6 << 4;
	ip->ip6_plen = htons((uint16_t)length);
	ip->ip6_nxt = is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	ip->ip6_hlim = TTL;
	memcpy(&ip->ip6_src, ends->source->bytes, 16);
	memcpy(&ip->ip6_dst, ends->destination->bytes, 16);
	if (is_tcp)
		nfq_tcp_compute_checksum_ipv6(transport, ip);
	else
		nfq_udp_compute_checksum_ipv6(transport, ip);
}

int dns_reply_make(const struct dns_reply *reply,
		   char buffer[static DNS_REPLY_SIZE_MAX], size_t *ret_length)
{
	/* Headers want to be aligned. */
	_Alignas(8) char made[DNS_REPLY_SIZE_MAX];
	bool is_ipv6 = reply->packet->is_ipv6;
	bool is_tcp = reply->packet->protocol == POLICY_PROTOCOL_TCP;
	size_t header = is_ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
	struct bytes out = {made + header, made + sizeof(made), false};
	struct ends ends = ends_of(reply);
	size_t length = put_transport(&out, reply, &ends);

	if (out.full)
		return DNS_REPLY_TOO_LONG;
	if (is_ipv6)
		finish_ipv6(made, length, &ends, is_tcp);
	else
		finish_ipv4(made, length, &ends, is_tcp);
	memcpy(buffer, made, header + length);
	*ret_length = header + length;
	return 0;
}
