#include "gatekeeper/wire/gate_table.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

int gate_table_create(int *ret_fd, struct gate_table **ret)
{
	CLEANUP(fd_close)
	int fd = memfd_create("leash-gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct gate_table *table;

	if (fd < 0 || ftruncate(fd, sizeof(struct gate_table)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	table = gate_table_map(fd);
	if (!table)
		return -errno;
	atomic_store(&table->turn, GATE_NOBODY);
	*ret = table;
	*ret_fd = STEAL_FD(fd);
	return 0;
}

struct gate_table *gate_table_map(int fd)
{
	void *memory = mmap(NULL, sizeof(struct gate_table),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void gate_table_unmap(struct gate_table *table)
{
	if (table)
		munmap(table, sizeof(*table));
}

void gate_table_clear(struct gate_shared *slot)
{
	struct fanotify_event_metadata *events = (void *)slot->events;

	/* The first last: while it is there, the slot owes. */
	for (int i = GATE_BATCH_MAX - 1; i >= 0; i--)
		events[i].event_len = 0;
	atomic_store(&slot->answered, 0);
}

bool gate_table_slot_owes(const struct gate_shared *slot)
{
	const struct fanotify_event_metadata *first =
		(const void *)slot->events;

	if (first->event_len)
		return true;
	for (int i = 0; i < GATE_HELD_MAX; i++)
		if (atomic_load_explicit(&slot->held[i].fd,
					 memory_order_relaxed))
			return true;
	return false;
}

bool gate_table_owes(const struct gate_table *table)
{
	for (int i = 0; i < GATE_SLOTS; i++)
		if (gate_table_slot_owes(&table->slots[i]))
			return true;
	return false;
}

uint64_t gate_table_heartbeats(const struct gate_table *table)
{
	uint64_t beats = 0;

	for (int i = 0; i < GATE_SLOTS; i++)
		beats += atomic_load_explicit(&table->slots[i].heartbeat,
					      memory_order_relaxed);
	return beats;
}

void gate_table_own(struct gate_table *table, int fd, int owner)
{
	if (fd >= 0 && fd < GATE_FDS_MAX)
		atomic_store_explicit(&table->owners[fd], (uint8_t)owner,
				      memory_order_relaxed);
}

bool gate_table_leave(struct gate_table *table, int fd, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		int32_t none = 0;

		if (atomic_compare_exchange_strong(&table->left[i], &none, fd))
			return true;
	}
	return false;
}

bool gate_table_close_left(struct gate_table *table)
{
	for (int i = 0; i < GATE_LEFT_MAX; i++) {
		int fd = atomic_exchange(&table->left[i], 0);

		if (fd) {
			close(fd);
			return true;
		}
	}
	return false;
}

void gate_table_close_of(struct gate_table *table, int owner)
{
	for (int fd = 0; fd < GATE_FDS_MAX; fd++) {
		if (atomic_load(&table->owners[fd]) != (uint8_t)owner)
			continue;
		atomic_store(&table->owners[fd], 0);
		fd_close(fd);
	}
}
