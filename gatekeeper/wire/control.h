#pragma once

/*
 * control - what leash(1) and gatekeeper say to each other
 *
 * A socket of type SOCK_SEQPACKET in the run folder, mode 0660, for root and
 * the group leash.  Who asks is what the kernel says (SO_PEERCRED): a leashed
 * account is refused unheard.  A connection carries one request and one reply,
 * each one message: this header, then fields (wire/fields.h).  Requests know
 * these fields, and replies these; both sides pass over others.
 *
 *   STATUS    -> pid, version, config, generation, mode, uptime_s, rules,
 *                mounts, and so on, as `leash status` prints them; account (one
 *                each: NAME UID MODE), lost
 *   RELOAD    -> generation, or text
 *   EDIT      do (add, undo, mode), account, why, dry; for add per rule: rule
 *             (its section), what, ports, protocol, program, until, reason; for
 *             undo: change; for mode: mode
 *             -> change, diff, generation, or text
 */

#include <stdint.h>

#define CONTROL_MAGIC	UINT32_C(0x4c656173) /* Leas */
#define CONTROL_VERSION 2

/* Below the run folder. */
#define CONTROL_SOCKET "control"
#define CONTROL_GROUP  "leash"

enum control_what {
	/* requests */
	CONTROL_ASK_STATUS = 1,
	CONTROL_ASK_RELOAD,
	CONTROL_ASK_EDIT,
	/* replies */
	CONTROL_DONE = 100,
	CONTROL_WRONG,	 /* the request, or the configuration; text says how */
	CONTROL_REFUSED, /* not for you */
	CONTROL_BUSY,	 /* others are being served; ask again */
};

struct control_header {
	uint32_t magic;
	uint16_t version;
	uint16_t what; /* enum control_what */
};
