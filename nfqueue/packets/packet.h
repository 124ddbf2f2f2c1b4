#pragma once

/*
 * packet - what an outbound packet says of itself
 *
 * Pure: bytes in, addresses and ports out.  The packet begins at its IP
 * header and may be cut short by the queue's copy range, which is larger than
 * all headers that are understood here.
 *
 * What is not plainly understood is no packet at all, and so is denied: a
 * fragment (conntrack has put together what can be), an IPv6 routing header
 * that leads elsewhere than to the address shown, encrypted or unknown
 * protocols, headers cut short or in a chain without end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

/* How much of a packet is needed: all, since its data may say a name. */
#define PACKET_COPY_BYTES 0xffff

struct packet {
	struct policy_address source; /* IPv4 as IPv4-mapped */
	struct policy_address destination;
	uint32_t protocol; /* enum policy_protocol */
	uint8_t ip_protocol;
	bool is_ipv6;
	uint16_t source_port; /* 0 where the protocol has none */
	uint16_t destination_port;
	/* TCP and UDP */
	size_t transport; /* where their header is, in what was parsed */
	uint32_t sequence;
	uint32_t acknowledged;
	bool is_syn; /* the first packet of a connection */
	bool is_syn_ack;
	bool is_end;	      /* FIN or RST */
	bool is_urgent;	      /* a byte of this or a later one is urgent */
	size_t header_length; /* of TCP, options and all */
	const uint8_t *data;  /* into what was parsed */
	size_t data_length;
	bool data_is_cut; /* there was more than could be parsed */
};

/* Expected outcome. */
enum {
	PACKET_NOT_UNDERSTOOD = 1,
};

/* On PACKET_NOT_UNDERSTOOD, the addresses are set where they are known. */
MUST_CHECK int packet_parse(const void *bytes, size_t length,
			    struct packet *ret);

#define PACKET_TEXT_MAX 80

/* "192.0.2.1", "2001:db8::1"; "" for an address that is not known. */
void packet_address_text(const struct policy_address *address,
			 char ret[static PACKET_TEXT_MAX]);

/* "tcp 192.0.2.1:443", "tcp [2001:db8::1]:443", "icmp 2001:db8::1", "?". */
void packet_peer_text(uint32_t protocol, const char *address, uint16_t port,
		      char ret[static PACKET_TEXT_MAX]);
