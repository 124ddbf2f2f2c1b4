#pragma once

/*
 * check_hosts - look up the hosts that rules allow by name
 *
 * A name that nobody has is most often one spelt wrong, and the first that the
 * agent would tell of it is a refusal.  Looking names up also has the resolver
 * know them before the agent asks.  It is no evidence: an address counts for a
 * name only once the account has looked it up itself.
 */

#include <stdio.h>

/* Told of each name without an address: where it stands, and what is wrong. */
typedef void (*check_hosts_fn)(void *context, const char *place,
			       const char *host, const char *problem);

/*
 * Look up the names in a list of `PLACE: NAME` lines, all at once and for at
 * most ten seconds.  How many have no address, or a negative errno.
 */
int check_hosts(FILE *list, check_hosts_fn report, void *context);
