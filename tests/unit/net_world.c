#include "tests/unit/net_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "dns/dns_message.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/judge_flow.h"
#include "nfqueue/names/judge_name.h"

struct net_world net_world;

/* ---- the kernel */

static int decide(enum net_world_verdict verdict, uint32_t mark)
{
	net_world.verdict = verdict;
	net_world.mark = mark;
	net_world.verdicts++;
	return 0;
}

int queue_pass(struct queue *queue, const struct queue_packet *packet,
	       uint32_t mark)
{
	(void)queue;
	(void)packet;
	return decide(NET_WORLD_PASS, mark);
}

int queue_drop(struct queue *queue, const struct queue_packet *packet)
{
	(void)queue;
	(void)packet;
	return decide(NET_WORLD_DROP, 0);
}

int queue_replace(struct queue *queue, const struct queue_packet *packet,
		  const void *bytes, size_t length, uint32_t mark)
{
	(void)queue;
	(void)packet;
	assert_true(length <= sizeof(net_world.bytes));
	memcpy(net_world.bytes, bytes, length);
	net_world.length = length;
	return decide(NET_WORLD_REPLACE, mark);
}

int socket_owner_find(struct socket_owner *owner, const struct packet *packet,
		      struct socket_found *ret)
{
	(void)owner;
	(void)packet;
	if (net_world.no_socket)
		return SOCKET_OWNER_NONE;
	*ret = net_world.socket;
	return 0;
}

void socket_owner_process(struct socket_owner *owner,
			  const struct policy *policy, uint32_t account,
			  const struct packet *packet, uint64_t inode, bool all,
			  struct socket_process *ret)
{
	(void)owner;
	(void)policy;
	(void)account;
	(void)packet;
	(void)inode;
	(void)all;
	net_world.searches++;
	*ret = net_world.process;
}

/* ---- the gate */

static struct channel *make_channel(void)
{
	CLEANUP(fd_close) int fd = -1;
	struct channel *channel;

	assert_int_equal(channel_create(1 << 16, &fd), 0);
	assert_int_equal(channel_map(fd, &channel), 0);
	return channel;
}

int net_world_begin(void **state)
{
	struct net_gate *gate = &net_world.gate;
	int ends[2];

	(void)state;
	memset(&net_world, 0, sizeof(net_world));
	made_policy_begin(&net_world.made);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	net_world.dns = ends[1];
	gate->ends.dns = ends[0];
	gate->ends.channel = make_channel();
	gate->ends.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	gate->ends.memory = calloc(1, sizeof(*gate->ends.memory));
	assert_non_null(gate->ends.memory);
	assert_int_equal(streams_new(16384, &gate->clients), 0);
	assert_int_equal(streams_new(131072, &gate->resolvers), 0);
	assert_int_equal(streams_new(131072, &gate->askers), 0);
	assert_int_equal(questions_new(&gate->questions), 0);
	assert_int_equal(name_limits_new(&gate->limits), 0);
	assert_int_equal(dns_asker_new(gate->ends.dns, &gate->asker), 0);
	net_world.socket =
		(struct socket_found){.uid = MADE_POLICY_UID, .inode = 77};
	return 0;
}

void net_world_ready(void)
{
	made_policy_end(&net_world.made, 5);
	net_world.gate.policy = net_world.made.policy;
}

int net_world_end(void **state)
{
	struct net_gate *gate = &net_world.gate;

	(void)state;
	streams_free(gate->clients);
	streams_free(gate->resolvers);
	streams_free(gate->askers);
	questions_free(gate->questions);
	name_limits_free(gate->limits);
	dns_asker_free(gate->asker);
	channel_free(gate->ends.channel);
	free(gate->ends.memory);
	fd_close(gate->ends.wake);
	fd_close(gate->ends.dns);
	fd_close(net_world.dns);
	policy_free(gate->policy);
	return 0;
}

/* ---- packets */

static size_t data_of(const struct net_world_packet *spec)
{
	return spec->length ? spec->length
	       : spec->data ? strlen(spec->data)
			    : 0;
}

static uint32_t ipv4(const char *text, const char *usual)
{
	struct in_addr address;

	assert_int_equal(inet_pton(AF_INET, text ? text : usual, &address), 1);
	return address.s_addr;
}

