#include "nfqueue/packets/packet.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#define EXTENSIONS_MAX 8
#define SCTP_HEADER    12
#define AH_UNIT	       4 /* an authentication header counts in words */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The rest of a packet, behind what has been read of it. */
struct rest {
	const uint8_t *begin; /* of the packet */
	const uint8_t *at;
	size_t left;
	bool is_cut; /* there is more than we were given */
};

/* Leave out what follows the packet; note what of it is missing. */
static void fit(struct rest *rest, size_t length)
{
	/* A packet too large for its length field says 0. */
	if (length && length < rest->left)
		rest->left = length;
	rest->is_cut = length > rest->left;
}

static bool take(struct rest *rest, size_t length)
{
	if (rest->left < length)
		return false;
	rest->at += length;
	rest->left -= length;
	return true;
}

static void map_ipv4(const void *ipv4, struct policy_address *ret)
{
	memcpy(ret->bytes, mapped, sizeof(mapped));
	memcpy(ret->bytes + sizeof(mapped), ipv4, 4);
}

static int parse_ports(const struct rest *rest, size_t header_size,
		       struct packet *ret)
{
	uint16_t ports[2];

	if (rest->left < header_size)
		return PACKET_NOT_UNDERSTOOD;
	ret->transport = (size_t)(rest->at - rest->begin);
	memcpy(ports, rest->at, sizeof(ports));
	ret->source_port = ntohs(ports[0]);
	ret->destination_port = ntohs(ports[1]);
	return 0;
}

static int parse_tcp(const struct rest *rest, struct packet *ret)
{
	struct rest data = *rest;
	struct tcphdr header;
	int r = parse_ports(rest, sizeof(header), ret);

	if (r)
		return r;
	memcpy(&header, rest->at, sizeof(header));
	if (header.doff * 4U < sizeof(header) || !take(&data, header.doff * 4U))
		return PACKET_NOT_UNDERSTOOD;
	ret->sequence = ntohl(header.seq);
	ret->acknowledged = ntohl(header.ack_seq);
	ret->is_syn = header.syn && !header.ack && !header.rst && !header.fin;
	ret->is_syn_ack = header.syn && header.ack && !header.rst;
	ret->is_end = header.fin || header.rst;
	ret->is_urgent = header.urg;
	ret->header_length = header.doff * 4U;
	ret->data = data.at;
	ret->data_length = data.left;
	ret->data_is_cut = data.is_cut;
	return 0;
}

static int parse_udp(const struct rest *rest, struct packet *ret)
{
	struct rest data = *rest;
	struct udphdr header;
	size_t length;
	int r = parse_ports(rest, sizeof(header), ret);

	if (r)
		return r;
	memcpy(&header, rest->at, sizeof(header));
	length = ntohs(header.len);
	/* Its receiver goes by this length: it must be that of the packet. */
	if (length < sizeof(header) || length < rest->left ||
	    (length > rest->left && !rest->is_cut))
		return PACKET_NOT_UNDERSTOOD;
	take(&data, sizeof(header));
	ret->data = data.at;
	ret->data_length = data.left;
	ret->data_is_cut = data.is_cut;
	return 0;
}

static int parse_transport(const struct rest *rest, struct packet *ret)
{
	switch (ret->ip_protocol) {
	case IPPROTO_TCP:
		ret->protocol = POLICY_PROTOCOL_TCP;
		return parse_tcp(rest, ret);
	case IPPROTO_UDP:
		ret->protocol = POLICY_PROTOCOL_UDP;
		return parse_udp(rest, ret);
	case IPPROTO_UDPLITE:
		ret->protocol = POLICY_PROTOCOL_UDPLITE;
		return parse_ports(rest, sizeof(struct udphdr), ret);
	case IPPROTO_SCTP:
		ret->protocol = POLICY_PROTOCOL_SCTP;
		return parse_ports(rest, SCTP_HEADER, ret);
	case IPPROTO_ICMP:
		ret->protocol = POLICY_PROTOCOL_ICMP;
		return !ret->is_ipv6 && rest->left >= ICMP_MINLEN
			       ? 0
			       : PACKET_NOT_UNDERSTOOD;
	case IPPROTO_ICMPV6:
		ret->protocol = POLICY_PROTOCOL_ICMP;
		return ret->is_ipv6 && rest->left >= sizeof(struct icmp6_hdr)
			       ? 0
			       : PACKET_NOT_UNDERSTOOD;
	default:
		return PACKET_NOT_UNDERSTOOD;
	}
}

