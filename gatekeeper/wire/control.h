#pragma once

/*
 * control - what leash(1) and gatekeeper say to each other
 *
 * Two sockets of type SOCK_SEQPACKET in the run folder:
 *
 *   control   mode 0660, root and the group leash: everything
 *   explain   mode 0666: CONTROL_EXPLAIN about oneself, and nothing else
 *
 * so that whatever an account does to the one, an administrator has the other.
 * Who asks is what the kernel says (SO_PEERCRED).  A connection carries one
 * request and one reply, each one message: this header, then fields
 * (wire/fields.h).  Requests know these fields, and replies these; both sides
 * pass over others.
 *
 *   STATUS    -> pid, version, config, generation, mode, uptime_s, rules,
 *                mounts, and so on, as `leash status` prints them; account (one
 *                each: NAME UID MODE), lost
 *   EXPLAIN   kind (open, list, exec, connect), account, path, access (read,
 *             write), device, inode, size, changed_ns; or host, address, port,
 *             protocol, program
 *             -> verdict, reason, rule, origin, note, until, account, mode,
 *                other (one each: ORIGIN VERDICT NAME), resolve (for a host's
 *                name: may it be asked for), fix (allow, undo N, edit ORIGIN)
 *   RELOAD    -> generation, or text
 *   EDIT      do (add, undo, mode), account, why, dry; for add per rule: rule
 *             (its section), what, ports, protocol, program, until, reason; for
 *             undo: change; for mode: mode
 *             -> change, diff, generation, or text
 */

#include <stdint.h>

#define CONTROL_MAGIC	UINT32_C(0x4c656173) /* Leas */
#define CONTROL_VERSION 1

/* Below the run folder. */
#define CONTROL_SOCKET	"control"
#define CONTROL_EXPLAIN "explain"
#define CONTROL_GROUP	"leash"

enum control_what {
	/* requests */
	CONTROL_ASK_STATUS = 1,
	CONTROL_ASK_EXPLAIN,
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
