#pragma once

/*
 * budget - what each account may take of the tool gate, and what it has taken
 *
 * Three sums: connections that are open, bytes that are kept for them (requests
 * that come in, answers that nobody has fetched yet), and processor time.  The
 * first two have bounds, an account's and everybody's.  Time has none, but
 * decides who is next: whoever has taken least lately (half of it is forgotten
 * each second), so that an account whose requests cost much waits for the
 * others, and they for no more than the one request of its that is under way.
 *
 * An account is known by its own uid, whichever of its uids asks.  Pure: the
 * caller measures.  Bounded by BUDGET_ACCOUNTS_MAX.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

#define BUDGET_CONNECTIONS     64  /* of one account */
#define BUDGET_CONNECTIONS_ALL 512 /* of all: eight that take what they can */
#define BUDGET_BYTES	       ((size_t)64 << 20)
#define BUDGET_BYTES_ALL       ((size_t)256 << 20)
#define BUDGET_ACCOUNTS_MAX    (2 * BUDGET_CONNECTIONS_ALL)

struct budget;

/* Expected outcome. */
enum {
	BUDGET_FULL = 1, /* nothing was taken */
};

MUST_CHECK int budget_new(struct budget **ret);
struct budget *budget_free(struct budget *budget);
DEFINE_CLEANUP(struct budget *, budget_free)

/* Open one connection more, and close one that was opened. */
MUST_CHECK int budget_connect(struct budget *budget, uint32_t account);
void budget_disconnect(struct budget *budget, uint32_t account);

/* So many bytes more, of an account with a connection; and give them back. */
MUST_CHECK int budget_take(struct budget *budget, uint32_t account,
			   size_t bytes);
void budget_give_back(struct budget *budget, uint32_t account, size_t bytes);

/* An account with a connection has a request that waits. */
void budget_wait(struct budget *budget, uint32_t account);

/* The account of those that wait whose turn it is; false: nobody waits. */
bool budget_next(struct budget *budget, int64_t now_ns, uint32_t *ret);

/*
 * It had its turn, which took that much of the processor and ended now; it
 * waits no more.  To be said before a connection of its is closed, or what was
 * taken could be forgotten.
 */
void budget_served(struct budget *budget, uint32_t account, int64_t taken_ns,
		   int64_t now_ns);

/* For tests: what an account has, and what all have. */
size_t budget_bytes(const struct budget *budget, uint32_t account);
size_t budget_bytes_all(const struct budget *budget);
