#pragma once

/*
 * fd - owning file descriptors
 *
 * Every descriptor has one owner.  CLEANUP(fd_close) int fd = -1; closes it
 * on the way out, STEAL_FD(fd) hands it on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

/* Close fd unless it is negative; errno survives.  Returns -1. */
int fd_close(int fd);
DEFINE_CLEANUP(int, fd_close)

#define STEAL_FD(fd)                                                           \
	__extension__({                                                        \
		int *s_ = &(fd), v_ = *s_;                                     \
		*s_ = -1;                                                      \
		v_;                                                            \
	})

/*
 * Read from fd at offset 0 until its end or until size - 1 bytes, and end the
 * buffer with a NUL.  Made for the small files of /proc.
 * Returns the number of bytes, or a negative errno.
 */
MUST_CHECK ssize_t fd_pread_text(int fd, char *buffer, size_t size);

/* Open path, relative to folder, for reading, read it as above, close it. */
MUST_CHECK ssize_t fd_read_at(int folder, const char *path, char *buffer,
			      size_t size);
MUST_CHECK ssize_t fd_read_path(const char *path, char *buffer, size_t size);

/*
 * Read all of fd, from offset 0, into memory the caller frees; at most
 * max_bytes, more is -EFBIG.  The text is NUL-terminated, the NUL uncounted.
 */
MUST_CHECK int fd_read_all(int fd, size_t max_bytes, char **ret,
			   size_t *ret_length);

/* Write all length bytes to a descriptor that waits. */
MUST_CHECK int fd_write_all(int fd, const void *bytes, size_t length);
