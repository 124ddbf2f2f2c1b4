#pragma once

/*
 * net_world - a net gate, and what is around it, as a test says it is
 *
 * The kernel's queue takes verdicts and remembers the last; sock_diag knows
 * one socket and one process; leash-dns reads what it is asked when it is told
 * to; the log is a channel that is read here.  All else is the gate's own.
 */

#include <netinet/tcp.h>

#include "gatekeeper/wire/record.h"
#include "nfqueue/gate_asked.h"
#include "nfqueue/gate_state.h"
#include "tests/unit/made_policy.h"

#define NET_WORLD_MARK	   UINT32_C(0x00123456) /* others' part of a mark */
#define NET_WORLD_HERE	   "10.0.0.1"
#define NET_WORLD_RESOLVER "10.0.0.53"
#define NET_WORLD_HOST	   "192.0.2.7"

enum net_world_verdict {
	NET_WORLD_NONE, /* the packet waits */
	NET_WORLD_PASS,
	NET_WORLD_REPLACE,
	NET_WORLD_DROP,
};

struct net_world {
	struct net_gate gate;
	struct made_policy made;
	/* What the kernel knows. */
	bool no_socket;
	struct socket_found socket;
	struct socket_process process;
	int searches; /* for processes */
	/* What it was told last, and how often. */
	enum net_world_verdict verdict;
	uint32_t mark;
	char bytes[2048]; /* of a packet that was replaced */
	size_t length;
	int verdicts;
	/* Ours. */
	int dns;       /* leash-dns's end */
	uint64_t read; /* of the channel */
	uint32_t packets;
};

extern struct net_world net_world;

/* A packet of puppy's, unless said otherwise; 0 and NULL are the usual. */
struct net_world_packet {
	uint16_t queue;
	const char *from, *to; /* addresses */
	uint16_t from_port, to_port;
	bool udp;
	uint8_t flags; /* of TCP */
	uint32_t sequence;
	const void *data;
	size_t length; /* 0: data is a text, or there is none */
	uint32_t uid;  /* of the socket; 0: the kernel does not say */
	bool is_to_be_cut;
};

/* Begin and end; the policy is made by the test in between. */
int net_world_begin(void **state);
void net_world_ready(void);
int net_world_end(void **state);

/* Hand the packet to the gate; what the kernel is told at once. */
enum net_world_verdict net_world_send(const struct net_world_packet *spec);

/* The same packet, as the gate reads it. */
struct packet net_world_parse(const struct net_world_packet *spec);

/* leash-dns answers all it was asked; the gate is told. */
enum net_world_verdict net_world_tell(void);

/* The next record in the log; valid until the next; false: there is none. */
bool net_world_record(struct record *ret);

/* A DNS message for name: a question, or its answer by address. */
size_t net_world_question(const char *name, uint16_t type, uint8_t *ret);
size_t net_world_answer(const char *name, const char *address, uint32_t ttl_s,
			uint8_t *ret);
