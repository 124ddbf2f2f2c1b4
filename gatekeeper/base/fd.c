#include "gatekeeper/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

ssize_t fd_pread_text(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	while (used < size - 1) {
		ssize_t n =
			pread(fd, buffer + used, size - 1 - used, (off_t)used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	buffer[used] = '\0';
	return (ssize_t)used;
}

ssize_t fd_read_path(const char *path, char *buffer, size_t size)
{
	return fd_read_at(AT_FDCWD, path, buffer, size);
}

ssize_t fd_read_at(int folder, const char *path, char *buffer, size_t size)
{
	CLEANUP(fd_close) int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_pread_text(fd, buffer, size);
}

int fd_read_all(int fd, size_t max_bytes, char **ret, size_t *ret_length)
{
	size_t room = 16384;
	CLEANUP_FREE char *text = NULL;

	for (;;) {
		char *grown = realloc(text, room);
		ssize_t n;

		if (!grown)
			return -ENOMEM;
		text = grown;
		n = fd_pread_text(fd, text, room);
		if (n < 0)
			return (int)n;
		if ((size_t)n > max_bytes)
			return -EFBIG;
		if ((size_t)n < room - 1) {
			*ret_length = (size_t)n;
			*ret = STEAL(text);
			return 0;
		}
		room *= 4;
	}
}

int fd_write_all(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}
