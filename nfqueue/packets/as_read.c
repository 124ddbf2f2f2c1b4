#include "nfqueue/packets/as_read.h"

#include <libnetfilter_queue/libnetfilter_queue_tcp.h>
#include <libnetfilter_queue/libnetfilter_queue_udp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

static void complete_tcp(void *ip, struct tcphdr *tcp, bool is_ipv6)
{
	if (is_ipv6)
		nfq_tcp_compute_checksum_ipv6(tcp, ip);
	else
		nfq_tcp_compute_checksum_ipv4(tcp, ip);
}

static void complete_udp(void *ip, struct udphdr *udp, bool is_ipv6)
{
	if (is_ipv6)
		nfq_udp_compute_checksum_ipv6(udp, ip);
	else
		nfq_udp_compute_checksum_ipv4(udp, ip);
	/*
	 * A checksum of 0 means "none" in UDP, which IPv6 forbids (RFC 8200,
	 * 8.1).
	 */
	if (!udp->check)
		udp->check = 0xffff;
}

/* A datagram that is yet to be cut has a checksum for each part. */
static bool is_whole(const struct queue_packet *queued,
		     const struct packet *packet)
{
	return !packet->data_is_cut &&
	       queued->payload_length <= PACKET_COPY_BYTES &&
	       (packet->protocol == POLICY_PROTOCOL_TCP ||
		(packet->protocol == POLICY_PROTOCOL_UDP &&
		 !queued->is_to_be_cut));
}

int as_read_pass(struct queue *queue, const struct queue_packet *queued,
		 const struct packet *packet, uint32_t mark)
{
	_Alignas(8) char copy[PACKET_COPY_BYTES];
	char *transport = copy + packet->transport;
	bool is_tcp = packet->protocol == POLICY_PROTOCOL_TCP;

	if (!is_whole(queued, packet))
		return queue_pass(queue, queued, mark);
	memcpy(copy, queued->payload, queued->payload_length);
	/*
	 * The checksum must be complete: the device, which might have been
	 * asked to fill it in, is not asked for a packet that is replaced.
	 */
	if (is_tcp)
		complete_tcp(copy, (struct tcphdr *)transport, packet->is_ipv6);
	else
		complete_udp(copy, (struct udphdr *)transport, packet->is_ipv6);
	return queue_replace(queue, queued, copy, queued->payload_length, mark);
}
