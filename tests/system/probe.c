/*
 * probe - opens files in the ways that Python does not offer
 *
 * Run as an account by the system tests.  Prints one line: what was asked
 * for, in numbers, or "ok", or the name of an errno.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int say(int r)
{
	puts(r >= 0 ? "ok" : strerrorname_np(-r));
	return 0;
}

static int by_uring(const char *path, int flags)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int r = io_uring_queue_init(4, &ring, 0);

	if (r < 0)
		return r;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, path, flags,
			     0600);
	io_uring_submit(&ring);
	r = io_uring_wait_cqe(&ring, &cqe);
	return r < 0 ? r : cqe->res;
}

/*
 * An open that io_uring begins while the thread that asked for it sleeps in a
 * call that opens something for reading.  Where the open comes off, the file
 * is written to.
 */
struct late {
	struct io_uring ring;
	const char *fifo;
	long call; /* the number of open() or openat() */
};

static void *ask_and_sleep(void *context)
{
	struct late *late = context;

	io_uring_submit(&late->ring);
#ifdef SYS_open
	if (late->call == SYS_open) {
		syscall(SYS_open, late->fifo, O_RDONLY);
		return NULL;
	}
#endif
	syscall(SYS_openat, AT_FDCWD, late->fifo, O_RDONLY);
	return NULL;
}

static int result_of(struct io_uring *ring, uint64_t wanted)
{
	for (;;) {
		struct io_uring_cqe *cqe;
		int r = io_uring_wait_cqe(ring, &cqe), res;

		if (r < 0)
			return r;
		res = cqe->res;
		if (cqe->user_data == wanted)
			return res;
		io_uring_cqe_seen(ring, cqe);
	}
}

static int by_late_uring(char **arguments)
{
	const char *how = arguments[3];
	struct late late = {
		.fifo = arguments[2],
		.call = SYS_openat,
	};
	struct io_uring_sqe *sqe;
	pthread_t thread;
	int pipes[2], r = io_uring_queue_init(4, &late.ring, 0);

	if (r < 0 || pipe(pipes) < 0)
		return r < 0 ? r : -errno;
#ifdef SYS_open
	if (strstr(how, "open"))
		late.call = SYS_open;
#endif
	sqe = io_uring_get_sqe(&late.ring);
	io_uring_prep_poll_add(sqe, pipes[0], POLLIN);
	sqe->flags = IOSQE_IO_LINK;
	sqe->user_data = 1;
	sqe = io_uring_get_sqe(&late.ring);
	io_uring_prep_openat(sqe, AT_FDCWD, arguments[0], atoi(arguments[1]),
			     0600);
	sqe->flags = strstr(how, "worker") ? IOSQE_ASYNC : 0;
	sqe->user_data = 2;
	pthread_create(&thread, NULL, ask_and_sleep, &late);
	usleep(300000); /* it sleeps by then */
	if (write(pipes[1], "x", 1) != 1)
		return -errno;
	r = result_of(&late.ring, 2);
	if (r >= 0 && write(r, "changed", 7) < 0 && errno != EBADF)
		return -errno;
	return r;
}

static int by_openat2(const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned int)flags};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static int by_handle(const char *path, const char *mount, int flags)
{
	struct {
		struct file_handle head;
		unsigned char bytes[128];
	} handle = {.head.handle_bytes = 128};
	int mount_id, mount_fd = open(mount, O_PATH);
	int fd;

	if (mount_fd < 0 ||
	    name_to_handle_at(AT_FDCWD, path, &handle.head, &mount_id, 0) < 0)
		return -errno;
	close(mount_fd);
	mount_fd = open(mount, O_RDONLY | O_DIRECTORY);
	if (mount_fd < 0)
		return -errno;
	fd = open_by_handle_at(mount_fd, &handle.head, flags);
	return fd < 0 ? -errno : fd;
}

/* Threads that all open at once. */
static struct {
	const char *path;
	pthread_barrier_t barrier;
	atomic_int opened, denied, other;
} storm;

static void *storm_thread(void *context)
{
	int fd;

	(void)context;
	pthread_barrier_wait(&storm.barrier);
	fd = open(storm.path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		storm.opened++;
	} else if (errno == EPERM) {
		storm.denied++;
	} else {
		storm.other++;
	}
	return NULL;
}

