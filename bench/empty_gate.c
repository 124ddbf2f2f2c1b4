/*
 * empty_gate - what any gate costs: answers allow and knows nothing
 *
 * Waits for events exactly as leash-fanotify does (base/busy_poll.h): after an
 * event it looks for the next for 500 microseconds, as long as that has lately
 * been worth it and nobody else wants the processor.
 */

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 500000
#define CROWDED_NS  20000
#define PAUSE_NS    20000000
#define CREDIT_MAX  16
#define CREDIT_COST 4

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int answer_batch(int group)
{
	struct fanotify_event_metadata events[32];
	const struct fanotify_event_metadata *event = events;
	ssize_t left = read(group, events, sizeof(events));
	int count = 0;

	for (; FAN_EVENT_OK(event, left);
	     event = FAN_EVENT_NEXT(event, left), count++) {
		struct fanotify_response response = {
			.fd = event->fd,
			.response = FAN_ALLOW,
		};

		if (write(group, &response, sizeof(response)) < 0)
			perror("respond");
		close(event->fd);
	}
	return count;
}

static void answer_all(int group, int *credit, int64_t *last_ns)
{
	static int64_t crowded_until_ns;
	int64_t idle_since_ns = 0;

	for (;;) {
		int count = answer_batch(group);
		int64_t now = now_ns();

		if (count > 0) {
			if (now - *last_ns < PATIENCE_NS &&
			    *credit < CREDIT_MAX)
				++*credit;
			*last_ns = now;
			idle_since_ns = 0;
			continue;
		}
		if (*credit <= 0 || now < crowded_until_ns)
			return;
		if (!idle_since_ns)
			idle_since_ns = now;
		if (now - idle_since_ns > PATIENCE_NS) {
			*credit -= CREDIT_COST;
			return;
		}
		sched_yield();
		if (now_ns() - now > CROWDED_NS)
			crowded_until_ns = now_ns() + PAUSE_NS;
	}
}

int main(int argc, char **argv)
{
	struct pollfd waiting = {.events = POLLIN};
	int64_t last_ns = 0;
	int credit = 0;

	if (argc != 2)
		return 2;
	waiting.fd =
		fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
				      FAN_UNLIMITED_QUEUE |
				      FAN_UNLIMITED_MARKS | FAN_REPORT_TID,
			      O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME);
	(void)!nice(-5);
	if (waiting.fd < 0 ||
	    fanotify_mark(waiting.fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
			  FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM | FAN_ONDIR,
			  AT_FDCWD, argv[1]) < 0)
		perror("fanotify");
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(&waiting, 1, -1);
		answer_all(waiting.fd, &credit, &last_ns);
	}
}
