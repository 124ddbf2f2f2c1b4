#pragma once

/*
 * queue - packets from the kernel, verdicts to it
 *
 * One netlink socket for all queues.  The kernel drops what it cannot hand
 * over, because a queue is full or the socket's buffer is, and counts it
 * (/proc/net/netfilter/nfnetlink_queue); it never lets such a packet pass.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

#define QUEUE_LENGTH_MAX 16384 /* packets that wait for a verdict */

struct queue;

struct queue_packet {
	uint32_t id;
	uint16_t queue;
	uint32_t mark; /* the packet's, of which only our byte is ours */
	bool has_uid;
	uint32_t uid;	     /* of the socket's owner */
	bool is_to_be_cut;   /* the kernel makes several packets of it (GSO) */
	const void *payload; /* from the IP header; may be cut */
	size_t payload_length;
};

/* Expected outcomes. */
enum {
	QUEUE_EMPTY = 1, /* nothing waits */
	QUEUE_LOST,	 /* the kernel has dropped packets for want of room */
	QUEUE_TAKEN,	 /* another process has the queue */
	QUEUE_MALFORMED, /* a message that is no packet */
};

/* Open the socket; bind the queues with queue_bind(). */
MUST_CHECK int queue_new(struct queue **ret);
struct queue *queue_free(struct queue *queue);
DEFINE_CLEANUP(struct queue *, queue_free)

/* Receive from queue number; the first copy_bytes of each packet. */
MUST_CHECK int queue_bind(struct queue *queue, uint16_t number,
			  uint32_t copy_bytes);

int queue_fd(const struct queue *queue);

/* Take one packet without waiting; valid until the next call. */
MUST_CHECK int queue_receive(struct queue *queue, struct queue_packet *ret);

/* Let the packet go on, with the whole of its mark replaced. */
MUST_CHECK int queue_pass(struct queue *queue,
			  const struct queue_packet *packet, uint32_t mark);

/* Let other bytes go on in the packet's place, with its mark replaced. */
MUST_CHECK int queue_replace(struct queue *queue,
			     const struct queue_packet *packet,
			     const void *bytes, size_t length, uint32_t mark);

/* End the packet here; nobody is told. */
MUST_CHECK int queue_drop(struct queue *queue,
			  const struct queue_packet *packet);

/*
 * Read one netlink message, as queue_receive() does.  For tests and fuzzing.
 * 0, or QUEUE_MALFORMED.
 */
MUST_CHECK int queue_parse(const void *message, size_t length,
			   struct queue_packet *ret);
