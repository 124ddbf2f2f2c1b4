#include "gatekeeper/last_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

#define FILE_NAME "policy"
#define NEW_NAME  "policy.new"
#define SEALS	  (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int copy(int from, int to)
{
	struct stat st;
	off_t at = 0;

	if (fstat(from, &st) < 0)
		return -errno;
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			return errno ? -errno : -EIO;
	return 0;
}

static bool is_roots_alone(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int open_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && is_roots_alone(fd))
		return fd;
	fd_close(fd);
	return -1;
}

int last_policy_keep(const char *folder, int fd)
{
	CLEANUP(fd_close) int dir = -1;
	CLEANUP(fd_close) int file = -1;
	int r;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = open_folder(folder);
	if (dir < 0)
		return -EPERM;
	unlinkat(dir, NEW_NAME, 0); /* of one that died */
	file = openat(dir, NEW_NAME,
		      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      0600);
	if (file < 0)
		return -errno;
	r = copy(fd, file);
	/* A torn one would be none when it is needed. */
	if (!r && fsync(file) < 0)
		r = -errno;
	if (!r && renameat(dir, NEW_NAME, dir, FILE_NAME) < 0)
		r = -errno;
	if (r)
		unlinkat(dir, NEW_NAME, 0);
	return r;
}

int last_policy_load(const char *folder, int *ret_fd)
{
	CLEANUP(fd_close) int dir = open_folder(folder);
	CLEANUP(fd_close) int file = -1;
	CLEANUP(fd_close) int image = -1;
	int r;

	if (dir < 0)
		return LAST_POLICY_NONE;
	file = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 || !is_roots_alone(file))
		return LAST_POLICY_NONE;
	image = memfd_create("leash-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (image < 0)
		return -errno;
	r = copy(file, image);
	if (!r && fcntl(image, F_ADD_SEALS, SEALS) < 0)
		r = -errno;
	if (!r)
		*ret_fd = STEAL_FD(image);
	return r;
}
