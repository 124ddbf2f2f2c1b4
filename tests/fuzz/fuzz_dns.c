/* DNS messages: an agent writes the questions, anybody the answers. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dns/dns_message.h"
#include "tests/fuzz/fuzz.h"

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
	}
	free(copy);
	return 0;
}
