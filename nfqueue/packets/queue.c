#include "nfqueue/packets/queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <string.h>
#include <sys/socket.h>

/* Netlink headers and attributes around a packet's copy. */
#define OVERHEAD_BYTES	     1024
#define RECEIVE_BUFFER_BYTES (8 << 20)

struct queue {
	struct mnl_socket *socket; /* owned */
	unsigned int portid;
	/* The room of netlink messages, which are read and written in place. */
	_Alignas(struct nlmsghdr) char request[0xffff + OVERHEAD_BYTES];
	_Alignas(struct nlmsghdr) char buffer[0xffff + OVERHEAD_BYTES];
};

static void set_up_socket(struct queue *queue)
{
	int fd = mnl_socket_get_fd(queue->socket);
	int bytes = RECEIVE_BUFFER_BYTES, one = 1;

	/*
	 * A packet that finds no room is dropped and counted by the kernel
	 * either way; to be told by ENOBUFS would only cost a receive.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
}

int queue_new(struct queue **ret)
{
	CLEANUP(queue_free) struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return -ENOMEM;
	queue->socket = mnl_socket_open2(NETLINK_NETFILTER,
					 SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!queue->socket ||
	    mnl_socket_bind(queue->socket, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	queue->portid = mnl_socket_get_portid(queue->socket);
	set_up_socket(queue);
	*ret = STEAL(queue);
	return 0;
}

struct queue *queue_free(struct queue *queue)
{
	if (queue && queue->socket)
		mnl_socket_close(queue->socket);
	free(queue);
	return NULL;
}

int queue_fd(const struct queue *queue)
{
	return mnl_socket_get_fd(queue->socket);
}

/*
 * Send a request that the kernel acknowledges at once, while it is sent: the
 * answer is there when sending returns.  Packets that come first are not
 * answered; a queue is bound before anything is sent to it.
 */
static int request(struct queue *queue, struct nlmsghdr *message)
{
	ssize_t n;

	message->nlmsg_flags |= NLM_F_ACK;
	message->nlmsg_seq = 1;
	if (mnl_socket_sendto(queue->socket, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		const struct nlmsghdr *answer = (const void *)queue->buffer;

		n = mnl_socket_recvfrom(queue->socket, queue->buffer,
					sizeof(queue->buffer));
		if (n < 0)
			return -errno;
		if (answer->nlmsg_type == NLMSG_ERROR)
			return mnl_cb_run(queue->buffer, (size_t)n, 1,
					  queue->portid, NULL, NULL) < 0
				       ? -errno
				       : 0;
	} while (n > 0);
	return -EPROTO;
}

int queue_bind(struct queue *queue, uint16_t number, uint32_t copy_bytes)
{
	const uint32_t flags = NFQA_CFG_F_GSO | NFQA_CFG_F_UID_GID;
	struct nlmsghdr *message;
	int r;

	message = nfq_nlmsg_put(queue->request, NFQNL_MSG_CONFIG, number);
	nfq_nlmsg_cfg_put_cmd(message, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	r = request(queue, message);
	if (r == -EBUSY || r == -EPERM)
		return QUEUE_TAKEN;
	if (r)
		return r;

	message = nfq_nlmsg_put(queue->request, NFQNL_MSG_CONFIG, number);
	nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_PACKET, (int)copy_bytes);
	mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(flags));
	mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(flags));
	mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN,
			 htonl(QUEUE_LENGTH_MAX));
	return request(queue, message);
}

/* Each attribute that is used, checked for its size. */
static int take_attribute(const struct nlattr *attribute, void *context)
{
	static const uint16_t sizes[NFQA_MAX + 1] = {
		[NFQA_PACKET_HDR] = sizeof(struct nfqnl_msg_packet_hdr),
		[NFQA_MARK] = sizeof(uint32_t),
		[NFQA_UID] = sizeof(uint32_t),
		[NFQA_SKB_INFO] = sizeof(uint32_t),
	};
	const struct nlattr **attributes = context;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type > NFQA_MAX)
		return MNL_CB_OK;
	if (mnl_attr_get_payload_len(attribute) < sizes[type])
		return MNL_CB_ERROR;
	attributes[type] = attribute;
	return MNL_CB_OK;
}

