#pragma once

/*
 * mount_guard_shared - what mount_guard.c and its programs in the kernel share
 *
 * Included by both, of which one has no C library.
 */

#define MOUNT_GUARD_TYPE_MAX                                                   \
	16 /* bytes of a filesystem type's name, with NUL */
#define MOUNT_GUARD_PATH_MAX 4096

/* Argument of the program admit. */
struct mount_guard_admit {
	unsigned int fd;    /* of the caller; at any file on the filesystem */
	unsigned int asked; /* not 0: there is a mark on it */
};

/* Key of the map accounts: uids by their first bits, as a network is. */
struct mount_guard_uids {
	unsigned int bits;
	unsigned char uid[4]; /* highest byte first */
};

/* What the ring buffer holds. */
struct mount_guard_refusal {
	unsigned int tid; /* as gatekeeper's own pid namespace counts, or 0 */
	unsigned int uid;
	char path[MOUNT_GUARD_PATH_MAX]; /* empty where it cannot be had */
};
