#include "tools/leash/log/learn_hosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/lib/narrow.h"

/* So many names below one domain make it a `*.`. */
#define NAMES_MIN 3

int learn_hosts_add(struct learn_hosts *hosts, const char *host,
		    const char *protocol, unsigned int port, uint64_t uses)
{
	struct learn_host *grown, copy;

	for (size_t i = 0; i < hosts->count; i++) {
		struct learn_host *known = &hosts->hosts[i];

		if (strcmp(known->host, host) ||
		    strcmp(known->protocol, protocol) || known->port != port)
			continue;
		known->uses += uses;
		return 0;
	}
	grown = realloc(hosts->hosts, (hosts->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	hosts->hosts = grown;
	copy = (struct learn_host){
		.host = strdup(host),
		.protocol = strdup(protocol),
		.port = port,
		.uses = uses,
	};
	if (!copy.host || !copy.protocol) {
		free(copy.host);
		free(copy.protocol);
		return -ENOMEM;
	}
	grown[hosts->count++] = copy;
	return 0;
}

/* The domain that a name is directly below, if one may be allowed whole. */
static const char *domain_of(const struct learn_host *host)
{
	const char *dot = strchr(host->host, '.');
	const char *last = strrchr(host->host, '.');

	if (!dot || host->host[0] == '*' || strchr(host->host, ':') ||
	    (last[1] >= '0' && last[1] <= '9'))
		return NULL;
	if (!strchr(dot + 1, '.') || narrow_is_suffix(dot + 1))
		return NULL;
	return dot + 1;
}

static bool are_siblings(const struct learn_host *a, const struct learn_host *b)
{
	const char *domain_a = domain_of(a), *domain_b = domain_of(b);

	return domain_a && domain_b && !strcmp(domain_a, domain_b) &&
	       a->port == b->port && !strcmp(a->protocol, b->protocol);
}

static void remove_at(struct learn_hosts *hosts, size_t index)
{
	free(hosts->hosts[index].host);
	free(hosts->hosts[index].protocol);
	hosts->count--;
	memmove(hosts->hosts + index, hosts->hosts + index + 1,
		(hosts->count - index) * sizeof(*hosts->hosts));
}

void learn_hosts_join(struct learn_hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		struct learn_host *first = &hosts->hosts[i];
		char *whole = NULL;
		size_t names = 0;

		for (size_t j = i; j < hosts->count; j++)
			names += are_siblings(first, &hosts->hosts[j]);
		if (names < NAMES_MIN ||
		    asprintf(&whole, "*.%s", domain_of(first)) < 0)
			continue;
		for (size_t j = hosts->count; --j > i;)
			if (are_siblings(first, &hosts->hosts[j])) {
				first->uses += hosts->hosts[j].uses;
				remove_at(hosts, j);
			}
		free(first->host);
		first->host = whole;
	}
}

void learn_hosts_free(struct learn_hosts *hosts)
{
	while (hosts->count)
		remove_at(hosts, hosts->count - 1);
	free(hosts->hosts);
	hosts->hosts = NULL;
}
