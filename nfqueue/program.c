/*
 * The path of /proc/PID/exe is one as seen from the top of that process's own
 * mounts, and a text that the account can choose there.
 */

#include "nfqueue/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/mount_table.h"

#define PATH_SIZE 4096

struct program_reader {
	int proc;		    /* borrowed */
	struct mount_table *mounts; /* owned */
	struct statx users;	    /* our user namespace */
};

int program_reader_new(int proc, struct program_reader **ret)
{
	CLEANUP(program_reader_free)
	struct program_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->proc = proc;
	r = mount_table_new(proc, &reader->mounts);
	if (r)
		return r;
	if (statx(proc, "self/ns/user", 0, STATX_INO, &reader->users))
		return -errno;
	*ret = STEAL(reader);
	return 0;
}

struct program_reader *program_reader_free(struct program_reader *reader)
{
	if (reader)
		mount_table_free(reader->mounts);
	free(reader);
	return NULL;
}

/*
 * Is the program behind the descriptor, whose path is text, one of the host's?
 * In a mount namespace of its own the account decides where a path leads; so
 * the program must lie on one of our mounts, which one from memory does not.
 * statx() is asked for the mount alone, so no filesystem is asked, which might
 * not answer.
 */
static bool is_of_host(const struct program_reader *reader, int program,
		       const char *text)
{
	static const char deleted[] = " (deleted)";
	size_t length = strlen(text), end = sizeof(deleted) - 1;
	struct statx st;

	return text[0] == '/' &&
	       (length < end || strcmp(text + length - end, deleted)) &&
	       statx(program, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		     STATX_MNT_ID, &st) == 0 &&
	       st.stx_mask & STATX_MNT_ID &&
	       mount_table_has(reader->mounts, st.stx_mnt_id);
}

/*
 * In a user namespace of its own, a process may say that it runs another
 * program (PR_SET_MM).
 */
static bool may_say_which(const struct program_reader *reader, pid_t pid)
{
	char path[64];
	struct statx st;

	snprintf(path, sizeof(path), "%d/ns/user", (int)pid);
	return statx(reader->proc, path, 0, STATX_INO, &st) != 0 ||
	       st.stx_ino != reader->users.stx_ino;
}

/* The path of an open program; false where it cannot be had whole. */
static bool read_path(const struct program_reader *reader, int program,
		      char ret[static PATH_SIZE])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "self/fd/%d", program);
	n = readlinkat(reader->proc, path, ret, PATH_SIZE);
	if (n <= 0 || n == PATH_SIZE)
		return false;
	ret[n] = '\0';
	return true;
}

/* Opened once, so that path and mount are of one and the same program. */
void program_read(const struct program_reader *reader, pid_t pid,
		  struct program *ret)
{
	CLEANUP(fd_close) int fd = -1;
	char path[PATH_SIZE];

	ret->known = false;
	strcpy(ret->text, PROGRAM_UNKNOWN);
	snprintf(path, sizeof(path), "%d/exe", (int)pid);
	fd = openat(reader->proc, path, O_PATH | O_CLOEXEC);
	if (fd < 0 || !read_path(reader, fd, path))
		return;
	ret->known =
		is_of_host(reader, fd, path) && !may_say_which(reader, pid);
	if (ret->known)
		strcpy(ret->text, path);
	else
		snprintf(ret->text, sizeof(ret->text), PROGRAM_UNKNOWN " (%s)",
			 path);
}
