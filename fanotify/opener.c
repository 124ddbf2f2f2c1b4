/*
 * The table is direct-mapped: thread numbers are handed out in sequence, so
 * neighbours rarely meet in a slot, and a meeting costs one pidfd_open().
 */

#include "fanotify/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fanotify/kernel_abi.h"
#include "gatekeeper/base/fd.h"

struct opener_cache {
	int proc;
	bool no_thread_pidfd; /* the kernel lacks one of the two: use status */
	int retired; /* owned; a descriptor to close when there is time */
	size_t size;
	struct opener entries[];
};

int opener_cache_new(int proc, size_t size, struct opener_cache **ret)
{
	struct opener_cache *cache =
		calloc(1, sizeof(*cache) + size * sizeof(cache->entries[0]));

	if (!cache)
		return -ENOMEM;
	cache->proc = proc;
	cache->retired = -1;
	cache->size = size;
	for (size_t i = 0; i < cache->size; i++)
		cache->entries[i].fd = -1;
	*ret = cache;
	return 0;
}

static void forget_program(struct opener *opener)
{
	opener->program = cleanup_free(opener->program);
	opener->privilege = OPENER_PRIVILEGE_UNKNOWN;
	opener->is_loader = false;
	opener->stale = false;
}

void opener_tidy(struct opener_cache *cache)
{
	cache->retired = fd_close(cache->retired);
}

static void forget(struct opener_cache *cache, struct opener *opener)
{
	forget_program(opener);
	opener_tidy(cache);
	cache->retired = opener->fd;
	*opener = (struct opener){.fd = -1};
}

struct opener_cache *opener_cache_free(struct opener_cache *cache)
{
	for (size_t i = 0; cache && i < cache->size; i++)
		forget(cache, &cache->entries[i]);
	if (cache)
		opener_tidy(cache);
	free(cache);
	return NULL;
}

static int read_status(int fd, struct opener *opener)
{
	bool capable;
	int r = process_read_status(fd, &opener->ids, &capable);

	if (r)
		return r;
	opener->privilege =
		capable ? OPENER_PRIVILEGE_SOME : OPENER_PRIVILEGE_NONE;
	return 0;
}

static int read_pidfd(int fd, struct opener *opener)
{
	struct kernel_pidfd_info info = {.mask = 1};

	if (ioctl(fd, KERNEL_PIDFD_GET_INFO, &info) < 0)
		return -errno;
	opener->ids = (struct process_ids){
		.tgid = info.tgid,
		.parent_tgid = info.parent_tgid,
		.uids = {info.ruid, info.euid, info.suid, info.fsuid},
	};
	return 0;
}

/* Fill an empty entry: by pidfd where the kernel can, else by status. */
static int meet(struct opener_cache *cache, pid_t tid, struct opener *opener)
{
	int fd, r;

	if (!cache->no_thread_pidfd) {
		fd = (int)syscall(SYS_pidfd_open, tid, KERNEL_PIDFD_THREAD);
		if (fd >= 0) {
			r = read_pidfd(fd, opener);
			if (!r) {
				opener->fd = fd;
				opener->fd_is_pidfd = true;
				return 0;
			}
			fd_close(fd);
			if (r == -ENOTTY || r == -EINVAL)
				cache->no_thread_pidfd = true;
		} else if (errno == EINVAL) {
			cache->no_thread_pidfd = true;
		}
	}

	fd = process_open_status(cache->proc, tid);
	if (fd < 0)
		return fd;
	r = read_status(fd, opener);
	if (r) {
		fd_close(fd);
		return r;
	}
	opener->fd = fd;
	opener->fd_is_pidfd = false;
	return 0;
}

/*
 * No descriptor to be had: the owner of /proc/TID is the effective uid,
 * whatever the process has done about being dumpable.
 */
static int meet_without_fd(int proc, pid_t tid, struct opener *opener)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%d", (int)tid);
	if (fstatat(proc, path, &st, 0) < 0)
		return errno == ENOENT || errno == ESRCH ? OPENER_GONE : -errno;
	opener->ids = (struct process_ids){
		.tgid = (uint32_t)tid,
		.uids = {st.st_uid, st.st_uid, st.st_uid, st.st_uid},
	};
	return 0;
}

