#pragma once

/*
 * gate_shared - the page that outlives a gate
 *
 * The kernel writes the events that the file gate reads straight into this
 * memory, which gatekeeper maps too.  When a gate dies, however suddenly,
 * gatekeeper finds there what had been read and not yet answered, and answers
 * it: a response is matched by the descriptor's number alone.
 *
 * Protocol of the gate, for each batch: answered = 0 and the buffer's first
 * event_len = 0; read(); then for each event: respond, answered + 1; after the
 * last: the buffer cleared again.  An event put aside for later stands in
 * held[] before it counts as answered, and until it is.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/fanotify.h>

/* Events a gate reads at once: bounds its descriptors and what can be lost. */
#define GATE_BATCH_MAX	32
#define GATE_EVENT_SIZE sizeof(struct fanotify_event_metadata)

/* Events put aside at most; beyond, the oldest is answered as it stands. */
#define GATE_HELD_MAX 512

struct gate_held {
	_Atomic int32_t fd; /* 0: free, no event has that number */
	int32_t tid;
};

struct gate_shared {
	_Atomic uint64_t heartbeat; /* grows with each batch and each wait */
	_Atomic uint32_t polling;   /* gatekeeper: may poll before sleeping */
	_Atomic uint32_t answered;  /* events of this batch, from the first */
	_Atomic uint32_t unasked;   /* files the kernel opens without asking */
	struct gate_held held[GATE_HELD_MAX];
	alignas(64) char events[GATE_BATCH_MAX * GATE_EVENT_SIZE];
};

/* Descriptors a helper is started with. */
enum helper_fd {
	HELPER_FD_CONTROL = 3, /* all: messages */
	HELPER_FD_WAKE,	       /* gates: write, store: read; an eventfd */
	HELPER_FD_GROUP,       /* file gate: the fanotify group */
	HELPER_FD_SHARED,      /* file gate: struct gate_shared */
	HELPER_FD_CHANNEL,     /* file gate: its records */
	HELPER_FD_END,
	/* store */
	HELPER_FD_STORE_GATEKEEPER = HELPER_FD_GROUP,
	HELPER_FD_STORE_GATE,
	HELPER_FD_STORE_NET,
	HELPER_FD_STORE_TOOL,
	/* net gate */
	HELPER_FD_NET_CHANNEL = HELPER_FD_GROUP,
	HELPER_FD_NET_MEMORY, /* struct net_memory */
	HELPER_FD_NET_DNS,    /* leash-dns (wire/dns_link.h) */
	/* tool gate */
	HELPER_FD_TOOL_CHANNEL = HELPER_FD_GROUP,
	HELPER_FD_TOOL_LISTENER, /* wire/toolcall.h */
	HELPER_FD_TOOL_PINS,	 /* its folder */
	/* leash-dns */
	HELPER_FD_DNS_GATE = HELPER_FD_WAKE,
};
