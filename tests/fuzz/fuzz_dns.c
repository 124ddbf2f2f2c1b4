/* DNS messages: an agent writes the questions, anybody the answers. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dns/dns_message.h"
#include "tests/fuzz/fuzz.h"

/*
 * What a question may carry, told another way: its name in plain labels, type
 * and class, and of EDNS so few bytes that are not zero.
 */
static void is_bare(const uint8_t *bytes, size_t length, size_t end)
{
	size_t at = 12, odd = 0;

	while (bytes[at])
		at += bytes[at] + 1U;
	assert(at + 5 == end);
	assert((bytes[2] & ~1) == 0 && (bytes[3] & ~0x30) == 0);
	assert(!bytes[6] && !bytes[7] && !bytes[8] && !bytes[9]);
	assert(length == end || (bytes[11] == 1 && length >= end + 11));
	for (at = end; at < length; at++)
		odd += bytes[at] != 0;
	/* Type, size, flag, length; cookie; the heads of all options. */
	assert(odd <= 1 + 2 + 1 + 2 + 40 + 5 * 4);
	assert(length - end <= 11 + 5 * 4 + 40 + 128 + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_link_told told;
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	assert(copy);
	memcpy(copy, data + 1, size - 1);
	if (dns_message_read(copy, size - 1,
			     data[0] & 1 ? DNS_LINK_ANSWER : DNS_LINK_QUESTION,
			     &told) == 0) {
		assert(told.count <= DNS_LINK_RECORDS_MAX);
		assert(told.question_end <= size - 1);
		assert(memchr(told.name, '\0', sizeof(told.name)));
		if (!(data[0] & 1))
			is_bare(copy, size - 1, told.question_end);
	}
	free(copy);
	return 0;
}
