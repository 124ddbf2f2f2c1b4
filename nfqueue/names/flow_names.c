#include "nfqueue/names/flow_names.h"

#include <string.h>

#include "gatekeeper/base/hash.h"

static uint64_t set_of(const struct net_memory *memory,
		       const struct packet *packet)
{
	char key[2 * sizeof(struct policy_address)];

	memcpy(key, &packet->source, sizeof(packet->source));
	memcpy(key + sizeof(packet->source), &packet->destination,
	       sizeof(packet->destination));
	return hash_bytes(hash_seed(memory->hash_seed, packet->source_port,
				    packet->destination_port),
			  key, sizeof(key)) %
	       NET_MEMORY_FLOW_SETS;
}

static bool is_of(const struct net_named_flow *flow, uint32_t uid,
		  const struct packet *packet)
{
	return flow->used_s && flow->uid == uid &&
	       flow->protocol == packet->protocol &&
	       flow->source_port == packet->source_port &&
	       flow->destination_port == packet->destination_port &&
	       !memcmp(&flow->source, &packet->source, sizeof(flow->source)) &&
	       !memcmp(&flow->destination, &packet->destination,
		       sizeof(flow->destination));
}

void flow_names_put(struct net_memory *memory, uint32_t uid,
		    const struct packet *packet, const struct flow_said *said,
		    int64_t now_s)
{
	struct net_named_flow *set = memory->flows[set_of(memory, packet)];
	struct net_named_flow *slot = set;

	for (int i = 0; i < NET_MEMORY_WAYS; i++) {
		if (is_of(&set[i], uid, packet)) {
			slot = &set[i];
			if (said->name != slot->name)
				break;
			/* Judged again by what was written here. */
			slot->used_s = now_s;
			return;
		}
		if (set[i].used_s < slot->used_s)
			slot = &set[i];
	}
	slot->used_s = 0;
	slot->name[HOST_NAME_SIZE - 1] = '\0';
	slot->uid = uid;
	slot->protocol = packet->protocol;
	slot->said = said->said;
	slot->arriving = said->arriving;
	slot->heard_to = said->heard_to;
	slot->source = packet->source;
	slot->destination = packet->destination;
	slot->source_port = packet->source_port;
	slot->destination_port = packet->destination_port;
	strncpy(slot->name, said->name, HOST_NAME_SIZE - 1);
	slot->used_s = now_s;
}

void flow_names_arrived(struct net_memory *memory, uint32_t uid,
			const struct packet *packet)
{
	struct net_named_flow *set = memory->flows[set_of(memory, packet)];

	for (int i = 0; i < NET_MEMORY_WAYS; i++)
		if (is_of(&set[i], uid, packet))
			set[i].arriving = false;
}

void flow_names_forget(struct net_memory *memory, uint32_t uid,
		       const struct packet *packet)
{
	struct net_named_flow *set = memory->flows[set_of(memory, packet)];

	for (int i = 0; i < NET_MEMORY_WAYS; i++)
		if (is_of(&set[i], uid, packet))
			set[i].used_s = 0;
}

const struct net_named_flow *flow_names_find(const struct net_memory *memory,
					     uint32_t uid,
					     const struct packet *packet)
{
	const struct net_named_flow *set =
		memory->flows[set_of(memory, packet)];

	for (int i = 0; i < NET_MEMORY_WAYS; i++)
		if (is_of(&set[i], uid, packet))
			return &set[i];
	return NULL;
}
