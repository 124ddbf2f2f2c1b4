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
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/process.h"
#include "gatekeeper/wire/control.h"
#include "gatekeeper/wire/toolcall.h"

#define HELPERS_MAX 32

static DIR *close_dir(DIR *dir)
{
	if (dir)
		closedir(dir);
	return NULL;
}
DEFINE_CLEANUP(DIR *, close_dir)

struct stray {
	pid_t pid;
	uint64_t start_time;
};

struct run_dir {
	char *path;
	int folder;
	int lock;
	int proc;
	struct stray strays[HELPERS_MAX];
	size_t stray_count;
};

static ssize_t read_link(int proc, pid_t pid, const char *name, char *ret,
			 size_t size)
{
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	n = readlinkat(proc, path, ret, size - 1);
	if (n >= 0)
		ret[n] = '\0';
	return n;
}

/* Root's file, and nobody else's copy of that name. */
static bool runs_roots_file(int proc, pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "%d/exe", (int)pid);
	return fstatat(proc, path, &st, 0) == 0 && st.st_uid == 0 &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * By the name of its file: what is before that changes with mounts, and what
 * an upgrade has replaced is "NAME (deleted)".
 */
static bool runs_helper(int proc, pid_t pid)
{
	static const char *const names[] = {"/leash-fanotify", "/leash-nfqueue",
					    "/leash-dns", "/leash-store",
					    "/leash-toolcall"};
	char target[4096];
	const char *name;

	if (read_link(proc, pid, "exe", target, sizeof(target)) < 0)
		return false;
	name = strrchr(target, '/');
	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return runs_roots_file(proc, pid);
	return false;
}

/* Root's, and not what somebody else calls so. */
static bool is_gatekeeper(int proc, pid_t pid)
{
	char path[32], name[32];
	CLEANUP(fd_close) int fd = -1;
	struct process_ids ids;

	snprintf(path, sizeof(path), "%d/comm", (int)pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_pread_text(fd, name, sizeof(name)) <= 0 ||
	    strcmp(name, "gatekeeper\n") || process_ids_of(proc, pid, &ids))
		return false;
	for (int i = 0; i < 4; i++)
		if (ids.uids[i] != 0)
			return false;
	return true;
}

/* Those of a container on this machine are its own. */
static bool is_of_this_namespace(int proc, pid_t pid)
{
	char own[64], its[64];

	return read_link(proc, getpid(), "ns/pid", own, sizeof(own)) >= 0 &&
	       read_link(proc, pid, "ns/pid", its, sizeof(its)) >= 0 &&
	       !strcmp(own, its);
}

/*
 * Remember the helpers whose gatekeeper is gone.  They are looked for, not
 * written down: anybody may have cleaned up /run, and so taken the lock of a
 * gatekeeper that is still there: RUN_DIR_TAKEN.
 */
static int find_strays(struct run_dir *dir)
{
	CLEANUP(close_dir) DIR *all = opendir("/proc");
	const struct dirent *entry;

	if (!all)
		return -errno;
	while (dir->stray_count < HELPERS_MAX && (entry = readdir(all))) {
		struct stray *stray = &dir->strays[dir->stray_count];
		struct process_ids ids;

		stray->pid = atoi(entry->d_name);
		if (stray->pid <= 0 || !runs_helper(dir->proc, stray->pid) ||
		    !is_of_this_namespace(dir->proc, stray->pid) ||
		    process_ids_of(dir->proc, stray->pid, &ids))
			continue;
		if (is_gatekeeper(dir->proc, (pid_t)ids.parent_tgid))
			return RUN_DIR_TAKEN;
		if (process_start_time(dir->proc, stray->pid,
				       &stray->start_time) == 0)
			dir->stray_count++;
	}
	return 0;
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
	if (flock(dir->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? RUN_DIR_TAKEN : -errno;
	dir->proc = process_open_proc();
	if (dir->proc < 0)
		return dir->proc;
	r = find_strays(dir);
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
	unlinkat(dir->folder, CONTROL_SOCKET, 0); /* of one that died */
	unlinkat(dir->folder, CONTROL_EXPLAIN, 0);
	unlinkat(dir->folder, TOOLCALL_SOCKET, 0);
	unlinkat(dir->folder, "lock", 0);
	rmdir(dir->path); /* stays where systemd made it, or others use it */
}

bool run_dir_has_strays(const struct run_dir *dir)
{
	return dir->stray_count > 0;
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
