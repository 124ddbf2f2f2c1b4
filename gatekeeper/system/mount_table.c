#include "gatekeeper/system/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "gatekeeper/base/fd.h"

#define MOUNTINFO_MAX_BYTES ((size_t)64 << 20)

struct mount_table {
	int fd;
	uint64_t *ids; /* owned, sorted */
	size_t count;
	bool failed; /* the last reading did: believe no mount */
};

static int by_value(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

int mount_table_parse(const char *text, uint64_t **ret, size_t *ret_count)
{
	size_t lines = 1, count = 0;
	uint64_t *ids;

	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	ids = calloc(lines, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	while (text && *text) {
		char *end;
		unsigned long long id = strtoull(text, &end, 10);

		if (end != text && *end == ' ')
			ids[count++] = id;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	qsort(ids, count, sizeof(*ids), by_value);
	*ret = ids;
	*ret_count = count;
	return 0;
}

static int read_again(struct mount_table *table)
{
	CLEANUP_FREE char *text = NULL;
	size_t length;
	int r;

	r = fd_read_all(table->fd, MOUNTINFO_MAX_BYTES, &text, &length);
	if (r)
		return r;
	free(table->ids);
	table->ids = NULL;
	table->count = 0;
	return mount_table_parse(text, &table->ids, &table->count);
}

int mount_table_new(int proc, struct mount_table **ret)
{
	CLEANUP(mount_table_free)
	struct mount_table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		return -ENOMEM;
	table->fd = openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (table->fd < 0)
		return -errno;
	r = read_again(table);
	if (r)
		return r;
	*ret = STEAL(table);
	return 0;
}

struct mount_table *mount_table_free(struct mount_table *table)
{
	if (!table)
		return NULL;
	fd_close(table->fd);
	free(table->ids);
	free(table);
	return NULL;
}

void mount_table_expire(struct mount_table *table)
{
	table->failed = read_again(table) != 0;
}

bool mount_table_has(struct mount_table *table, uint64_t id)
{
	struct pollfd changed = {.fd = table->fd, .events = POLLPRI};

	if (table->failed || (poll(&changed, 1, 0) > 0 &&
			      (changed.revents & (POLLPRI | POLLERR))))
		table->failed = read_again(table) != 0;
	if (table->failed || !table->count)
		return false;
	return bsearch(&id, table->ids, table->count, sizeof(id), by_value);
}
