#include "nfqueue/names/pins.h"

#include <string.h>

#include "gatekeeper/base/hash.h"

static uint64_t set_of(const struct net_memory *memory, uint32_t uid,
		       const struct policy_address *address)
{
	return hash_bytes(hash_seed(memory->hash_seed, uid, 0), address->bytes,
			  sizeof(address->bytes)) %
	       NET_MEMORY_PIN_SETS;
}

static bool is_of(const struct net_pin *pin, uint32_t uid,
		  const struct policy_address *address)
{
	return pin->uid == uid &&
	       !memcmp(&pin->address, address, sizeof(*address));
}

void pins_add(struct net_memory *memory, uint32_t uid,
	      const struct policy_address *address, const char *name,
	      int64_t expires_s)
{
	struct net_pin *set = memory->pins[set_of(memory, uid, address)];
	struct net_pin *slot = set;

	for (int i = 0; i < NET_MEMORY_WAYS; i++) {
		struct net_pin *pin = &set[i];

		if (pin->expires_s && is_of(pin, uid, address) &&
		    !strcmp(pin->name, name)) {
			if (pin->expires_s < expires_s)
				pin->expires_s = expires_s;
			return;
		}
		if (pin->expires_s < slot->expires_s)
			slot = pin;
	}
	slot->expires_s = 0;
	slot->name[HOST_NAME_SIZE - 1] = '\0';
	slot->uid = uid;
	slot->address = *address;
	strncpy(slot->name, name, HOST_NAME_SIZE - 1);
	slot->expires_s = expires_s;
}

uint32_t pins_find(const struct net_memory *memory, uint32_t uid,
		   const struct policy_address *address, int64_t now_s,
		   const char *names[static PINS_NAMES_MAX])
{
	const struct net_pin *set = memory->pins[set_of(memory, uid, address)];
	uint32_t count = 0;

	for (int i = 0; i < NET_MEMORY_WAYS; i++)
		if (set[i].expires_s > now_s && is_of(&set[i], uid, address))
			names[count++] = set[i].name;
	return count;
}