static int read_message(const struct nlmsghdr *message,
			struct queue_packet *ret)
{
	const struct nlattr *attributes[NFQA_MAX + 1] = {NULL};
	const struct nfqnl_msg_packet_hdr *header;
	const struct nfgenmsg *family;

	if (message->nlmsg_type !=
		    (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*family) ||
	    /* mnl_attr_parse() reads on to where padding would end. */
	    mnl_attr_parse_payload(
		    (const char *)mnl_nlmsg_get_payload(message) +
			    sizeof(*family),
		    mnl_nlmsg_get_payload_len(message) - sizeof(*family),
		    take_attribute, attributes) < 0 ||
	    !attributes[NFQA_PACKET_HDR])
		return QUEUE_MALFORMED;
	family = mnl_nlmsg_get_payload(message);
	header = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
	*ret = (struct queue_packet){
		.id = ntohl(header->packet_id),
		.queue = ntohs(family->res_id),
	};
	if (attributes[NFQA_MARK])
		ret->mark = ntohl(mnl_attr_get_u32(attributes[NFQA_MARK]));
	if (attributes[NFQA_UID]) {
		ret->has_uid = true;
		ret->uid = ntohl(mnl_attr_get_u32(attributes[NFQA_UID]));
	}
	if (attributes[NFQA_SKB_INFO])
		ret->is_to_be_cut =
			ntohl(mnl_attr_get_u32(attributes[NFQA_SKB_INFO])) &
			NFQA_SKB_GSO;
	if (attributes[NFQA_PAYLOAD]) {
		ret->payload = mnl_attr_get_payload(attributes[NFQA_PAYLOAD]);
		ret->payload_length =
			mnl_attr_get_payload_len(attributes[NFQA_PAYLOAD]);
	}
	return 0;
}

int queue_parse(const void *bytes, size_t length, struct queue_packet *ret)
{
	const struct nlmsghdr *message = bytes;

	/* libmnl takes a length over 2 GiB for a negative one and allows it. */
	if (length < sizeof(*message) || message->nlmsg_len > length ||
	    !mnl_nlmsg_ok(message, (int)length))
		return QUEUE_MALFORMED;
	return read_message(message, ret);
}

int queue_receive(struct queue *queue, struct queue_packet *ret)
{
	ssize_t n = mnl_socket_recvfrom(queue->socket, queue->buffer,
					sizeof(queue->buffer));

	if (n < 0) {
		switch (errno) {
		case EAGAIN:
		case EINTR:
			return QUEUE_EMPTY;
		case ENOBUFS:
			return QUEUE_LOST;
		case ENOSPC: /* larger than the buffer, which holds all */
			return QUEUE_MALFORMED;
		default:
			return -errno;
		}
	}
	return queue_parse(queue->buffer, (size_t)n, ret);
}

static int send_verdict(struct queue *queue, const struct nlmsghdr *message)
{
	return mnl_socket_sendto(queue->socket, message, message->nlmsg_len) < 0
		       ? -errno
		       : 0;
}

int queue_pass(struct queue *queue, const struct queue_packet *packet,
	       uint32_t mark)
{
	struct nlmsghdr *message =
		nfq_nlmsg_put(queue->request, NFQNL_MSG_VERDICT, packet->queue);

	nfq_nlmsg_verdict_put(message, (int)packet->id, NF_ACCEPT);
	nfq_nlmsg_verdict_put_mark(message, mark);
	return send_verdict(queue, message);
}

int queue_drop(struct queue *queue, const struct queue_packet *packet)
{
	struct nlmsghdr *message =
		nfq_nlmsg_put(queue->request, NFQNL_MSG_VERDICT, packet->queue);

	nfq_nlmsg_verdict_put(message, (int)packet->id, NF_DROP);
	return send_verdict(queue, message);
}

int queue_replace(struct queue *queue, const struct queue_packet *packet,
		  const void *bytes, size_t length, uint32_t mark)
{
	struct nlmsghdr *message =
		nfq_nlmsg_put(queue->request, NFQNL_MSG_VERDICT, packet->queue);

	if (length > sizeof(queue->request) - OVERHEAD_BYTES)
		return -EMSGSIZE;
	nfq_nlmsg_verdict_put(message, (int)packet->id, NF_ACCEPT);
	nfq_nlmsg_verdict_put_mark(message, mark);
	nfq_nlmsg_verdict_put_pkt(message, bytes, (uint32_t)length);
	return send_verdict(queue, message);
}