static int parse_ipv4(struct rest rest, struct packet *ret)
{
	struct iphdr header;

	if (rest.left < sizeof(header))
		return PACKET_NOT_UNDERSTOOD;
	memcpy(&header, rest.at, sizeof(header));
	map_ipv4(&header.saddr, &ret->source);
	map_ipv4(&header.daddr, &ret->destination);
	ret->ip_protocol = header.protocol;
	fit(&rest, ntohs(header.tot_len));
	if (header.ihl * 4U < sizeof(header) ||
	    (ntohs(header.frag_off) & (IP_MF | IP_OFFMASK)) ||
	    !take(&rest, header.ihl * 4U))
		return PACKET_NOT_UNDERSTOOD;
	/* Source routing: the address shown is not where it ends. */
	for (size_t i = sizeof(header); i < header.ihl * 4U;) {
		const uint8_t *option = rest.at - header.ihl * 4U + i;
		size_t room = header.ihl * 4U - i;

		if (option[0] == IPOPT_EOL)
			break;
		if (option[0] == IPOPT_LSRR || option[0] == IPOPT_SSRR)
			return PACKET_NOT_UNDERSTOOD;
		if (option[0] == IPOPT_NOP) {
			i++;
			continue;
		}
		if (room < 2 || option[1] < 2 || option[1] > room)
			return PACKET_NOT_UNDERSTOOD;
		i += option[1];
	}
	return parse_transport(&rest, ret);
}

/* Step over one extension header.  False: it says something we do not know. */
static bool step_over(struct rest *rest, uint8_t *next)
{
	struct ip6_frag fragment;
	uint8_t kind = *next;
	size_t length;

	if (rest->left < 8)
		return false;
	*next = rest->at[0];
	length = (rest->at[1] + 1U) * 8;
	switch (kind) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
		return take(rest, length);
	case IPPROTO_ROUTING:
		/* Segments left: it goes on from the address shown. */
		return rest->at[3] == 0 && take(rest, length);
	case IPPROTO_AH:
		return take(rest, (rest->at[1] + 2U) * AH_UNIT);
	case IPPROTO_FRAGMENT:
		memcpy(&fragment, rest->at, sizeof(fragment));
		/*
		 * An "atomic fragment" (RFC 6946) is a whole packet; any other
		 * is a part.
		 */
		return !(fragment.ip6f_offlg &
			 (IP6F_OFF_MASK | IP6F_MORE_FRAG)) &&
		       take(rest, sizeof(fragment));
	default:
		return false;
	}
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_ROUTING || next == IPPROTO_AH ||
	       next == IPPROTO_FRAGMENT;
}

static int parse_ipv6(struct rest rest, struct packet *ret)
{
	struct ip6_hdr header;

	if (rest.left < sizeof(header))
		return PACKET_NOT_UNDERSTOOD;
	memcpy(&header, rest.at, sizeof(header));
	memcpy(ret->source.bytes, &header.ip6_src, sizeof(ret->source));
	memcpy(ret->destination.bytes, &header.ip6_dst,
	       sizeof(ret->destination));
	ret->is_ipv6 = true;
	ret->ip_protocol = header.ip6_nxt;
	take(&rest, sizeof(header));
	fit(&rest, ntohs(header.ip6_plen));
	for (int i = 0; is_extension(ret->ip_protocol); i++)
		if (i == EXTENSIONS_MAX || !step_over(&rest, &ret->ip_protocol))
			return PACKET_NOT_UNDERSTOOD;
	return parse_transport(&rest, ret);
}

int packet_parse(const void *bytes, size_t length, struct packet *ret)
{
	const struct rest all = {bytes, bytes, length, false};

	*ret = (struct packet){.protocol = 0};
	if (!length)
		return PACKET_NOT_UNDERSTOOD;
	switch (all.at[0] >> 4) {
	case 4:
		return parse_ipv4(all, ret);
	case 6:
		return parse_ipv6(all, ret);
	default:
		return PACKET_NOT_UNDERSTOOD;
	}
}

void packet_address_text(const struct policy_address *address,
			 char ret[static PACKET_TEXT_MAX])
{
	static const struct policy_address none;

	ret[0] = '\0';
	if (!memcmp(address->bytes, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, address->bytes + sizeof(mapped), ret,
			  PACKET_TEXT_MAX);
	else if (memcmp(address, &none, sizeof(none)))
		inet_ntop(AF_INET6, address->bytes, ret, PACKET_TEXT_MAX);
}

void packet_peer_text(uint32_t protocol, const char *address, uint16_t port,
		      char ret[static PACKET_TEXT_MAX])
{
	const char *word = policy_protocol_word(protocol);

	if (port)
		snprintf(ret, PACKET_TEXT_MAX,
			 strchr(address, ':') ? "%s [%.45s]:%u" : "%s %.45s:%u",
			 word, address, port);
	else
		snprintf(ret, PACKET_TEXT_MAX, "%s%s%.45s", word,
			 *address ? " " : "", address);
}
