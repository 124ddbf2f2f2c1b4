/* What a client says first: an agent writes it as it likes. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nfqueue/names/client_host.h"
#include "nfqueue/names/streams.h"
#include "tests/fuzz/fuzz.h"

/*
 * Pieces of one stream: for each, two bytes of where it begins and one of how
 * long it is.  However it was cut, what is read of it is what all of it says.
 */
static void try_pieces(const uint8_t *data, size_t size)
{
	CLEANUP(streams_free) struct streams *streams = NULL;
	const struct packet syn = {.protocol = POLICY_PROTOCOL_TCP};
	char name[HOST_NAME_SIZE];
	struct stream *stream;

	assert(streams_new(32768, &streams) == 0);
	stream = streams_begin(streams, &syn, 0, 1);
	while (size > 3) {
		uint32_t at = (uint32_t)data[0] << 8 | data[1];
		size_t length = data[2];

		data += 3;
		size -= 3;
		if (length > size)
			length = size;
		(void)!streams_add(streams, stream, 1 + at, data, length);
		data += length;
		size -= length;
		assert(stream->length <= 32768);
		(void)client_host_read(stream->bytes, stream->length, name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[HOST_NAME_SIZE], normal[HOST_NAME_SIZE];
	enum policy_said said;
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	assert(copy);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1) {
		try_pieces(copy, size - 1);
	} else {
		said = client_host_read(copy, size - 1, name);
		if (said == POLICY_SAID_NAME && *name)
			assert(host_name_read(name, strlen(name), normal) ==
				       0 &&
			       !strcmp(name, normal));
	}
	free(copy);
	return 0;
}
