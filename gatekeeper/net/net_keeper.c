#include "gatekeeper/net/net_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/net/name_services.h"
#include "gatekeeper/net/queue_drops.h"
#include "gatekeeper/net/rule_keeper.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/wire/dns_link.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/net_memory.h"

#define STOP_MS	 2000
#define DROPS_NS CLOCK_NS_PER_S

enum {
	FD_WAKE,
	FD_CHANNEL,
	FD_MEMORY,
	FD_DNS, /* made anew for each gate */
	FD_PROC,
	FDS,
};

struct net_keeper {
	struct event_log *log;
	const struct policy *policy;
	struct keeper *gate; /* owned, like the next */
	struct keeper *dns;
	int fds[FDS]; /* memory and proc are owned */
	int dns_end;  /* while both are started */
	struct rule_keeper *rules;
	struct name_services services;
	struct queue_drops drops;
	uint64_t drops_unsaid;
	int64_t drops_said_ns;
};

/* ---- the gate, and who reads for it */

static int make_memory(int *ret)
{
	CLEANUP(fd_close)
	int fd = memfd_create("leash-net", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t seed;

	if (fd < 0 || ftruncate(fd, sizeof(struct net_memory)) < 0 ||
	    getrandom(&seed, sizeof(seed), 0) < 0 ||
	    pwrite(fd, &seed, sizeof(seed),
		   offsetof(struct net_memory, hash_seed)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	*ret = STEAL_FD(fd);
	return 0;
}

static int make_link(int ret_ends[2])
{
	int bytes = DNS_LINK_BUFFER_BYTES;
	int r = message_pair(ret_ends);

	/* Without it fewer packets can be held at once, which is no failure. */
	for (int i = 0; !r && i < 2; i++)
		if (setsockopt(ret_ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
			       sizeof(bytes)))
			errno = 0;
	return r;
}

static int prepare_dns(void *context, struct helper_given *ret)
{
	struct net_keeper *keeper = context;

	ret->handed_over = keeper->dns_end;
	ret->fds = &keeper->dns_end;
	ret->fd_count = 1;
	return 0;
}

static int prepare_gate(void *context, struct helper_given *ret)
{
	struct net_keeper *keeper = context;
	int ends[2];
	int r = make_link(ends);

	if (r)
		return r;
	ret->handed_over = keeper->fds[FD_DNS] = ends[0];
	keeper->dns_end = ends[1];
	ret->fds = keeper->fds;
	ret->fd_count = FDS;
	return keeper_start(keeper->dns);
}

static void gate_loaded(void *context)
{
	struct net_keeper *keeper = context;

	rule_keeper_follow(keeper->rules, keeper->policy,
			   keeper_generation(keeper->gate));
}

static void gate_died(void *context)
{
	struct net_keeper *keeper = context;

	keeper_end(keeper->dns);
}

/* Without it the gate cannot judge names: both begin anew. */
static void dns_died(void *context)
{
	struct net_keeper *keeper = context;

	keeper_kill(keeper->gate);
}

static int make_keepers(struct net_keeper *keeper,
			const struct helper_house *house)
{
	const struct keeper_setup of_gate = {
		.house = house,
		.row = helper_row(HELPER_NET_GATE),
		.context = keeper,
		.prepare = prepare_gate,
		.loaded = gate_loaded,
		.died = gate_died,
	};
	const struct keeper_setup of_dns = {
		.house = house,
		.row = helper_row(HELPER_DNS),
		.context = keeper,
		.prepare = prepare_dns,
		.died = dns_died,
	};
	int r = keeper_new(&of_gate, &keeper->gate);

	return r ? r : keeper_new(&of_dns, &keeper->dns);
}

int net_keeper_new(const struct helper_house *house, int channel_fd,
		   struct net_keeper **ret)
{
	CLEANUP(net_keeper_free)
	struct net_keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->log = house->log;
	keeper->fds[FD_WAKE] = house->wake;
	keeper->fds[FD_CHANNEL] = channel_fd;
	keeper->fds[FD_MEMORY] = -1;
	keeper->fds[FD_PROC] = process_open_proc();
	if (keeper->fds[FD_PROC] < 0)
		return keeper->fds[FD_PROC];
	r = make_memory(&keeper->fds[FD_MEMORY]);
	if (!r)
		r = rule_keeper_new(house->loop, house->log, &keeper->rules);
	if (!r)
		r = make_keepers(keeper, house);
	if (!r)
		*ret = STEAL(keeper);
	return r;
}

struct net_keeper *net_keeper_free(struct net_keeper *keeper)
{
	if (!keeper)
		return NULL;
	rule_keeper_free(keeper->rules);
	keeper_free(keeper->gate);
	keeper_free(keeper->dns);
	fd_close(keeper->fds[FD_MEMORY]);
	fd_close(keeper->fds[FD_PROC]);
	free(keeper);
	return NULL;
}

/* ---- asked by others */

pid_t net_keeper_pid(const struct net_keeper *keeper)
{
	return keeper_pid(keeper->gate);
}

const char *net_keeper_problem(const struct net_keeper *keeper)
{
	if (!keeper_generation(keeper->gate))
		return "the net gate does not answer";
	return rule_keeper_problem(keeper->rules);
}

uint64_t net_keeper_generation(const struct net_keeper *keeper)
{
	uint64_t generation = rule_keeper_generation(keeper->rules);

	return keeper_generation(keeper->gate) == generation ? generation : 0;
}

/* ---- name services */

static void close_services(struct net_keeper *keeper)
{
	const char *failed =
		name_services_close(&keeper->services, keeper->policy);

	if (failed)
		event_log_warn(
			keeper->log,
			"%s cannot be closed to the leashed accounts (%m): "
			"they can have names looked up there that no rule "
			"allows",
			failed);
}

static bool accounts_differ(const struct policy *one,
			    const struct policy *other)
{
	uint32_t count = policy_account_count(one);

	if (count != policy_account_count(other))
		return true;
	for (uint32_t i = 0; i < count; i++)
		if (policy_account(one, i)->uid !=
		    policy_account(other, i)->uid)
			return true;
	return false;
}

void net_keeper_set_policy(struct net_keeper *keeper,
			   const struct policy *policy, int fd)
{
	if (keeper->policy && accounts_differ(keeper->policy, policy))
		name_services_open(&keeper->services, keeper->policy);
	keeper->policy = policy;
	close_services(keeper);
	/* A task that reads the old one has its own copy of this memory. */
	keeper_set_policy(keeper->gate, policy, fd);
	keeper_set_policy(keeper->dns, policy, fd);
	rule_keeper_follow(keeper->rules, policy,
			   keeper_generation(keeper->gate));
}

/* ---- going on, and the end */

/*
 * Nothing is lost quietly: these packets were refused unjudged.  Looked at
 * often, since the count ends with the queue's reader; said once a second.
 */
static void check_drops(struct net_keeper *keeper, int64_t now_ns)
{
	keeper->drops_unsaid +=
		queue_drops_new(&keeper->drops, keeper->fds[FD_PROC]);
	if (!keeper->drops_unsaid || now_ns - keeper->drops_said_ns < DROPS_NS)
		return;
	event_log_warn(keeper->log,
		       "%" PRIu64
		       " packet(s) came faster than the net gate could "
		       "judge them and were dropped",
		       keeper->drops_unsaid);
	keeper->drops_unsaid = 0;
	keeper->drops_said_ns = now_ns;
}

void net_keeper_tick(struct net_keeper *keeper, int64_t now_ns)
{
	check_drops(keeper, now_ns);
	close_services(keeper); /* one may have just been started */
	keeper_tick(keeper->gate, now_ns);
	rule_keeper_follow(keeper->rules, keeper->policy,
			   keeper_generation(keeper->gate));
}

void net_keeper_stop(struct net_keeper *keeper)
{
	name_services_open(&keeper->services, keeper->policy);
	rule_keeper_remove(keeper->rules);
	keeper_stop(keeper->gate, STOP_MS);
	keeper_end(keeper->dns);
}
