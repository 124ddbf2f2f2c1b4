#include "nfqueue/packets/bare_syn.h"

#include <arpa/inet.h>
#include <libnetfilter_queue/libnetfilter_queue_ipv4.h>
#include <libnetfilter_queue/libnetfilter_queue_tcp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

/* Where TCP's header begins, which ends where its data began. */
static struct tcphdr *find_tcp(char *made, size_t head,
			       const struct packet *packet)
{
	return (struct tcphdr *)(made + head - packet->header_length);
}

int bare_syn_make(const void *bytes, const struct packet *packet,
		  char buffer[static BARE_SYN_SIZE_MAX], size_t *ret_length)
{
	/* Headers want to be aligned. */
	_Alignas(8) char made[BARE_SYN_SIZE_MAX];
	size_t head = (size_t)(packet->data - (const uint8_t *)bytes);
	struct ip6_hdr *ipv6 = (struct ip6_hdr *)made;
	struct iphdr *ipv4 = (struct iphdr *)made;

	if (head > sizeof(made))
		return BARE_SYN_TOO_LONG;
	memcpy(made, bytes, head);
	if (packet->is_ipv6) {
		ipv6->ip6_plen = htons((uint16_t)(head - sizeof(*ipv6)));
		nfq_tcp_compute_checksum_ipv6(find_tcp(made, head, packet),
					      ipv6);
	} else {
		ipv4->tot_len = htons((uint16_t)head);
		nfq_ip_set_checksum(ipv4);
		nfq_tcp_compute_checksum_ipv4(find_tcp(made, head, packet),
					      ipv4);
	}
	memcpy(buffer, made, head);
	*ret_length = head;
	return 0;
}

int bare_syn_pass(struct queue *queue, const struct queue_packet *queued,
		  const struct packet *packet, uint32_t mark)
{
	char bare[BARE_SYN_SIZE_MAX];
	size_t length;

	if (bare_syn_make(queued->payload, packet, bare, &length))
		return queue_drop(queue, queued);
	return queue_replace(queue, queued, bare, length, mark);
}
