/*
 * What a program allowed by content looks like, so that the gates need not
 * read it: a later change of content cannot keep its change time.
 *
 * The file may be an account's: no pipe or device is opened, a lease is not
 * waited for, and it costs no account's reload more than a bounded time.  A
 * process of its own reads, since on some filesystems (XFS) a writer that
 * waits for something makes readers wait, where no signal ends them.
 */

#include "gatekeeper/config/rules/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"

#define BYTES_MAX ((off_t)1 << 30)
/* For all programs of one account. */
#define HASHING_NS_MAX (10 * CLOCK_NS_PER_S)

/* The bytes behind fd, at most BYTES_MAX, until until_ns. */
static int hash_file(int fd, int64_t until_ns, char ret[static 65])
{
	unsigned char digest[crypto_hash_sha256_BYTES], block[65536];
	crypto_hash_sha256_state state;
	off_t total = 0;
	ssize_t n;

	crypto_hash_sha256_init(&state);
	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		total += n;
		if (total > BYTES_MAX)
			return -EFBIG;
		if (clock_monotonic_ns() > until_ns)
			return -ETIME;
		crypto_hash_sha256_update(&state, block, (unsigned long long)n);
	}
	crypto_hash_sha256_final(&state, digest);
	sodium_bin2hex(ret, 65, digest, sizeof(digest));
	return 0;
}

/* What the process that reads has found. */
struct hashed {
	int r;
	char hex[65];
};

static _Noreturn void read_and_tell(int fd, int end, int64_t until_ns)
{
	struct hashed hashed = {.hex = ""};

	/* It may stay for long, and must hold nothing of its parent's. */
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(end, STDOUT_FILENO) < 0)
		_exit(1);
	close_range(STDERR_FILENO, UINT_MAX, 0);
	hashed.r = hash_file(STDIN_FILENO, until_ns, hashed.hex);
	_exit(write(STDOUT_FILENO, &hashed, sizeof(hashed)) !=
	      (ssize_t)sizeof(hashed));
}

static int wait_for(int end, int64_t until_ns, struct hashed *ret)
{
	struct pollfd poll_fd = {.fd = end, .events = POLLIN};
	int64_t left_ns;
	ssize_t n;
	int r;

	do {
		/* A little longer than it may take, to say that it was. */
		left_ns = until_ns - clock_monotonic_ns() + CLOCK_NS_PER_S;
		if (left_ns < 0)
			return -ETIME;
		r = poll(&poll_fd, 1, (int)(left_ns / CLOCK_NS_PER_MS) + 1);
	} while (r == 0 || (r < 0 && errno == EINTR));
	n = r < 0 ? -1 : read(end, ret, sizeof(*ret));
	return n == (ssize_t)sizeof(*ret) ? ret->r : -EIO;
}

static int hash_aside(int fd, int64_t until_ns, char ret[static 65])
{
	struct hashed hashed;
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		read_and_tell(fd, ends[1], until_ns);
	r = pid < 0 ? -errno : 0;
	fd_close(ends[1]);
	if (!r)
		r = wait_for(ends[0], until_ns, &hashed);
	fd_close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		/* Where it does not end, it is init's before long. */
		waitpid(pid, NULL, r == -ETIME ? WNOHANG : 0);
	}
	if (!r)
		memcpy(ret, hashed.hex, sizeof(hashed.hex));
	return r;
}

static struct policy_digest identity(const struct stat *st)
{
	return (struct policy_digest){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.changed_ns = st->st_ctim.tv_sec * CLOCK_NS_PER_S +
			      st->st_ctim.tv_nsec,
	};
}

/* A descriptor to read from what resolved has found, or a negative errno. */
static int open_program(const struct resolved *resolved)
{
	char path[64];
	int fd;

	if (!resolved->exists)
		return -ENOENT;
	/* Of /proc and its like, some files change by being read: kmsg. */
	if (!S_ISREG(resolved->st.st_mode) || !resolved->st.st_size)
		return -EINVAL;
	if (resolved->st.st_size > BYTES_MAX)
		return -EFBIG;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", resolved->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int read_program(struct account_entry *account, int fd,
			struct policy_digest *ret, char hex[static 65])
{
	int64_t begun_ns = clock_monotonic_ns();
	struct policy_digest before;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	before = identity(&st);
	r = hash_aside(fd, begun_ns + HASHING_NS_MAX - account->hashing_ns,
		       hex);
	account->hashing_ns += clock_monotonic_ns() - begun_ns;
	if (r)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = identity(&st);
	return memcmp(&before, ret, sizeof(before)) ? -EBUSY : 0;
}

static const char *why(int r)
{
	switch (r) {
	case -EINVAL:
		return "no program";
	case -EFBIG:
		return "over 1 GiB";
	case -ETIME:
		return "too much to read";
	case -EBUSY:
	case -EAGAIN:
		return "being changed";
	default:
		return strerror(-r);
	}
}

struct policy_digest digest_take(struct compiler *compiler,
				 const struct rule_entry *entry,
				 struct account_entry *account,
				 const struct resolved *resolved)
{
	CLEANUP(fd_close) int fd = open_program(resolved);
	struct policy_digest none = {0}, digest = none;
	char hex[65];
	int r = fd < 0 ? fd : read_program(account, fd, &digest, hex);

	/* Other content is no mistake in the configuration either. */
	if (!r && !strcasecmp(hex, entry->sha256))
		return digest;
	if (r == -ENOENT)
		compiler_note(compiler, entry->setting,
			      "%s is not there to be read; it may not be run "
			      "until it is, and the policy is reloaded",
			      resolved->path);
	else if (r)
		compiler_note(compiler, entry->setting,
			      "%s cannot be read (%s); it may not be run until "
			      "it can, and the policy is reloaded",
			      resolved->path, why(r));
	else
		compiler_note(compiler, entry->setting,
			      "%s has the sha256 %s, not the one given; it may "
			      "not be run",
			      resolved->path, hex);
	return none;
}
