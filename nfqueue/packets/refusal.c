#include "nfqueue/packets/refusal.h"

#include <arpa/inet.h>
#include <libnetfilter_queue/libnetfilter_queue_ipv4.h>
#include <libnetfilter_queue/libnetfilter_queue_tcp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Read the TCP header at offset.  False: it is not SYN and ACK. */
static bool read_syn_ack(const void *packet, size_t length, size_t offset,
			 struct tcphdr *ret)
{
	if (length < offset + sizeof(*ret))
		return false;
	memcpy(ret, (const char *)packet + offset, sizeof(*ret));
	return ret->syn && ret->ack && !ret->rst;
}

static struct tcphdr reset_of(const struct tcphdr *syn_ack)
{
	return (struct tcphdr){
		.source = syn_ack->source,
		.dest = syn_ack->dest,
		.ack_seq = syn_ack->ack_seq,
		.doff = sizeof(struct tcphdr) / 4,
		.rst = 1,
		.ack = 1,
	};
}

static int make_ipv4(const void *packet, size_t length, char *buffer,
		     size_t *ret_length)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} reset;
	struct tcphdr syn_ack;

	if (length < sizeof(reset.ip))
		return REFUSAL_NONE;
	memcpy(&reset.ip, packet, sizeof(reset.ip));
	if (reset.ip.protocol != IPPROTO_TCP || reset.ip.ihl < 5 ||
	    !read_syn_ack(packet, length, reset.ip.ihl * 4U, &syn_ack))
		return REFUSAL_NONE;
	reset.tcp = reset_of(&syn_ack);
	reset.ip.ihl = sizeof(reset.ip) / 4; /* options are left out */
	reset.ip.tot_len = htons(sizeof(reset));
	nfq_ip_set_checksum(&reset.ip);
	nfq_tcp_compute_checksum_ipv4(&reset.tcp, &reset.ip);
	memcpy(buffer, &reset, sizeof(reset));
	*ret_length = sizeof(reset);
	return 0;
}

static int make_ipv6(const void *packet, size_t length, char *buffer,
		     size_t *ret_length)
{
	struct {
		struct ip6_hdr ip;
		struct tcphdr tcp;
	} reset;
	struct tcphdr syn_ack;

	if (length < sizeof(reset.ip))
		return REFUSAL_NONE;
	memcpy(&reset.ip, packet, sizeof(reset.ip));
	if (reset.ip.ip6_nxt != IPPROTO_TCP ||
	    !read_syn_ack(packet, length, sizeof(reset.ip), &syn_ack))
		return REFUSAL_NONE;
	reset.tcp = reset_of(&syn_ack);
	reset.ip.ip6_plen = htons(sizeof(reset.tcp));
	nfq_tcp_compute_checksum_ipv6(&reset.tcp, &reset.ip);
	memcpy(buffer, &reset, sizeof(reset));
	*ret_length = sizeof(reset);
	return 0;
}

int refusal_make(const void *packet, size_t length,
		 char buffer[static REFUSAL_SIZE_MAX], size_t *ret_length)
{
	const uint8_t *bytes = packet;

	if (!length)
		return REFUSAL_NONE;
	switch (bytes[0] >> 4) {
	case 4:
		return make_ipv4(packet, length, buffer, ret_length);
	case 6:
		return make_ipv6(packet, length, buffer, ret_length);
	default:
		return REFUSAL_NONE;
	}
}
