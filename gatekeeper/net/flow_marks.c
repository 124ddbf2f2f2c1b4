/*
 * One netlink socket tells all flows, another one changes those with a mark of
 * ours, by the addresses they began with.
 */

#include "gatekeeper/net/flow_marks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>

#include "gatekeeper/wire/net_queue.h"

#define FLOW_SIZE_MAX 1024 /* a request about one flow */
#define SEQUENCE      1
#define TIMEOUT_S     5 /* the kernel answers while it is asked */

struct flow_marks {
	struct mnl_socket *all;	   /* owned */
	struct mnl_socket *change; /* owned */
	int changed;
};

static struct mnl_socket *open_socket(void)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct mnl_socket *opened =
		mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	if (!opened)
		return NULL;
	if (mnl_socket_bind(opened, 0, MNL_SOCKET_AUTOPID) ||
	    setsockopt(mnl_socket_get_fd(opened), SOL_SOCKET, SO_RCVTIMEO,
		       &timeout, sizeof(timeout))) {
		int error = errno;

		mnl_socket_close(opened);
		errno = error;
		return NULL;
	}
	return opened;
}

static struct nlmsghdr *put_header(void *buffer, uint16_t type, uint16_t flags,
				   uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *body;

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = SEQUENCE;
	body = mnl_nlmsg_put_extra_header(message, sizeof(*body));
	*body = (struct nfgenmsg){.nfgen_family = family,
				  .version = NFNETLINK_V0};
	return message;
}

/* 0, or what the kernel answers. */
static int send_change(struct mnl_socket *to, const struct nlmsghdr *message)
{
	_Alignas(struct nlmsghdr) char buffer[FLOW_SIZE_MAX];
	ssize_t n;

	if (mnl_socket_sendto(to, message, message->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(to, buffer, sizeof(buffer));
	if (n < 0)
		return -errno;
	return mnl_cb_run(buffer, (size_t)n, SEQUENCE,
			  mnl_socket_get_portid(to), NULL, NULL) < 0
		       ? -errno
		       : 0;
}

static int take_attribute(const struct nlattr *attribute, void *context)
{
	const struct nlattr **attributes = context;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type <= CTA_MAX)
		attributes[type] = attribute;
	return MNL_CB_OK;
}

static void copy_attribute(struct nlmsghdr *message,
			   const struct nlattr *attribute)
{
	if (attribute)
		mnl_attr_put(message, attribute->nla_type,
			     mnl_attr_get_payload_len(attribute),
			     mnl_attr_get_payload(attribute));
}

static int take_flow(const struct nlmsghdr *flow, void *context)
{
	const struct nlattr *attributes[CTA_MAX + 1] = {NULL};
	const struct nfgenmsg *body = mnl_nlmsg_get_payload(flow);
	struct flow_marks *marks = context;
	_Alignas(struct nlmsghdr) char buffer[FLOW_SIZE_MAX];
	struct nlmsghdr *message;
	uint32_t mark;
	int r;

	if (mnl_nlmsg_get_payload_len(flow) < sizeof(*body) ||
	    mnl_attr_parse(flow, sizeof(*body), take_attribute, attributes) < 0)
		return MNL_CB_ERROR;
	if (!attributes[CTA_MARK] || !attributes[CTA_TUPLE_ORIG] ||
	    mnl_attr_get_payload_len(attributes[CTA_MARK]) < sizeof(mark) ||
	    flow->nlmsg_len > FLOW_SIZE_MAX / 2)
		return MNL_CB_OK;
	mark = ntohl(mnl_attr_get_u32(attributes[CTA_MARK])) & NET_MARK_MASK;
	if (!mark || mark == NET_MARK_STALE)
		return MNL_CB_OK;
	message = put_header(buffer, IPCTNL_MSG_CT_NEW, NLM_F_ACK,
			     body->nfgen_family);
	copy_attribute(message, attributes[CTA_TUPLE_ORIG]);
	copy_attribute(message, attributes[CTA_ZONE]);
	mnl_attr_put_u32(message, CTA_MARK, htonl(NET_MARK_STALE));
	mnl_attr_put_u32(message, CTA_MARK_MASK, htonl(NET_MARK_MASK));
	r = send_change(marks->change, message);
	if (r == -ENOENT)
		return MNL_CB_OK; /* it has ended meanwhile */
	errno = -r;
	marks->changed++;
	return r ? MNL_CB_ERROR : MNL_CB_OK;
}

static int look_at_all(struct flow_marks *marks)
{
	_Alignas(struct nlmsghdr) char buffer[16384];
	unsigned int portid = mnl_socket_get_portid(marks->all);
	struct nlmsghdr *message =
		put_header(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
	int r;

	if (mnl_socket_sendto(marks->all, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t n =
			mnl_socket_recvfrom(marks->all, buffer, sizeof(buffer));

		if (n < 0)
			return -errno;
		errno = EBADMSG;
		r = mnl_cb_run(buffer, (size_t)n, SEQUENCE, portid, take_flow,
			       marks);
		if (r < 0)
			return -errno;
	} while (r > MNL_CB_STOP);
	return 0;
}

int flow_marks_make_stale(void)
{
	struct flow_marks marks = {.all = open_socket(),
				   .change = open_socket()};
	int r = marks.all && marks.change ? look_at_all(&marks) : -errno;

	if (marks.all)
		mnl_socket_close(marks.all);
	if (marks.change)
		mnl_socket_close(marks.change);
	return r ? r : marks.changed;
}