/* Headers without checksums, which nobody looks at here. */
static size_t make(const struct net_world_packet *spec, char *bytes)
{
	size_t transport =
		spec->udp ? sizeof(struct udphdr) : sizeof(struct tcphdr);
	size_t length = sizeof(struct iphdr) + transport + data_of(spec);
	const struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)length),
		.ttl = 64,
		.protocol = spec->udp ? IPPROTO_UDP : IPPROTO_TCP,
		.saddr = ipv4(spec->from, NET_WORLD_HERE),
		.daddr = ipv4(spec->to, NET_WORLD_HOST),
	};
	const uint16_t from = htons(spec->from_port ? spec->from_port : 40000);
	const uint16_t to = htons(spec->to_port ? spec->to_port : 443);
	const struct udphdr udp = {
		.source = from,
		.dest = to,
		.len = htons((uint16_t)(transport + data_of(spec))),
	};
	struct tcphdr tcp = {
		.source = from,
		.dest = to,
		.seq = htonl(spec->sequence),
		.doff = sizeof(tcp) / 4,
	};

	tcp.th_flags = spec->flags;
	memcpy(bytes, &ip, sizeof(ip));
	memcpy(bytes + sizeof(ip), spec->udp ? (const void *)&udp : &tcp,
	       transport);
	if (data_of(spec))
		memcpy(bytes + sizeof(ip) + transport, spec->data,
		       data_of(spec));
	return length;
}

struct packet net_world_parse(const struct net_world_packet *spec)
{
	static char bytes[4096];
	size_t length = make(spec, bytes);
	struct packet packet;

	assert_int_equal(packet_parse(bytes, length, &packet), 0);
	return packet;
}

enum net_world_verdict net_world_send(const struct net_world_packet *spec)
{
	char bytes[4096];
	const struct queue_packet queued = {
		.id = ++net_world.packets,
		.queue = spec->queue ? spec->queue : NET_QUEUE_OUT,
		.mark = NET_WORLD_MARK | NET_MARK_STALE,
		.has_uid = spec->uid != 0,
		.uid = spec->uid,
		.is_to_be_cut = spec->is_to_be_cut,
		.payload = bytes,
		.payload_length = make(spec, bytes),
	};

	net_world.verdict = NET_WORLD_NONE;
	if (queued.queue == NET_QUEUE_DNS)
		judge_name_answer(&net_world.gate, &queued);
	else
		judge_flow_packet(&net_world.gate, &queued);
	return net_world.verdict;
}

/* ---- leash-dns and the store */

static void answer_as_leash_dns(const char *bytes, size_t length)
{
	static struct dns_link_told told;
	struct dns_link_ask ask;

	memcpy(&ask, bytes, sizeof(ask));
	memset(&told, 0, sizeof(told));
	told.outcome = DNS_LINK_UNDERSTOOD;
	if (dns_message_read(bytes + sizeof(ask), length - sizeof(ask),
			     ask.kind, &told))
		told = (struct dns_link_told){.outcome = DNS_LINK_MALFORMED};
	told.number = ask.number;
	length = offsetof(struct dns_link_told, records) +
		 told.count * sizeof(told.records[0]);
	assert_int_equal(send(net_world.dns, &told, length, 0), length);
}

enum net_world_verdict net_world_tell(void)
{
	char bytes[8192];
	ssize_t n;

	net_world.verdict = NET_WORLD_NONE;
	while ((n = recv(net_world.dns, bytes, sizeof(bytes), MSG_DONTWAIT)) >
	       0)
		answer_as_leash_dns(bytes, (size_t)n);
	assert_int_equal(judge_name_told(&net_world.gate), 0);
	return net_world.verdict;
}

bool net_world_record(struct record *ret)
{
	const void *bytes;
	size_t length;

	if (channel_peek(net_world.gate.ends.channel, &net_world.read, &bytes,
			 &length))
		return false;
	assert_int_equal(record_decode(bytes, length, ret), 0);
	return true;
}

static size_t put_name(const char *name, uint8_t *ret)
{
	size_t at = 0;

	while (*name) {
		size_t length = strcspn(name, ".");

		ret[at++] = (uint8_t)length;
		memcpy(ret + at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	ret[at++] = 0;
	return at;
}

size_t net_world_question(const char *name, uint16_t type, uint8_t *ret)
{
	static const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
	size_t at = sizeof(head);

	memcpy(ret, head, sizeof(head));
	at += put_name(name, ret + at);
	ret[at++] = (uint8_t)(type >> 8);
	ret[at++] = (uint8_t)type;
	ret[at++] = 0;
	ret[at++] = 1;
	return at;
}

size_t net_world_answer(const char *name, const char *address, uint32_t ttl_s,
			uint8_t *ret)
{
	size_t at = net_world_question(name, 1, ret);
	const uint8_t record[] = {0xc0,
				  12,
				  0,
				  1,
				  0,
				  1,
				  (uint8_t)(ttl_s >> 24),
				  (uint8_t)(ttl_s >> 16),
				  (uint8_t)(ttl_s >> 8),
				  (uint8_t)ttl_s,
				  0,
				  4};
	uint32_t bytes = ipv4(address, NULL);

	ret[2] = 0x81; /* an answer */
	ret[3] = 0x80;
	ret[7] = 1;
	memcpy(ret + at, record, sizeof(record));
	memcpy(ret + at + sizeof(record), &bytes, sizeof(bytes));
	return at + sizeof(record) + sizeof(bytes);
}
