#include "gatekeeper/base/hash.h"

#include <string.h>

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
	uint64_t h = seed ^ (uint64_t)length * UINT64_C(0x9e3779b97f4a7c15);
	const unsigned char *at = bytes;

	while (length) {
		uint64_t word = 0;
		size_t n = length < 8 ? length : 8;

		memcpy(&word, at, n);
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
		at += n;
		length -= n;
	}
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 29;
}

uint64_t hash_seed(uint64_t seed, uint32_t one, uint32_t other)
{
	return seed ^ ((uint64_t)one << 32 | other);
}
