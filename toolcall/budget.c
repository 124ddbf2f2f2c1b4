/*
 * What was taken fades, so nobody can save anything up by not asking, and those
 * who always ask share alike: whoever has had more waits until it has faded to
 * what the others have.  An entry is kept while its account has something or
 * has lately taken something: hanging up does not wipe that out.
 */

#include "toolcall/budget.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "gatekeeper/base/clock.h"

#define LEAST_NS 10000 /* a turn is never free */
#define HALF_NS	 CLOCK_NS_PER_S

struct entry {
	uint32_t account;
	bool used;
	bool waits;
	size_t connections;
	size_t bytes;
	int64_t taken_ns; /* lately, as of at_ns */
	int64_t at_ns;
};

struct budget {
	struct entry entries[BUDGET_ACCOUNTS_MAX];
	size_t connections, bytes;
	int64_t now_ns; /* as last told */
};

int budget_new(struct budget **ret)
{
	struct budget *budget = calloc(1, sizeof(*budget));

	if (!budget)
		return -ENOMEM;
	*ret = budget;
	return 0;
}

struct budget *budget_free(struct budget *budget)
{
	free(budget);
	return NULL;
}

/* By halves, and evenly between them: that is near enough. */
static int64_t taken_by(const struct entry *entry, int64_t now_ns)
{
	int64_t past_ns = now_ns > entry->at_ns ? now_ns - entry->at_ns : 0;
	int64_t left_ns;

	if (past_ns >= 62 * HALF_NS)
		return 0;
	left_ns = entry->taken_ns >> (past_ns / HALF_NS);
	return left_ns -
	       left_ns / 2 * (past_ns % HALF_NS / 1000) / (HALF_NS / 1000);
}

static const struct entry *look_up(const struct budget *budget,
				   uint32_t account)
{
	for (size_t i = 0; i < BUDGET_ACCOUNTS_MAX; i++)
		if (budget->entries[i].used &&
		    budget->entries[i].account == account)
			return &budget->entries[i];
	return NULL;
}

static struct entry *find(struct budget *budget, uint32_t account)
{
	return (struct entry *)(uintptr_t)look_up(budget, account);
}

/*
 * There is always one to be had: those with connections fill half at most.  Of
 * the others the one that has taken least is forgotten.
 */
static struct entry *find_or_make(struct budget *budget, uint32_t account)
{
	struct entry *slot = find(budget, account);

	if (slot)
		return slot;
	for (size_t i = 0; i < BUDGET_ACCOUNTS_MAX; i++) {
		struct entry *entry = &budget->entries[i];

		if (!entry->used) {
			slot = entry;
			break;
		}
		if (!entry->connections &&
		    (!slot || taken_by(entry, budget->now_ns) <
				      taken_by(slot, budget->now_ns)))
			slot = entry;
	}
	assert(slot);
	*slot = (struct entry){
		.account = account,
		.used = true,
		.at_ns = budget->now_ns,
	};
	return slot;
}

int budget_connect(struct budget *budget, uint32_t account)
{
	struct entry *entry;

	if (budget->connections == BUDGET_CONNECTIONS_ALL)
		return BUDGET_FULL;
	entry = find_or_make(budget, account);
	if (entry->connections == BUDGET_CONNECTIONS)
		return BUDGET_FULL;
	entry->connections++;
	budget->connections++;
	return 0;
}

void budget_disconnect(struct budget *budget, uint32_t account)
{
	struct entry *entry = find(budget, account);

	assert(entry && entry->connections);
	budget->connections--;
	if (--entry->connections)
		return;
	assert(!entry->bytes);
	entry->waits = false;
	entry->used = taken_by(entry, budget->now_ns) > 0;
}

int budget_take(struct budget *budget, uint32_t account, size_t bytes)
{
	struct entry *entry = find(budget, account);

	assert(entry && entry->connections);
	if (bytes > BUDGET_BYTES - entry->bytes ||
	    bytes > BUDGET_BYTES_ALL - budget->bytes)
		return BUDGET_FULL;
	entry->bytes += bytes;
	budget->bytes += bytes;
	return 0;
}

void budget_give_back(struct budget *budget, uint32_t account, size_t bytes)
{
	struct entry *entry = find(budget, account);

	assert(entry && entry->bytes >= bytes);
	entry->bytes -= bytes;
	budget->bytes -= bytes;
}

void budget_wait(struct budget *budget, uint32_t account)
{
	struct entry *entry = find(budget, account);

	assert(entry && entry->connections);
	entry->waits = true;
}

bool budget_next(struct budget *budget, int64_t now_ns, uint32_t *ret)
{
	const struct entry *first = NULL;

	for (size_t i = 0; i < BUDGET_ACCOUNTS_MAX; i++) {
		const struct entry *entry = &budget->entries[i];

		if (entry->used && entry->waits &&
		    (!first ||
		     taken_by(entry, now_ns) < taken_by(first, now_ns)))
			first = entry;
	}
	budget->now_ns = now_ns;
	if (!first)
		return false;
	*ret = first->account;
	return true;
}

void budget_served(struct budget *budget, uint32_t account, int64_t taken_ns,
		   int64_t now_ns)
{
	struct entry *entry = find(budget, account);

	assert(entry);
	entry->taken_ns = taken_by(entry, now_ns) +
			  (taken_ns > LEAST_NS ? taken_ns : LEAST_NS);
	entry->at_ns = now_ns;
	entry->waits = false;
	budget->now_ns = now_ns;
}

size_t budget_bytes(const struct budget *budget, uint32_t account)
{
	const struct entry *entry = look_up(budget, account);

	return entry ? entry->bytes : 0;
}

size_t budget_bytes_all(const struct budget *budget)
{
	return budget->bytes;
}
