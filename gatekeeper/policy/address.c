#include "gatekeeper/policy/address.h"

#include <arpa/inet.h>
#include <string.h>

int address_read(const char *text, struct policy_address *ret)
{
	*ret = (struct policy_address){{0}};
	if (inet_pton(AF_INET, text, ret->bytes + 12) == 1) {
		ret->bytes[10] = ret->bytes[11] = 0xff;
		return AF_INET;
	}
	return inet_pton(AF_INET6, text, ret->bytes) == 1 ? AF_INET6 : 0;
}

struct block {
	uint8_t bytes[16];
	uint32_t length;
};

static const struct block ipv4_blocks[] = {
	{{0}, 8},	   /* this network */
	{{10}, 8},	   /* private */
	{{100, 64}, 10},   /* carrier's private */
	{{127}, 8},	   /* this machine */
	{{169, 254}, 16},  /* link; metadata services */
	{{172, 16}, 12},   /* private */
	{{192, 0, 0}, 24}, /* protocol assignments */
	{{192, 168}, 16},  /* private */
	{{198, 18}, 15},   /* benchmarks */
	{{224}, 4},	   /* multicast */
	{{240}, 4},	   /* reserved, broadcast */
};

static const struct block ipv6_blocks[] = {
	{{0}, 96}, /* none, this machine, IPv4-compatible */
	{{0, 0x64, 0xff, 0x9b, 0, 1}, 48}, /* local NAT64 */
	{{0xfc}, 7},			   /* unique local */
	{{0xfe, 0x80}, 10},		   /* link */
	{{0xfe, 0xc0}, 10},		   /* site, once */
	{{0xff}, 8},			   /* multicast */
};

/* Where IPv6 addresses carry an IPv4 one, and at which byte. */
static const struct {
	struct block block;
	size_t at;
} carriers[] = {
	{{{[10] = 0xff, [11] = 0xff}, 96}, 12}, /* mapped */
	{{{0, 0x64, 0xff, 0x9b}, 96}, 12},	/* NAT64 */
	{{{0x20, 0x02}, 16}, 2},		/* 6to4 */
};

static bool is_within(const uint8_t *bytes, const struct block *block)
{
	uint32_t whole = block->length / 8, rest = block->length % 8;

	return !memcmp(bytes, block->bytes, whole) &&
	       (!rest || !((bytes[whole] ^ block->bytes[whole]) >> (8 - rest)));
}

static bool is_special_ipv4(const uint8_t bytes[static 4])
{
	for (size_t i = 0; i < sizeof(ipv4_blocks) / sizeof(*ipv4_blocks); i++)
		if (is_within(bytes, &ipv4_blocks[i]))
			return true;
	return false;
}

bool address_is_special(const struct policy_address *address)
{
	for (size_t i = 0; i < sizeof(carriers) / sizeof(*carriers); i++)
		if (is_within(address->bytes, &carriers[i].block))
			return is_special_ipv4(address->bytes + carriers[i].at);
	for (size_t i = 0; i < sizeof(ipv6_blocks) / sizeof(*ipv6_blocks); i++)
		if (is_within(address->bytes, &ipv6_blocks[i]))
			return true;
	return false;
}
