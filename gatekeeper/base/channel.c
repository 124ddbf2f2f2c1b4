/*
 * The ring holds frames of 8-byte alignment: a 32-bit length, then the bytes.
 * A frame never wraps; where it does not fit before the end of the ring, a
 * length of SKIP_MARK sends the reader to the beginning.  The writer publishes
 * `written` after the bytes are in place: a writer killed half way has put
 * nothing, and its successor overwrites the half.
 */

#include "gatekeeper/base/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

#define CHANNEL_MAGIC	    UINT64_C(0x6c656173682d6368)
#define CHANNEL_DATA_OFFSET 4096
#define CHANNEL_SIZE_MIN    ((size_t)4096)
#define CHANNEL_SIZE_MAX    ((size_t)1 << 30)
#define SKIP_MARK	    UINT32_MAX

/* Writer and reader each have a cache line, so that neither slows the other. */
struct channel_shared {
	uint64_t magic;
	uint64_t id;
	uint64_t size_bytes;
	alignas(64) _Atomic uint64_t written;
	_Atomic uint64_t lost_ordinary;
	_Atomic uint64_t lost_important;
	alignas(64) _Atomic uint64_t released;
	_Atomic uint64_t beats;
	_Atomic uint32_t asleep;
};

struct channel {
	struct channel_shared *shared;
	unsigned char *data;
	size_t size; /* our own copy: shared memory may change under us */
};

static size_t frame_size(size_t length)
{
	return (length + sizeof(uint32_t) + 7) & ~(size_t)7;
}

int channel_create(size_t size_bytes, int *ret_fd)
{
	CLEANUP(fd_close) int fd = -1;
	struct channel_shared shared = {
		.magic = CHANNEL_MAGIC,
		.size_bytes = size_bytes,
	};

	assert(size_bytes >= CHANNEL_SIZE_MIN &&
	       size_bytes <= CHANNEL_SIZE_MAX &&
	       (size_bytes & (size_bytes - 1)) == 0);

	if (getrandom(&shared.id, sizeof(shared.id), 0) !=
	    (ssize_t)sizeof(shared.id))
		return -EIO;
	fd = memfd_create("leash-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(CHANNEL_DATA_OFFSET + size_bytes)) < 0)
		return -errno;
	if (pwrite(fd, &shared, sizeof(shared), 0) != (ssize_t)sizeof(shared))
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	*ret_fd = STEAL_FD(fd);
	return 0;
}

int channel_map(int fd, struct channel **ret)
{
	CLEANUP(channel_free) struct channel *channel = NULL;
	struct stat st;
	size_t size;
	void *memory;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)(CHANNEL_DATA_OFFSET + CHANNEL_SIZE_MIN))
		return -EINVAL;
	size = (size_t)st.st_size - CHANNEL_DATA_OFFSET;
	if (size > CHANNEL_SIZE_MAX || (size & (size - 1)))
		return -EINVAL;

	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	memory = mmap(NULL, CHANNEL_DATA_OFFSET + size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	channel->shared = memory;
	channel->data = (unsigned char *)memory + CHANNEL_DATA_OFFSET;
	channel->size = size;
	if (channel->shared->magic != CHANNEL_MAGIC ||
	    channel->shared->size_bytes != size)
		return -EINVAL;
	*ret = STEAL(channel);
	return 0;
}

struct channel *channel_free(struct channel *channel)
{
	if (!channel)
		return NULL;
	if (channel->shared)
		munmap(channel->shared, CHANNEL_DATA_OFFSET + channel->size);
	free(channel);
	return NULL;
}

uint64_t channel_id(const struct channel *channel)
{
	return channel->shared->id;
}

/* Bytes in use, or SIZE_MAX where the positions make no sense. */
static size_t used_between(const struct channel *channel, uint64_t released,
			   uint64_t written)
{
	uint64_t used = written - released;

	return used > channel->size || (written & 7) || (released & 7)
		       ? SIZE_MAX
		       : (size_t)used;
}

