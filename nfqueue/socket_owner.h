#pragma once

/*
 * socket_owner - who stands behind a socket: its uid, and the processes
 *
 * The kernel finds the socket by addresses and ports (sock_diag) and tells its
 * owner and inode; the processes are those of the owner's account that hold
 * that inode among their descriptors.  That search costs what the account's
 * processes cost to look through, so it is made after the answer, except where
 * a rule names a program.
 *
 * Nobody else's descriptors are looked through, and no search is longer than
 * its bounds: beyond them, a process counts as not found.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"
#include "nfqueue/packets/packet.h"
#include "nfqueue/program.h"

struct socket_owner;

struct socket_found {
	uint32_t uid;
	uint64_t inode; /* 0: nobody holds it any more */
	uint32_t
		unacknowledged; /* of TCP: bytes written that have not arrived */
};

struct socket_process {
	pid_t pid; /* 0: not found */
	uint32_t parent_pid;
	bool several;	    /* found in processes that run different programs */
	bool program_known; /* program is the path of what it really runs */
	char program[PROGRAM_TEXT_SIZE]; /* "": no process was found */
};

/* Expected outcome. */
enum {
	SOCKET_OWNER_NONE = 1, /* there is no such socket */
};

/*
 * Opens what it needs; afterwards only system calls on that.  proc, of
 * process_open_proc(), is borrowed.
 */
MUST_CHECK int socket_owner_new(int proc, struct socket_owner **ret);
struct socket_owner *socket_owner_free(struct socket_owner *owner);
DEFINE_CLEANUP(struct socket_owner *, socket_owner_free)

/* The socket that sent packet. */
MUST_CHECK int socket_owner_find(struct socket_owner *owner,
				 const struct packet *packet,
				 struct socket_found *ret);

/*
 * The process of account that holds the socket which sent packet.  With all,
 * every process is looked at, and several is true where they do not run one
 * program; without, the first that is found does, and a socket that has been
 * closed meanwhile is not looked for.
 */
void socket_owner_process(struct socket_owner *owner,
			  const struct policy *policy, uint32_t account,
			  const struct packet *packet, uint64_t inode, bool all,
			  struct socket_process *ret);

/* Says whether a socket of account with this flow must be cut. */
typedef bool (*socket_owner_cut_fn)(void *context, uint32_t uid,
				    const struct packet *packet);

/*
 * Ask about every connected TCP and UDP socket that was not accepted from a
 * listener, and destroy those that must be cut.  The number destroyed, or a
 * negative errno.
 */
MUST_CHECK int socket_owner_cut(struct socket_owner *owner,
				socket_owner_cut_fn must, void *context);
