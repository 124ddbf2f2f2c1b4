/*
 * empty_queue - what any NFQUEUE costs: answers accept and knows nothing
 *
 *   empty_queue NUMBER
 */

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static struct mnl_socket *netlink;
static char buffer[0xffff + 4096], answer[1024];

static void send_message(const struct nlmsghdr *message)
{
	if (mnl_socket_sendto(netlink, message, message->nlmsg_len) < 0) {
		perror("netlink");
		exit(1);
	}
}

static int accept_packet(const struct nlmsghdr *message, void *context)
{
	struct nlattr *attributes[NFQA_MAX + 1] = {NULL};
	const struct nfgenmsg *family = mnl_nlmsg_get_payload(message);
	const struct nfqnl_msg_packet_hdr *header;
	struct nlmsghdr *verdict;

	(void)context;
	if (nfq_nlmsg_parse(message, attributes) < 0 ||
	    !attributes[NFQA_PACKET_HDR])
		return MNL_CB_OK;
	header = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
	verdict =
		nfq_nlmsg_put(answer, NFQNL_MSG_VERDICT, ntohs(family->res_id));
	nfq_nlmsg_verdict_put(verdict, (int)ntohl(header->packet_id),
			      NF_ACCEPT);
	send_message(verdict);
	return MNL_CB_OK;
}

int main(int argc, char **argv)
{
	struct nlmsghdr *message;
	uint16_t number;

	if (argc != 2)
		return 2;
	number = (uint16_t)atoi(argv[1]);
	netlink = mnl_socket_open(NETLINK_NETFILTER);
	if (!netlink || mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0) {
		perror("netlink");
		return 1;
	}
	message = nfq_nlmsg_put(answer, NFQNL_MSG_CONFIG, number);
	nfq_nlmsg_cfg_put_cmd(message, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	send_message(message);
	message = nfq_nlmsg_put(answer, NFQNL_MSG_CONFIG, number);
	nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_PACKET, 512);
	mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO));
	mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO));
	send_message(message);
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n =
			mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));

		if (n > 0)
			mnl_cb_run(buffer, (size_t)n, 0, 0, accept_packet,
				   NULL);
	}
}
