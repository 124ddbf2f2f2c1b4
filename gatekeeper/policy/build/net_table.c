#include "gatekeeper/policy/build/net_table.h"

#include <errno.h>
#include <string.h>

static int make_slots(struct array *slots, uint32_t count)
{
	int r = array_zeroed(slots, count, sizeof(struct policy_net));

	for (uint32_t i = 0; !r && i < count; i++)
		ARRAY_AT(*slots, struct policy_net, i)->reaches = POLICY_NONE;
	return r;
}

int net_table_init(struct net_table *nets, uint64_t seed)
{
	nets->seed = seed;
	return make_slots(&nets->slots, 16);
}

void net_table_done(struct net_table *nets)
{
	free(nets->slots.entries);
	free(nets->reaches.entries);
}

/* The slot of a net, or the empty one where it belongs. */
static struct policy_net *find_slot(const struct net_table *nets,
				    const struct policy_net *net)
{
	uint32_t mask = nets->slots.count - 1;
	uint64_t hash = policy_net_hash(nets->seed, net->account, &net->address,
					net->length);

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		struct policy_net *slot =
			ARRAY_AT(nets->slots, struct policy_net, i);

		if (slot->reaches == POLICY_NONE ||
		    (slot->account == net->account &&
		     slot->length == net->length &&
		     !memcmp(&slot->address, &net->address,
			     sizeof(slot->address))))
			return slot;
	}
}

static int grow(struct net_table *nets)
{
	struct array old = nets->slots;

	if (nets->used < old.count / 2)
		return 0;
	if (make_slots(&nets->slots, old.count * 2)) {
		nets->slots = old;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < old.count; i++) {
		const struct policy_net *net =
			ARRAY_AT(old, struct policy_net, i);

		if (net->reaches != POLICY_NONE)
			*find_slot(nets, net) = *net;
	}
	free(old.entries);
	return 0;
}

int net_table_push(struct net_table *nets, const struct policy_reach *reach,
		   uint32_t *first)
{
	struct policy_reach linked = *reach;

	linked.next = *first;
	return array_add(&nets->reaches, &linked, sizeof(linked), first);
}

int net_table_add(struct net_table *nets, const struct policy_net *net,
		  const struct policy_reach *reach)
{
	struct policy_net *slot;
	uint32_t first;
	int r = grow(nets);

	if (r)
		return r;
	slot = find_slot(nets, net);
	first = slot->reaches;
	r = net_table_push(nets, reach, &first);
	if (r)
		return r;
	if (slot->reaches == POLICY_NONE) {
		*slot = *net;
		nets->used++;
	}
	slot->reaches = first;
	return 0;
}
