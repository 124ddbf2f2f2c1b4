#pragma once

/*
 * flow - a connection, as the policy is asked about it
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/policy/image.h"

/* What the client has said of the host it wants. */
enum policy_said {
	POLICY_SAID_UNSEEN,  /* nothing yet */
	POLICY_SAID_NAME,    /* a name */
	POLICY_SAID_NOTHING, /* spoke where names are said, and said none */
	POLICY_SAID_OTHER,   /* speaks what knows no names */
	POLICY_SAID_GARBLED, /* cannot be read */
};

struct policy_flow {
	uint32_t account;
	enum policy_kind kind;	       /* CONNECT or ACCEPT */
	bool understood;	       /* false: the packet is none we know */
	bool loopback;		       /* ACCEPT: the peer is on this machine */
	uint32_t protocol;	       /* one of enum policy_protocol */
	struct policy_address address; /* of the peer */
	uint16_t port;		       /* of the peer; 0: it has none */
	bool program_known;	       /* whether it was looked for */
	/*
	 * Its path; NULL: it could not be found out.  Then no rule for a
	 * program allows, and each that denies one denies.
	 */
	const char *program;
	int64_t now_s;		  /* realtime */
	const char *const *names; /* as of host_name_read() */
	uint32_t name_count;
	enum policy_said said;
	const char *said_name; /* where said is NAME; NULL: an odd one */
	const struct policy_passed *passed; /* NULL: none */
};
