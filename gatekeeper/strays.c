#include "gatekeeper/strays.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"

static DIR *close_dir(DIR *dir)
{
	if (dir)
		closedir(dir);
	return NULL;
}
DEFINE_CLEANUP(DIR *, close_dir)

static DIR *list_processes(int proc)
{
	int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list)
		fd_close(fd);
	return list;
}

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
static bool runs(int proc, pid_t pid, const char *const *names)
{
	char target[4096];
	const char *name;

	if (read_link(proc, pid, "exe", target, sizeof(target)) < 0)
		return false;
	name = strrchr(target, '/');
	for (; name && *names; names++)
		if (!strncmp(name, *names, strlen(*names)))
			return runs_roots_file(proc, pid);
	return false;
}

static bool is_called(int proc, pid_t pid, const char *wanted)
{
	char path[32], name[32];

	snprintf(path, sizeof(path), "%d/comm", (int)pid);
	return fd_read_at(proc, path, name, sizeof(name)) > 0 &&
	       !strcmp(name, wanted);
}

static bool is_helper(int proc, pid_t pid)
{
	static const char *const programs[] = {
		"/leash-fanotify", "/leash-nfqueue",  "/leash-dns",
		"/leash-store",	   "/leash-toolcall", NULL,
	};
	static const char *const own[] = {"/gatekeeper", NULL};

	return runs(proc, pid, programs) ||
	       (is_called(proc, pid, "leash-fallback\n") &&
		runs(proc, pid, own));
}

/* Root's, and not what somebody else calls so. */
static bool is_gatekeeper(int proc, pid_t pid)
{
	struct process_ids ids;

	if (!is_called(proc, pid, "gatekeeper\n") ||
	    process_ids_of(proc, pid, &ids))
		return false;
	for (int i = 0; i < 4; i++)
		if (ids.uids[i] != 0)
			return false;
	return true;
}

static bool shares(int proc, pid_t pid, const char *namespace)
{
	char own[64], its[64];

	return read_link(proc, getpid(), namespace, own, sizeof(own)) >= 0 &&
	       read_link(proc, pid, namespace, its, sizeof(its)) >= 0 &&
	       !strcmp(own, its);
}

/* Those of a container on this machine are its own. */
static bool is_of_here(int proc, pid_t pid)
{
	return shares(proc, pid, "ns/pid") && shares(proc, pid, "ns/user");
}

int strays_find(int proc, struct array *ret)
{
	CLEANUP(close_dir) DIR *all = list_processes(proc);
	const struct dirent *entry;
	int r = 0;

	ret->count = 0;
	if (!all)
		return -errno;
	while (!r && (entry = readdir(all))) {
		struct stray stray = {.pid = atoi(entry->d_name)};
		struct process_ids ids;

		if (stray.pid <= 0 || !is_helper(proc, stray.pid) ||
		    !is_of_here(proc, stray.pid) ||
		    process_ids_of(proc, stray.pid, &ids))
			continue;
		if (is_gatekeeper(proc, (pid_t)ids.parent_tgid))
			return STRAYS_OWNED;
		if (process_start_time(proc, stray.pid, &stray.start_time) == 0)
			r = array_add(ret, &stray, sizeof(stray), NULL);
	}
	return r;
}

int strays_end(struct array *strays, int proc)
{
	int ended = 0;

	for (uint32_t i = 0; i < strays->count; i++) {
		const struct stray *stray = ARRAY_AT(*strays, struct stray, i);
		uint64_t start_time;

		if (process_start_time(proc, stray->pid, &start_time) == 0 &&
		    start_time == stray->start_time &&
		    kill(stray->pid, SIGKILL) == 0)
			ended++;
	}
	strays->count = 0;
	return ended;
}

void strays_kill_gates(int proc, pid_t except)
{
	static const char *const gates[] = {"/leash-fanotify", NULL};
	CLEANUP(close_dir) DIR *all = list_processes(proc);
	const struct dirent *entry;

	while (all && (entry = readdir(all))) {
		pid_t pid = atoi(entry->d_name);
		struct process_ids ids;

		if (pid > 0 && pid != except && runs(proc, pid, gates) &&
		    is_of_here(proc, pid) &&
		    process_ids_of(proc, pid, &ids) == 0 &&
		    (except <= 0 || (pid_t)ids.parent_tgid != except))
			kill(pid, SIGKILL);
	}
}
