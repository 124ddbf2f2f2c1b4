#include "gatekeeper/net/queue_drops.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/net_queue.h"

#define QUEUES_PATH "self/net/netfilter/nfnetlink_queue"

uint64_t queue_drops_parse(const char *text)
{
	uint64_t total = 0;

	while (*text) {
		uint32_t queue;
		uint64_t full, unsent;

		/* queue, reader, waiting, copy mode and range, then: */
		if (sscanf(text,
			   "%" SCNu32 " %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
			   &queue, &full, &unsent) == 3 &&
		    (queue == NET_QUEUE_OUT || queue == NET_QUEUE_IN ||
		     queue == NET_QUEUE_DNS))
			total += full + unsent;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return total;
}

uint64_t queue_drops_new(struct queue_drops *drops, int proc)
{
	char text[4096];
	uint64_t total, more;

	if (fd_read_at(proc, QUEUES_PATH, text, sizeof(text)) < 0)
		return 0;
	total = queue_drops_parse(text);
	/* Fewer than before: a new reader, counted from nought. */
	more = total < drops->last ? total : total - drops->last;
	drops->last = total;
	return more;
}
