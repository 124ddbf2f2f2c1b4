#include "tools/leash/check_hosts.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/clock.h"

#define PATIENCE_NS (10 * CLOCK_NS_PER_S)
#define LOOK_MS	    100

struct host {
	char *place; /* owned, and host within it */
	const char *name;
	bool answered;
	int status; /* ARES_ */
};

struct hosts {
	struct host *entries; /* owned */
	size_t count;
};

static void free_hosts(struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		free(hosts->entries[i].place);
	free(hosts->entries);
}

static int add(struct hosts *hosts, const char *line)
{
	struct host *grown =
		realloc(hosts->entries, (hosts->count + 1) * sizeof(*grown));
	char *place, *name;

	if (!grown)
		return -ENOMEM;
	hosts->entries = grown;
	place = strdup(line);
	if (!place)
		return -ENOMEM;
	place[strcspn(place, "\n")] = '\0';
	name = strrchr(place, ' ');
	if (!name || name == place || name[-1] != ':') {
		free(place);
		return 0; /* another of gatekeeper's words */
	}
	name[-1] = '\0';
	hosts->entries[hosts->count++] = (struct host){place, name + 1, 0, 0};
	return 0;
}

static void take_answer(void *context, int status, int timeouts,
			struct ares_addrinfo *result)
{
	struct host *host = context;

	(void)timeouts;
	host->answered = true;
	host->status = status;
	if (result)
		ares_freeaddrinfo(result);
}

static bool all_answered(const struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (!hosts->entries[i].answered)
			return false;
	return true;
}

static void wait_for_answers(ares_channel channel, const struct hosts *hosts)
{
	int64_t end_ns = clock_monotonic_ns() + PATIENCE_NS;

	while (!all_answered(hosts) && clock_monotonic_ns() < end_ns) {
		struct timeval wait = {.tv_usec = LOOK_MS * 1000};
		fd_set readers, writers;
		int count;

		FD_ZERO(&readers);
		FD_ZERO(&writers);
		count = ares_fds(channel, &readers, &writers);
		if (select(count, &readers, &writers, NULL, &wait) < 0)
			continue;
		ares_process(channel, &readers, &writers);
	}
	ares_cancel(channel); /* what is left is told so */
}

static int look_up(struct hosts *hosts)
{
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC};
	ares_channel channel;

	if (ares_library_init(ARES_LIB_INIT_ALL))
		return -ENOMEM;
	if (ares_init(&channel)) {
		ares_library_cleanup();
		return -ENOMEM;
	}
	for (size_t i = 0; i < hosts->count; i++)
		ares_getaddrinfo(channel, hosts->entries[i].name, NULL, &hints,
				 take_answer, &hosts->entries[i]);
	wait_for_answers(channel, hosts);
	ares_destroy(channel);
	ares_library_cleanup();
	return 0;
}

static const char *problem_of(const struct host *host)
{
	switch (host->status) {
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
		return "no such name; is it spelt right?";
	case ARES_ECANCELLED:
		return "no answer within ten seconds";
	default:
		return ares_strerror(host->status);
	}
}

int check_hosts(FILE *list, check_hosts_fn report, void *context)
{
	struct hosts hosts = {NULL, 0};
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (!r && getline(&line, &size, list) > 0)
		r = add(&hosts, line);
	if (!r && hosts.count)
		r = look_up(&hosts);
	for (size_t i = 0; r >= 0 && i < hosts.count; i++) {
		const struct host *host = &hosts.entries[i];

		if (host->status == ARES_SUCCESS)
			continue;
		report(context, host->place, host->name, problem_of(host));
		r++;
	}
	free_hosts(&hosts);
	return r;
}