static int run_storm(int count, const char *path)
{
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));
	pthread_attr_t small;
	int made = 0;

	storm.path = path;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&storm.barrier, NULL, (unsigned int)count);
	for (; made < count; made++)
		if (pthread_create(&threads[made], &small, storm_thread, NULL))
			break;
	if (made < count) {
		printf("only %d threads\n", made);
		_exit(1);
	}
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%d %d %d\n", storm.opened, storm.denied, storm.other);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Fork as fast as can be for some seconds; each child opens one file, which
 * for all of them must have the same outcome.
 */
static int run_forks(double seconds, const char *path, int wanted)
{
	double end = now() + seconds;
	long right = 0, wrong = 0;

	while (now() < end) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			int fd = open(path, O_RDONLY);

			_exit(fd >= 0 ? 0 : errno);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			continue;
		if (WIFEXITED(status) && WEXITSTATUS(status) == wanted)
			right++;
		else
			wrong++;
	}
	printf("%ld %ld\n", right, wrong);
	return 0;
}

/*
 * Open an allowed and a denied file in turn.  Prints: allowed opens that
 * worked, that were refused, denied opens that worked, that were refused, and
 * the longest time one took, in milliseconds.
 */
static int run_hammer(double seconds, const char *allowed, const char *denied)
{
	double end = now() + seconds, longest = 0;
	long counts[4] = {0};

	while (now() < end) {
		for (int which = 0; which < 2; which++) {
			double begin = now();
			int fd = open(which ? denied : allowed,
				      O_RDONLY | O_CLOEXEC);
			double took = now() - begin;

			if (took > longest)
				longest = took;
			counts[2 * which + (fd < 0)]++;
			if (fd >= 0)
				close(fd);
		}
	}
	printf("%ld %ld %ld %ld %.1f\n", counts[0], counts[1], counts[2],
	       counts[3], longest * 1000);
	return 0;
}

/*
 * The witness: until SIGTERM, open, run or watch one path after the other; say
 * what went otherwise than it must, and what took long, each with its time:
 *
 *     wrong PATH BEGIN OUTCOME	   an errno, or ran
 *     slow PATH BEGIN MS	   MS in the gates, where it is watched
 *     at NOW COUNT...		   five times a second, one per path
 *
 * A path is +PATH, which must work, or -PATH, which must not; or +=IN,OUT, two
 * descriptors, at which another process sends back what it gets: what it costs
 * at this moment to wait for anybody.
 */
#define SLOW_MS 20

static volatile sig_atomic_t witnessed;

static void end_witness(int number)
{
	(void)number;
	witnessed = 1;
}

/* 0, or what hindered it. */
static int run_program(const char *path)
{
	char *arguments[] = {(char *)(uintptr_t)path, (char *)"-c", (char *)":",
			     NULL};
	int status = 0, r;
	pid_t pid;

	r = posix_spawn(&pid, path, NULL, NULL, arguments, environ);
	if (r)
		return r;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? ECANCELED : 0;
}

/* Does the process wait for a gate? */
static bool is_asked_about(int wchan_fd)
{
	char function[64] = "";

	return pread(wchan_fd, function, sizeof(function) - 1, 0) > 0 &&
	       strstr(function, "fanotify");
}

/*
 * Wait until the child has ended.  How long it waited for gates meanwhile, in
 * ms: of a program's time that is the part which is of our making.  The rest
 * may be anybody's, such as the kernel's who takes memory back.
 */
static double wait_for_child(pid_t pid)
{
	char path[40];
	struct pollfd waiting = {.events = POLLIN};
	double waited = 0, last = now();
	int wchan_fd;

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	wchan_fd = open(path, O_RDONLY | O_CLOEXEC);
	waiting.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	while (poll(&waiting, 1, SLOW_MS / 4) <= 0) {
		bool is_asked = is_asked_about(wchan_fd);
		double at = now();

		waited += is_asked ? at - last : 0;
		last = at;
	}
	close(waiting.fd);
	close(wchan_fd);
	return waited * 1000;
}

/* As run_program(), and how long it waited: too dear to be done by many. */
static int watch_program(const char *path, double *ret_waited)
{
	char *arguments[] = {(char *)(uintptr_t)path, (char *)"-c", (char *)":",
			     NULL};
	int ends[2], status = 0, r = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return errno;
	pid = fork();
	if (pid < 0)
		return errno;
	if (!pid) {
		execve(path, arguments, environ);
		r = errno;
		_exit(write(ends[1], &r, sizeof(r)) != sizeof(r));
	}
	close(ends[1]);
	*ret_waited = wait_for_child(pid);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* Nothing there: it was executed. */
	if (read(ends[0], &r, sizeof(r)) != sizeof(r))
		r = status ? ECANCELED : 0;
	close(ends[0]);
	return r;
}

