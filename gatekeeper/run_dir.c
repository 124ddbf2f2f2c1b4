/*
 * All files are reached through descriptors opened at the start: afterwards
 * nothing here opens anything.
 */

#include "gatekeeper/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/process.h"
#include "gatekeeper/wire/control.h"

#define HELPERS_MAX 32

struct stray {
	pid_t pid;
	uint64_t start_time;
};

struct run_dir {
	char *path;
	int folder;
	int lock;
	int helpers;
	int proc;
	struct stray strays[HELPERS_MAX];
	size_t stray_count;
};

static void read_strays(struct run_dir *dir)
{
	char text[4096], *line, *save = NULL;

	if (fd_pread_text(dir->helpers, text, sizeof(text)) <= 0)
		return;
	for (line = strtok_r(text, "\n", &save);
	     line && dir->stray_count < HELPERS_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		struct stray *stray = &dir->strays[dir->stray_count];

		if (sscanf(line, "%d %" SCNu64, &stray->pid,
			   &stray->start_time) == 2)
			dir->stray_count++;
	}
}

int run_dir_take(const char *path, struct run_dir **ret)
{
	CLEANUP(run_dir_free) struct run_dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return -ENOMEM;
	dir->folder = dir->lock = dir->helpers = dir->proc = -1;
	dir->path = strdup(path);
	if (!dir->path)
		return -ENOMEM;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	dir->folder =
		open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (dir->folder < 0)
		return -errno;
	dir->lock = openat(dir->folder, "lock",
			   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (dir->lock < 0)
		return -errno;
	if (flock(dir->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? RUN_DIR_TAKEN : -errno;
	dir->helpers = openat(dir->folder, "helpers",
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (dir->helpers < 0)
		return -errno;
	dir->proc = process_open_proc();
	if (dir->proc < 0)
		return dir->proc;
	read_strays(dir);
	*ret = STEAL(dir);
	return 0;
}

struct run_dir *run_dir_free(struct run_dir *dir)
{
	if (!dir)
		return NULL;
	fd_close(dir->helpers);
	fd_close(dir->proc);
	fd_close(dir->lock);
	fd_close(dir->folder);
	free(dir->path);
	free(dir);
	return NULL;
}

int run_dir_folder(const struct run_dir *dir)
{
	return dir->folder;
}

void run_dir_remove(struct run_dir *dir)
{
	unlinkat(dir->folder, "helpers", 0);
	unlinkat(dir->folder, CONTROL_SOCKET, 0); /* of one that died */
	unlinkat(dir->folder, CONTROL_EXPLAIN, 0);
	unlinkat(dir->folder, "lock", 0);
	rmdir(dir->path); /* stays where systemd made it, or others use it */
}

int run_dir_note_helpers(struct run_dir *dir, const pid_t *pids, size_t count)
{
	char text[4096];
	size_t used = 0;

	for (size_t i = 0; i < count && used < sizeof(text) - 64; i++) {
		uint64_t start_time;

		if (pids[i] > 0 &&
		    process_start_time(dir->proc, pids[i], &start_time) == 0)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used,
				"%d %" PRIu64 "\n", (int)pids[i], start_time);
	}
	if (pwrite(dir->helpers, text, used, 0) != (ssize_t)used ||
	    ftruncate(dir->helpers, (off_t)used) < 0)
		return -EIO;
	return 0;
}

int run_dir_end_strays(struct run_dir *dir)
{
	int ended = 0;

	for (size_t i = 0; i < dir->stray_count; i++) {
		const struct stray *stray = &dir->strays[i];
		uint64_t start_time;

		if (process_start_time(dir->proc, stray->pid, &start_time) ==
			    0 &&
		    start_time == stray->start_time &&
		    kill(stray->pid, SIGKILL) == 0)
			ended++;
	}
	dir->stray_count = 0;
	return ended;
}