static int refresh(struct opener *opener)
{
	return opener->fd_is_pidfd ? read_pidfd(opener->fd, opener)
				   : read_status(opener->fd, opener);
}

int opener_identify(struct opener_cache *cache, pid_t tid, struct opener **ret)
{
	struct opener *opener = &cache->entries[(uint32_t)tid % cache->size];
	int r;

	if (tid <= 0)
		return OPENER_HIDDEN;
	*ret = opener;
	if (opener->fd >= 0 && opener->tid == (uint32_t)tid && !refresh(opener))
		return 0;

	forget(cache, opener);
	opener->proc = cache->proc;
	opener->tid = (uint32_t)tid;
	r = meet(cache, tid, opener);
	if (r == -ENOENT || r == -ESRCH)
		return OPENER_GONE;
	if (r)
		return meet_without_fd(cache->proc, tid, opener);
	return 0;
}

bool opener_is_loader_name(const char *path, size_t length)
{
	static const char *const starts[] = {"ld-linux", "ld-musl-", "ld64.so",
					     "ld.so", "ld-2."};
	const char *slash = memrchr(path, '/', length);
	const char *name = slash ? slash + 1 : path;
	size_t left = length - (size_t)(name - path);

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t n = strlen(starts[i]);

		if (left >= n && !memcmp(name, starts[i], n))
			return true;
	}
	return false;
}

static bool read_program(struct opener *opener)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "%u/exe", opener->tid);
	n = readlinkat(opener->proc, link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	opener->program = strdup(path);
	opener->is_loader = opener_is_loader_name(path, (size_t)n);
	return opener->program != NULL;
}

static bool shares_memory(uint32_t one, uint32_t other)
{
	return syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0;
}

/*
 * Most programs are started by a child that still runs in the memory of its
 * parent (vfork, posix_spawn): then both run the same program.  Asking the
 * parent saves the child its entries in /proc, which cost 30 microseconds to
 * make and to throw away again at its end.  The memory is compared again after
 * reading, so that what was read of the parent is of that memory.
 */
static bool take_program_of_parent(struct opener_cache *cache,
				   struct opener *opener)
{
	uint32_t parent = opener->ids.parent_tgid;
	struct opener *other;

	if (!parent || parent % cache->size == opener->tid % cache->size ||
	    !shares_memory(opener->tid, parent) ||
	    opener_identify(cache, (pid_t)parent, &other) || other->stale)
		return false;
	if (!other->program &&
	    (!read_program(other) || !shares_memory(opener->tid, parent)))
		return false;
	opener->program = strdup(other->program);
	opener->is_loader = other->is_loader;
	return opener->program != NULL;
}

const char *opener_program(struct opener_cache *cache, struct opener *opener)
{
	if (opener->program && !opener->stale)
		return opener->program;
	forget_program(opener);
	if (!take_program_of_parent(cache, opener))
		(void)read_program(opener);
	return opener->program;
}

void opener_execs(struct opener_cache *cache, struct opener *opener,
		  uint64_t device, uint64_t inode)
{
	/* After exec by another thread, the leader's number is its number. */
	for (size_t i = 0; i < cache->size; i++)
		if (cache->entries[i].ids.tgid == opener->ids.tgid)
			cache->entries[i].stale = true;
	opener->stale = true;
	opener->exec_device = device;
	opener->exec_inode = inode;
}

bool opener_is_unprivileged(struct opener *opener)
{
	if (opener->privilege == OPENER_PRIVILEGE_UNKNOWN) {
		struct opener now = {.ids = {0}};
		int fd = process_open_status(opener->proc, (pid_t)opener->tid);

		if (fd < 0 || read_status(fd, &now))
			now.privilege = OPENER_PRIVILEGE_SOME;
		fd_close(fd);
		opener->privilege = now.privilege;
	}
	return opener->privilege == OPENER_PRIVILEGE_NONE;
}
