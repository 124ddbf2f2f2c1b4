/*
 * All files are reached through descriptors opened at the start: afterwards
 * nothing here opens anything.
 */

#include "gatekeeper/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/strays.h"
#include "gatekeeper/wire/control.h"
#include "gatekeeper/wire/toolcall.h"

/* Of earlier versions, which one of them may have left. */
#define EXPLAIN_SOCKET "explain"

/* One second in all. */
#define LOCK_LOOKS    50
#define LOCK_PAUSE_NS 20000000

struct run_dir {
	char *path;
	int folder;
	int lock;
	int proc;
	struct array strays; /* struct stray */
};

static int try_lock(struct run_dir *dir)
{
	int r;

	if (flock(dir->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? RUN_DIR_TAKEN : -errno;
	r = strays_find(dir->proc, &dir->strays);
	return r == STRAYS_OWNED ? RUN_DIR_TAKEN : r;
}

/*
 * One that has just died may have forked a moment before: its child has the
 * lock until it is first given a processor, and finds itself an orphan.
 */
static int lock(struct run_dir *dir)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	int r = try_lock(dir);

	for (int i = 0; r == RUN_DIR_TAKEN && i < LOCK_LOOKS; i++) {
		nanosleep(&pause, NULL);
		r = try_lock(dir);
	}
	return r;
}

int run_dir_take(const char *path, struct run_dir **ret)
{
	CLEANUP(run_dir_free) struct run_dir *dir = calloc(1, sizeof(*dir));
	int r;

	if (!dir)
		return -ENOMEM;
	dir->folder = dir->lock = dir->proc = -1;
	dir->path = strdup(path);
	if (!dir->path)
		return -ENOMEM;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	dir->folder =
		open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (dir->folder < 0)
		return -errno;
	/* Whatever the umask: accounts reach their sockets through it. */
	if (fchmod(dir->folder, 0755) < 0)
		return -errno;
	dir->lock = openat(dir->folder, "lock",
			   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (dir->lock < 0)
		return -errno;
	dir->proc = process_open_proc();
	if (dir->proc < 0)
		return dir->proc;
	r = lock(dir);
	if (!r)
		*ret = STEAL(dir);
	return r;
}

struct run_dir *run_dir_free(struct run_dir *dir)
{
	if (!dir)
		return NULL;
	fd_close(dir->proc);
	fd_close(dir->lock);
	fd_close(dir->folder);
	free(dir->strays.entries);
	free(dir->path);
	free(dir);
	return NULL;
}

int run_dir_proc(const struct run_dir *dir)
{
	return dir->proc;
}

int run_dir_folder(const struct run_dir *dir)
{
	return dir->folder;
}

void run_dir_remove(struct run_dir *dir)
{
	unlinkat(dir->folder, CONTROL_SOCKET, 0); /* of one that died */
	unlinkat(dir->folder, TOOLCALL_SOCKET, 0);
	unlinkat(dir->folder, EXPLAIN_SOCKET, 0);
	unlinkat(dir->folder, "lock", 0);
	rmdir(dir->path); /* stays where systemd made it, or others use it */
}

bool run_dir_has_strays(const struct run_dir *dir)
{
	return dir->strays.count > 0;
}

int run_dir_end_strays(struct run_dir *dir)
{
	return strays_end(&dir->strays, dir->proc);
}
