#include "nfqueue/names/streams.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "gatekeeper/base/hash.h"

#define SETS	    128
#define WAYS	    8
#define GROW	    2048
#define BYTES_TOTAL (8 << 20) /* of all streams */

struct streams {
	uint64_t seed;
	size_t most;
	size_t bytes;
	struct stream sets[SETS][WAYS];
};

int streams_new(size_t most, struct streams **ret)
{
	CLEANUP(streams_free)
	struct streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return -ENOMEM;
	streams->most = most;
	if (getrandom(&streams->seed, sizeof(streams->seed), 0) < 0)
		return -errno;
	*ret = STEAL(streams);
	return 0;
}

struct streams *streams_free(struct streams *streams)
{
	for (int i = 0; streams && i < SETS; i++)
		for (int j = 0; j < WAYS; j++)
			free(streams->sets[i][j].bytes);
	free(streams);
	return NULL;
}

static struct stream *set_of(struct streams *streams,
			     const struct packet *packet)
{
	uint64_t hash = hash_bytes(hash_seed(streams->seed, packet->source_port,
					     packet->destination_port),
				   packet->destination.bytes,
				   sizeof(packet->destination.bytes));

	return streams->sets[hash % SETS];
}

static bool is_of(const struct stream *stream, const struct packet *packet)
{
	return stream->begun_ns && stream->source_port == packet->source_port &&
	       stream->destination_port == packet->destination_port &&
	       !memcmp(&stream->source, &packet->source,
		       sizeof(stream->source)) &&
	       !memcmp(&stream->destination, &packet->destination,
		       sizeof(stream->destination));
}

struct stream *streams_find(struct streams *streams,
			    const struct packet *packet)
{
	struct stream *set = set_of(streams, packet);

	for (int i = 0; i < WAYS; i++)
		if (is_of(&set[i], packet))
			return &set[i];
	return NULL;
}

struct stream *streams_begin(struct streams *streams,
			     const struct packet *packet, uint32_t uid,
			     int64_t now_ns)
{
	struct stream *set = set_of(streams, packet);
	struct stream *slot = streams_find(streams, packet);

	for (int i = 0; !slot && i < WAYS; i++)
		if (!set[i].begun_ns)
			slot = &set[i];
	for (int i = 1; !slot && i < WAYS; i++)
		if (set[i].begun_ns < set[0].begun_ns)
			slot = &set[i];
	if (!slot)
		slot = set;
	streams_end(streams, slot);
	*slot = (struct stream){
		.begun_ns = now_ns,
		.uid = uid,
		.source = packet->source,
		.destination = packet->destination,
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
		.first = packet->sequence + 1, /* the SYN counts as one */
	};
	return slot;
}

/* How many bytes are taken up for so many. */
static size_t room_of(size_t length)
{
	return (length + GROW - 1) / GROW * GROW;
}

static int make_room(struct streams *streams, struct stream *stream,
		     size_t length)
{
	size_t have = room_of(stream->length);
	size_t want = room_of(length);
	uint8_t *bytes;

	if (want <= have)
		return 0;
	if (length > streams->most ||
	    streams->bytes + want - have > BYTES_TOTAL)
		return STREAMS_FULL;
	bytes = realloc(stream->bytes, want);
	if (!bytes)
		return -ENOMEM;
	streams->bytes += want - have;
	stream->bytes = bytes;
	return 0;
}

int streams_add(struct streams *streams, struct stream *stream,
		uint32_t sequence, const void *bytes, size_t length)
{
	/* Where it begins, counted from the first byte; before it: negative. */
	int32_t at = (int32_t)(sequence - stream->first);
	size_t known;
	int r;

	if (at < 0 && !stream->was_consumed)
		return STREAMS_DIFFERENT;
	if (at < 0) {
		size_t gone = (size_t) - (int64_t)at;

		if (gone >= length)
			return STREAMS_OLD;
		bytes = (const uint8_t *)bytes + gone;
		length -= gone;
		at = 0;
	}
	if ((size_t)at > stream->length)
		return STREAMS_GAP;
	known = stream->length - (size_t)at;
	if (known > length)
		known = length;
	if (known && memcmp(stream->bytes + at, bytes, known))
		return STREAMS_DIFFERENT;
	if (known == length)
		return 0;
	r = make_room(streams, stream, (size_t)at + length);
	if (r)
		return r;
	memcpy(stream->bytes + stream->length, (const uint8_t *)bytes + known,
	       length - known);
	stream->length = (size_t)at + length;
	return 0;
}

bool streams_agree(const struct stream *stream, uint32_t sequence,
		   const void *bytes, size_t length)
{
	int32_t at = (int32_t)(sequence - stream->first);
	size_t known;

	if (at < 0)
		return false;
	if ((size_t)at >= stream->length)
		return true;
	known = stream->length - (size_t)at;
	return !memcmp(stream->bytes + at, bytes,
		       known < length ? known : length);
}

void streams_consume(struct streams *streams, struct stream *stream,
		     size_t length)
{
	size_t before = room_of(stream->length);
	uint8_t *shrunk;

	stream->length -= length;
	stream->first += (uint32_t)length;
	stream->was_consumed = true;
	memmove(stream->bytes, stream->bytes + length, stream->length);
	streams->bytes -= before - room_of(stream->length);
	if (room_of(stream->length) == before)
		return;
	/* What counts as free is to be free. */
	if (stream->length) {
		shrunk = realloc(stream->bytes, room_of(stream->length));
		if (shrunk)
			stream->bytes = shrunk;
	} else {
		stream->bytes = cleanup_free(stream->bytes);
	}
}

void streams_end(struct streams *streams, struct stream *stream)
{
	streams->bytes -= room_of(stream->length);
	free(stream->bytes);
	*stream = (struct stream){.begun_ns = 0};
}
