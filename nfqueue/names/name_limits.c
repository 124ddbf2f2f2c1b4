/*
 * Names are kept as hashes in a table that a new minute empties; where there
 * is no room for another, that is one too many.
 */

#include "nfqueue/names/name_limits.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "gatekeeper/base/hash.h"
#include "gatekeeper/policy/image.h"

#define NAMES_MAX  65536 /* a power of two; at most half of it is used */
#define COUNTS_MAX 256
#define MINUTE_S   60

struct count {
	uint32_t uid;
	uint32_t rule;
	uint32_t names; /* 0: free */
};

struct name_limits {
	uint64_t seed;
	int64_t minute;
	uint32_t used;
	uint64_t names[NAMES_MAX]; /* 0: free */
	struct count counts[COUNTS_MAX];
};

int name_limits_new(struct name_limits **ret)
{
	CLEANUP(name_limits_free)
	struct name_limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		return -ENOMEM;
	if (getrandom(&limits->seed, sizeof(limits->seed), 0) < 0)
		return -errno;
	*ret = STEAL(limits);
	return 0;
}

struct name_limits *name_limits_free(struct name_limits *limits)
{
	free(limits);
	return NULL;
}

/* The slot of that hash, or the free one where it belongs. */
static uint64_t *slot_of(struct name_limits *limits, uint64_t hash)
{
	for (uint64_t i = hash % NAMES_MAX;; i = (i + 1) % NAMES_MAX)
		if (!limits->names[i] || limits->names[i] == hash)
			return &limits->names[i];
}

static struct count *count_of(struct name_limits *limits, uint32_t uid,
			      uint32_t rule)
{
	for (int i = 0; i < COUNTS_MAX; i++) {
		struct count *count = &limits->counts[i];

		if (!count->names)
			*count = (struct count){uid, rule, 0};
		if (count->uid == uid && count->rule == rule)
			return count;
	}
	return NULL;
}

bool name_limits_take(struct name_limits *limits, uint32_t uid, uint32_t rule,
		      const char *name, uint32_t most, int64_t now_s)
{
	uint64_t hash = hash_bytes(hash_seed(limits->seed, uid, rule), name,
				   strlen(name));
	struct count *count;
	uint64_t *slot;

	if (limits->minute != now_s / MINUTE_S) {
		memset(limits->names, 0, sizeof(limits->names));
		memset(limits->counts, 0, sizeof(limits->counts));
		limits->used = 0;
		limits->minute = now_s / MINUTE_S;
	}
	hash += !hash; /* 0 is a free slot */
	slot = slot_of(limits, hash);
	if (*slot)
		return true;
	count = count_of(limits, uid, rule);
	if (!count || count->names >= most || limits->used >= NAMES_MAX / 2)
		return false;
	*slot = hash;
	limits->used++;
	count->names++;
	return true;
}
