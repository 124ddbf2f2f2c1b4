/*
 * measure - how long one open, or one exec, takes
 *
 *   measure open PATH SECONDS      open and close
 *   measure exec PROGRAM SECONDS   vfork, exec, wait
 *
 * Prints the median and the 99th percentile in microseconds.
 */

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 2000000

extern char **environ;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void open_once(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void exec_once(const char *path)
{
	char *arguments[] = {(char *)(uintptr_t)path, NULL};
	pid_t pid;
	int status;

	if (posix_spawn(&pid, path, NULL, NULL, arguments, environ) ||
	    waitpid(pid, &status, 0) < 0 || status) {
		fprintf(stderr, "%s: cannot run\n", path);
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	const int64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

int main(int argc, char **argv)
{
	static int64_t samples[SAMPLES_MAX];
	void (*once)(const char *);
	int64_t end_ns, warm_ns;
	size_t count = 0;

	if (argc != 4)
		return 2;
	once = strcmp(argv[1], "exec") ? open_once : exec_once;
	warm_ns = now_ns() + 200000000;
	while (now_ns() < warm_ns)
		once(argv[2]);
	end_ns = now_ns() + (int64_t)(atof(argv[3]) * 1e9);
	while (count < SAMPLES_MAX) {
		int64_t begin_ns = now_ns();

		if (begin_ns > end_ns)
			break;
		once(argv[2]);
		samples[count++] = now_ns() - begin_ns;
	}
	qsort(samples, count, sizeof(samples[0]), by_value);
	printf("%.2f %.2f\n", (double)samples[count / 2] / 1e3,
	       (double)samples[count - count / 100 - 1] / 1e3);
	return 0;
}
