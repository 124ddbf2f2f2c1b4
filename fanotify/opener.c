/*
 * The cache is direct-mapped: thread numbers are handed out in sequence, so
 * neighbours rarely meet in a slot, and a meeting costs one pidfd_open().
 *
 * Execs under way are few and short, so their table is looked through; most of
 * the time it is empty.  How an exec is known to be over, see sweep() and
 * may_be_kept().
 */

#include "fanotify/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fanotify/kernel_abi.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"

/*
 * Sweep no more often: it takes some microseconds for each exec, in which
 * nobody is answered.
 */
#define SWEEP_NS (10 * CLOCK_NS_PER_MS)

/*
 * An exec takes less time than this.  The next one waits for room a little
 * longer (gate.c, HELD_DEADLINE_NS), so it gets in when this one is given up.
 */
#define EXEC_NS (4 * CLOCK_NS_PER_S)

struct opener_cache {
	int proc;
	struct gate_table *table; /* borrowed */
	int owner;		  /* as it is to be told */
	bool no_thread_pidfd; /* the kernel lacks one of the two: use status */
	int retired; /* owned; a descriptor to close when there is time */
	size_t size;
	size_t exec_count;
	size_t exec_room;
	int64_t swept_ns;     /* monotonic */
	struct opener *execs; /* in entries, behind the cache: 0..exec_count */
	struct opener entries[];
};

int opener_cache_new(const struct gate_ends *ends, struct opener_room room,
		     struct opener_cache **ret)
{
	size_t all = room.known + room.execs;
	struct opener_cache *cache =
		calloc(1, sizeof(*cache) + all * sizeof(cache->entries[0]));

	if (!cache)
		return -ENOMEM;
	cache->proc = ends->proc;
	cache->table = ends->table;
	cache->owner = ends->slot + 1;
	cache->retired = -1;
	cache->size = room.known;
	cache->exec_room = room.execs;
	cache->execs = cache->entries + room.known;
	for (size_t i = 0; i < all; i++)
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
	if (cache->retired < 0)
		return;
	gate_table_own(cache->table, cache->retired, 0);
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
	for (size_t i = 0; cache && i < cache->size + cache->exec_count; i++)
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

static struct opener *find_exec(const struct opener_cache *cache, uint32_t tid)
{
	for (size_t i = 0; i < cache->exec_count; i++)
		if (cache->execs[i].tid == tid)
			return &cache->execs[i];
	return NULL;
}

static struct opener *slot_of(struct opener_cache *cache, uint32_t tid)
{
	return &cache->entries[tid % cache->size];
}

/* Take an entry out of the execs; the last one comes in its place. */
static void close_gap(struct opener_cache *cache, struct opener *opener)
{
	struct opener *last = &cache->execs[--cache->exec_count];

	*opener = *last;
	*last = (struct opener){.fd = -1};
}

int opener_identify(struct opener_cache *cache, pid_t tid, struct opener **ret)
{
	struct opener *opener;
	int r;

	if (tid <= 0)
		return OPENER_HIDDEN;
	opener = find_exec(cache, (uint32_t)tid);
	if (opener && refresh(opener)) { /* the number is another's now */
		forget(cache, opener);
		close_gap(cache, opener);
		opener = NULL;
	}
	*ret = opener ? opener : slot_of(cache, (uint32_t)tid);
	if (opener)
		return 0;
	opener = *ret;
	if (opener->fd >= 0 && opener->tid == (uint32_t)tid && !refresh(opener))
		return 0;

	forget(cache, opener);
	opener->proc = cache->proc;
	opener->tid = (uint32_t)tid;
	r = meet(cache, tid, opener);
	if (!r)
		gate_table_own(cache->table, opener->fd, cache->owner);
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

static ssize_t read_exe(const struct opener *opener, char *path, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "%u/exe", opener->tid);
	n = readlinkat(opener->proc, link, path, size - 1);
	path[n > 0 ? n : 0] = '\0';
	return n;
}

static void read_program(struct opener *opener)
{
	char path[4096];
	ssize_t n = read_exe(opener, path, sizeof(path));

	if (n <= 0)
		return;
	opener->program = strdup(path);
	opener->is_loader = opener_is_loader_name(path, (size_t)n);
}

/*
 * A thread that is not its process's first, and execs, becomes the first one
 * in the middle of it: so what the first one runs may be another thing at any
 * moment, and must not be kept, while such an exec may be under way.  Where the
 * exec has come to pass, the number of the thread is no more.
 */
static bool may_be_kept(struct opener_cache *cache, const struct opener *opener)
{
	for (size_t i = 0; i < cache->exec_count; i++) {
		struct opener *other = &cache->execs[i];

		if (other->ids.tgid == opener->ids.tgid &&
		    other->tid != opener->tid && !refresh(other))
			return false;
	}
	return true;
}

const char *opener_program(struct opener_cache *cache, struct opener *opener)
{
	bool keep;

	if (opener->program && !opener->stale)
		return opener->program;
	keep = may_be_kept(cache, opener); /* before it is read */
	forget_program(opener);
	read_program(opener);
	opener->stale = !keep;
	return opener->program;
}

/*
 * Of what is remembered, forget what is over without our having heard: the
 * thread is gone, or it runs what it was to run (a static program that opens
 * nothing), as its loader would have been asked for before.
 *
 * One that has run itself again cannot be told so from one that is about to;
 * it is taken to have done, after a time.  Should it still be about to, its
 * loader is judged as one that is run by hand; and no name that is kept can go
 * wrong by it, where it is its process's first thread: the others end with that
 * exec, and of the first one nothing is kept until its next event.
 */
static bool runs_it(const struct opener *opener)
{
	char path[4096];
	ssize_t n;

	if (opener->exec.again)
		return false;
	n = read_exe(opener, path, sizeof(path));
	return n > 0 && opener_hash(path, (size_t)n) == opener->exec.path;
}

static bool is_long_since(const struct opener *opener, int64_t now_ns)
{
	return opener->tid == opener->ids.tgid &&
	       now_ns - opener->exec.since_ns > EXEC_NS;
}

static void sweep(struct opener_cache *cache, const struct opener *but)
{
	int64_t now_ns = clock_monotonic_ns();

	for (size_t i = cache->exec_count; i-- > 0;) {
		struct opener *opener = &cache->execs[i];

		if (opener == but || (!refresh(opener) && !runs_it(opener) &&
				      !is_long_since(opener, now_ns)))
			continue;
		forget(cache, opener);
		close_gap(cache, opener);
	}
}

uint64_t opener_hash(const char *path, size_t length)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)path[i]) *
		       UINT64_C(1099511628211);
	return hash;
}

