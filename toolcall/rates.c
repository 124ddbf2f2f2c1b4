#include "toolcall/rates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/clock.h"

#define WINDOWS_MAX 1024

/* The times of the last max calls, a ring. */
struct window {
	uint32_t uid;
	char *rule; /* owned */
	uint32_t max;
	uint32_t next;
	int64_t *times_ns; /* owned; 0: none */
	int64_t used_ns;
};

struct rates {
	struct window *windows;
	size_t count;
};

int rates_new(struct rates **ret)
{
	struct rates *rates = calloc(1, sizeof(*rates));

	if (!rates)
		return -ENOMEM;
	*ret = rates;
	return 0;
}

static void free_window(struct window *window)
{
	free(window->rule);
	free(window->times_ns);
}

struct rates *rates_free(struct rates *rates)
{
	if (!rates)
		return NULL;
	for (size_t i = 0; i < rates->count; i++)
		free_window(&rates->windows[i]);
	free(rates->windows);
	free(rates);
	return NULL;
}

/* One that nobody has used for longest makes room. */
static struct window *free_slot(struct rates *rates)
{
	struct window *grown, *oldest;

	if (rates->count < WINDOWS_MAX) {
		grown = realloc(rates->windows,
				(rates->count + 1) * sizeof(*grown));
		if (!grown)
			return NULL;
		rates->windows = grown;
		return &grown[rates->count++];
	}
	oldest = &rates->windows[0];
	for (size_t i = 1; i < rates->count; i++)
		if (rates->windows[i].used_ns < oldest->used_ns)
			oldest = &rates->windows[i];
	free_window(oldest);
	return oldest;
}

static struct window *find(struct rates *rates, uint32_t uid, const char *rule,
			   uint32_t max)
{
	struct window made = {.uid = uid, .max = max}, *slot;

	for (size_t i = 0; i < rates->count; i++) {
		struct window *window = &rates->windows[i];

		if (window->uid == uid && window->max == max &&
		    !strcmp(window->rule, rule))
			return window;
	}
	made.rule = strdup(rule);
	made.times_ns = calloc(max, sizeof(*made.times_ns));
	slot = made.rule && made.times_ns ? free_slot(rates) : NULL;
	if (!slot) {
		free_window(&made);
		return NULL;
	}
	*slot = made;
	return slot;
}

bool rates_allow(struct rates *rates, uint32_t uid, const char *rule,
		 uint32_t max, uint32_t per_s, int64_t now_ns, bool take)
{
	struct window *window = find(rates, uid, rule, max);
	int64_t oldest_ns;

	if (!window)
		return false;
	/* The ring is full of calls that are too young: no. */
	oldest_ns = window->times_ns[window->next];
	if (oldest_ns && now_ns - oldest_ns < per_s * CLOCK_NS_PER_S)
		return false;
	window->used_ns = now_ns;
	if (take) {
		window->times_ns[window->next] = now_ns;
		window->next = (window->next + 1) % max;
	}
	return true;
}