static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_echo(const char *ends)
{
	int in = -1, out = -1;
	char byte = 0;

	if (sscanf(ends, "=%d,%d", &in, &out) != 2)
		return EINVAL;
	return write(in, &byte, 1) == 1 && read(out, &byte, 1) == 1 ? 0 : EIO;
}

static void witness_one(char what, const char *path)
{
	double begin = now(), took = 0;
	int r = path[1] == '=' ? try_echo(path + 1)
		: what == 'w'  ? watch_program(path + 1, &took)
		: what == 'r'  ? run_program(path + 1)
			       : try_open(path + 1);

	if (what != 'w')
		took = (now() - begin) * 1000;
	if (took > SLOW_MS)
		printf("slow %s %.3f %.1f\n", path, begin, took);
	if ((r == 0) != (*path == '+'))
		printf("wrong %s %.3f %s\n", path, begin,
		       r ? strerrorname_np(r) : "worked");
}

static void witness_count(const long *counts, int paths)
{
	printf("at %.3f", now());
	for (int i = 0; i < paths; i++)
		printf(" %ld", counts[i]);
	puts("");
}

static int run_witness(const char *what, int pause_us, char **paths)
{
	long counts[16] = {0};
	int count = 0;
	double said = now();

	signal(SIGTERM, end_witness);
	while (paths[count] && count < 16)
		count++;
	while (!witnessed) {
		for (int i = 0; i < count && !witnessed; i++) {
			witness_one(*what, paths[i]);
			counts[i]++;
		}
		if (now() - said > 0.2) {
			witness_count(counts, count);
			said = now();
		}
		if (pause_us)
			usleep((useconds_t)pause_us);
	}
	witness_count(counts, count);
	return 0;
}

/* Readers in one folder while a writer works in another: all must succeed. */
static atomic_int failures;
static atomic_bool finished;

static void *reader(void *path)
{
	while (!finished) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			failures++;
		else
			close(fd);
	}
	return NULL;
}

static int run_mixed(double seconds, char *read_path, const char *write_path)
{
	pthread_t threads[3];
	double end = now() + seconds;

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, reader, read_path);
	while (now() < end) {
		int fd = open(write_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			failures++;
		else
			close(fd);
	}
	finished = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("%d\n", failures);
	return 0;
}

/* Fail an exec of an allowed program, then try a loader on a denied one. */
static int run_too_big(char *allowed, char *loader, char *denied)
{
	static char big[256 * 1024];
	char *arguments[] = {allowed, big, NULL};
	char *second[] = {loader, denied, NULL};

	memset(big, 'x', sizeof(big) - 1);
	execv(allowed, arguments); /* E2BIG, after the kernel has asked */
	execv(loader, second);
	return say(-errno);
}

/* Run a program from a memfd. */
static int run_memfd(const char *path)
{
	static char bytes[4 << 20];
	char *arguments[] = {(char *)"memfd", NULL};
	char *environment[] = {NULL};
	int in = open(path, O_RDONLY), out;
	ssize_t n;

	if (in < 0)
		return say(-errno);
	n = read(in, bytes, sizeof(bytes));
	out = memfd_create("x", MFD_CLOEXEC);
	if (n < 0 || write(out, bytes, (size_t)n) != n)
		return say(-EIO);
	fexecve(out, arguments, environment);
	return say(-errno);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "uring"))
		return say(by_uring(argv[2], atoi(argv[3])));
	if (!strcmp(what, "uring-late"))
		return say(by_late_uring(argv + 2));
	if (!strcmp(what, "openat2"))
		return say(by_openat2(argv[2], atoi(argv[3])));
	if (!strcmp(what, "handle"))
		return say(by_handle(argv[2], argv[3], atoi(argv[4])));
	if (!strcmp(what, "storm"))
		return run_storm(atoi(argv[2]), argv[3]);
	if (!strcmp(what, "forks"))
		return run_forks(atof(argv[2]), argv[3], atoi(argv[4]));
	if (!strcmp(what, "hammer"))
		return run_hammer(atof(argv[2]), argv[3], argv[4]);
	if (!strcmp(what, "witness") && argc > 4)
		return run_witness(argv[2], atoi(argv[3]), argv + 4);
	if (!strcmp(what, "mixed"))
		return run_mixed(atof(argv[2]), argv[3], argv[4]);
	if (!strcmp(what, "too-big"))
		return run_too_big(argv[2], argv[3], argv[4]);
	if (!strcmp(what, "memfd"))
		return run_memfd(argv[2]);
	fputs("probe: see its source\n", stderr);
	return 2;
}