static size_t count_of(const struct opener_cache *cache, uint32_t account)
{
	size_t count = 0;

	for (size_t i = 0; i < cache->exec_count; i++)
		count += cache->execs[i].exec.account == account;
	return count;
}
int opener_may_exec(struct opener_cache *cache, const struct opener *opener,
		    uint32_t account, uint32_t accounts)
{
	size_t share = cache->exec_room / (accounts ? accounts : 1);

	if (opener->execs)
		return 0;
	if (opener->fd < 0) /* its number may become another thread's */
		return OPENER_FULL;
	if (!share)
		share = 1;
	if (cache->exec_count < cache->exec_room &&
	    count_of(cache, account) < share)
		return 0;
	if (clock_monotonic_ns() - cache->swept_ns < SWEEP_NS)
		return OPENER_FULL;
	sweep(cache, opener);
	cache->swept_ns = clock_monotonic_ns();
	return cache->exec_count < cache->exec_room &&
			       count_of(cache, account) < share
		       ? 0
		       : OPENER_FULL;
}

static void make_stale(struct opener_cache *cache, uint32_t tgid)
{
	/* After exec by another thread, the leader's number is its number. */
	for (size_t i = 0; i < cache->size; i++)
		if (cache->entries[i].ids.tgid == tgid)
			cache->entries[i].stale = true;
	for (size_t i = 0; i < cache->exec_count; i++)
		if (cache->execs[i].ids.tgid == tgid)
			cache->execs[i].stale = true;
}

struct opener *opener_execs(struct opener_cache *cache, struct opener *opener,
			    const struct opener_exec *exec)
{
	if (!opener->execs) {
		struct opener *to = &cache->execs[cache->exec_count++];

		*to = *opener;
		*opener = (struct opener){.fd = -1};
		opener = to;
		opener->execs = true;
	}
	opener->exec = *exec;
	opener->exec.since_ns = clock_monotonic_ns();
	opener->exec.again = !opener->program || opener->stale ||
			     opener_hash(opener->program,
					 strlen(opener->program)) == exec->path;
	make_stale(cache, opener->ids.tgid);
	return opener;
}

void opener_exec_over(struct opener_cache *cache, struct opener *opener)
{
	struct opener *slot = slot_of(cache, opener->tid);

	if (!opener->execs)
		return;
	opener->execs = false;
	forget(cache, slot);
	*slot = *opener;
	close_gap(cache, opener);
}

size_t opener_exec_count(const struct opener_cache *cache)
{
	return cache->exec_count;
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
