#pragma once

/*
 * hash - of bytes, for tables
 *
 * Seeded, so that what an agent chooses cannot pile up in one place.  Policy
 * images hold such hashes: to change it is to change POLICY_IMAGE_VERSION.
 */

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length);

/* The seed for a key that consists of two numbers and bytes. */
uint64_t hash_seed(uint64_t seed, uint32_t one, uint32_t other);