int channel_put(struct channel *channel, const void *bytes, size_t length,
		bool important)
{
	struct channel_shared *shared = channel->shared;
	uint64_t written =
		atomic_load_explicit(&shared->written, memory_order_relaxed);
	uint64_t released =
		atomic_load_explicit(&shared->released, memory_order_acquire);
	size_t used = used_between(channel, released, written);
	size_t need = frame_size(length);
	size_t limit = important ? channel->size : channel->size / 4 * 3;
	size_t at = (size_t)(written & (channel->size - 1));
	size_t skip = need > channel->size - at ? channel->size - at : 0;
	uint32_t length32 = (uint32_t)length;

	if (length > channel->size / 4 || used > limit ||
	    need + skip > limit - used) {
		atomic_fetch_add_explicit(important ? &shared->lost_important
						    : &shared->lost_ordinary,
					  1, memory_order_relaxed);
		return CHANNEL_FULL;
	}

	if (skip) {
		uint32_t mark = SKIP_MARK;

		memcpy(channel->data + at, &mark, sizeof(mark));
		at = 0;
	}
	memcpy(channel->data + at, &length32, sizeof(length32));
	memcpy(channel->data + at + sizeof(length32), bytes, length);
	/* seq_cst pairs with channel_sleep(): one of the two sees the other. */
	atomic_store(&shared->written, written + skip + need);
	return 0;
}

bool channel_wants_wake(struct channel *channel)
{
	return atomic_load(&channel->shared->asleep) &&
	       atomic_exchange(&channel->shared->asleep, 0);
}

int channel_peek(const struct channel *channel, uint64_t *cursor,
		 const void **ret_bytes, size_t *ret_length)
{
	uint64_t written = atomic_load_explicit(&channel->shared->written,
						memory_order_acquire);
	uint64_t here = *cursor;

	for (int turn = 0; turn < 2; turn++) {
		size_t left = used_between(channel, here, written);
		size_t at = (size_t)(here & (channel->size - 1));
		uint32_t length;

		if (left == 0)
			return CHANNEL_EMPTY;
		if (left == SIZE_MAX)
			break;
		memcpy(&length, channel->data + at, sizeof(length));
		if (length == SKIP_MARK) {
			here += channel->size - at;
			continue;
		}
		if (frame_size(length) > left ||
		    frame_size(length) > channel->size - at)
			break;
		*ret_bytes = channel->data + at + sizeof(length);
		*ret_length = length;
		*cursor = here + frame_size(length);
		return 0;
	}
	*cursor = written;
	return CHANNEL_DAMAGED;
}

uint64_t channel_released(const struct channel *channel)
{
	return atomic_load(&channel->shared->released);
}

void channel_release(struct channel *channel, uint64_t position)
{
	atomic_store_explicit(&channel->shared->released, position,
			      memory_order_release);
}

bool channel_sleep(struct channel *channel, uint64_t cursor)
{
	atomic_store(&channel->shared->asleep, 1);
	if (atomic_load(&channel->shared->written) == cursor)
		return true;
	atomic_store(&channel->shared->asleep, 0);
	return false;
}

void channel_beat(struct channel *channel)
{
	atomic_fetch_add(&channel->shared->beats, 1);
}

uint64_t channel_beats(const struct channel *channel)
{
	return atomic_load(&channel->shared->beats);
}

size_t channel_used(const struct channel *channel)
{
	size_t used =
		used_between(channel, atomic_load(&channel->shared->released),
			     atomic_load(&channel->shared->written));

	return used == SIZE_MAX ? channel->size : used;
}

struct channel_losses channel_lost(const struct channel *channel)
{
	return (struct channel_losses){
		.ordinary = atomic_load(&channel->shared->lost_ordinary),
		.important = atomic_load(&channel->shared->lost_important),
	};
}
