#pragma once

/*
 * message - what gatekeeper and a helper say to each other
 *
 * One datagram of a SOCK_SEQPACKET pair is one message: a fixed struct and at
 * most one descriptor.  The pair is made by gatekeeper, so each side knows
 * who the other is.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/fd.h"

enum message_type {
	/* gatekeeper to helper */
	MESSAGE_POLICY = 1, /* judge by this image from now on; with fd */
	MESSAGE_GO,	    /* begin to answer */
	MESSAGE_STOP,	    /* finish what is under way and exit */
	MESSAGE_PING,	    /* answer with MESSAGE_PONG and this value */
	MESSAGE_GROUP,	    /* file gates: with the fanotify group */
	MESSAGE_SETTLE,	    /* fallback: answer what this gate_table owes */
	/* helper to gatekeeper */
	MESSAGE_READY,	/* started, and confined */
	MESSAGE_LOADED, /* value: the generation now in force */
	MESSAGE_FAILED, /* value: the errno that kept it from loading */
	MESSAGE_PONG,
	MESSAGE_ANSWERS, /* file gate about answers, by generation value */
	MESSAGE_DIED,	 /* file gate about, with this wait status */
	MESSAGE_TYPES,
};

struct message {
	uint32_t type;
	uint32_t about; /* a process */
	uint64_t value;
};

/* Expected outcomes of message_receive(). */
enum {
	MESSAGE_NONE = 1, /* nothing waits */
	MESSAGE_CLOSED,	  /* the other side is gone */
	MESSAGE_MALFORMED,
};

/* Make a pair of non-blocking, close-on-exec ends. */
MUST_CHECK int message_pair(int ret_ends[2]);

/* Send message, and fd unless negative (it stays the caller's). */
MUST_CHECK int message_send(int end, const struct message *message, int fd);

/*
 * Answer with message.  That the other side is gone is no error here: it is
 * heard of by message_receive(), and its helper may have to go on without it.
 */
MUST_CHECK int message_answer(int end, const struct message *message);

/*
 * Receive one message without waiting.  *ret_fd is -1 or a descriptor that is
 * now the caller's; on any other outcome than 0 nothing was handed over.
 */
MUST_CHECK int message_receive(int end, struct message *ret, int *ret_fd);
