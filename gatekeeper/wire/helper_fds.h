#pragma once

/* helper_fds - the descriptors that a helper is started with */

enum helper_fd {
	HELPER_FD_CONTROL = 3, /* all: messages */
	HELPER_FD_WAKE,	       /* gates: write, store: read; an eventfd */
	/* file gates, and the fallback */
	HELPER_FD_TABLE,   /* struct gate_table */
	HELPER_FD_CHANNEL, /* their records */
	HELPER_FD_PROC,	   /* of process_open_proc() */
	HELPER_FD_RETIRE,  /* file gates: an eventfd, readable: end */
	/* store */
	HELPER_FD_STORE_GATEKEEPER = 5,
	HELPER_FD_STORE_GATE,
	HELPER_FD_STORE_NET,
	HELPER_FD_STORE_TOOL,
	/* net gate */
	HELPER_FD_NET_CHANNEL = 5,
	HELPER_FD_NET_MEMORY, /* struct net_memory */
	HELPER_FD_NET_DNS,    /* leash-dns (wire/dns_link.h) */
	HELPER_FD_NET_PROC,   /* of process_open_proc() */
	/* tool gate */
	HELPER_FD_TOOL_CHANNEL = 5,
	HELPER_FD_TOOL_LISTENER, /* wire/toolcall.h */
	HELPER_FD_TOOL_PINS,	 /* its folder */
	/* leash-dns */
	HELPER_FD_DNS_GATE = 4,
};
