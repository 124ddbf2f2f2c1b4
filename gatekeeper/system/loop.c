#include "gatekeeper/system/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "gatekeeper/base/fd.h"

#define EVENTS_MAX 16

struct loop {
	int epoll; /* owned */
	/* What the turn under way has been told, and how far it has come. */
	struct epoll_event events[EVENTS_MAX];
	int count, at;
};

int loop_new(struct loop **ret)
{
	CLEANUP(loop_free) struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;
	*ret = STEAL(loop);
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	fd_close(loop->epoll);
	free(loop);
	return NULL;
}

int loop_fd(const struct loop *loop)
{
	return loop->epoll;
}

int loop_add(struct loop *loop, struct loop_source *source)
{
	struct epoll_event event = {
		.events = source->events ? source->events : EPOLLIN,
		.data.ptr = source,
	};

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return -errno;
	source->loop = loop;
	return 0;
}

void loop_remove(struct loop_source *source)
{
	struct loop *loop = source->loop;

	if (!loop)
		return;
	source->loop = NULL;
	(void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	for (int i = loop->at; i < loop->count; i++)
		if (loop->events[i].data.ptr == source)
			loop->events[i].data.ptr = NULL;
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	int called = 0;

	loop->at = 0;
	loop->count =
		epoll_wait(loop->epoll, loop->events, EVENTS_MAX, timeout_ms);
	if (loop->count < 0) {
		loop->count = 0;
		return errno == EINTR ? 0 : -errno;
	}
	while (loop->at < loop->count) {
		struct loop_source *source = loop->events[loop->at++].data.ptr;

		if (!source)
			continue;
		source->happened(source->context);
		called++;
	}
	loop->count = 0;
	return called;
}
