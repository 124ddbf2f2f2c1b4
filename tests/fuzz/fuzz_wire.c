/*
 * What processes say to each other, and what /proc says: records, messages,
 * a whole channel, status, syscall, mountinfo
 */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatekeeper/system/mount_table.h"
#include "fanotify/syscall_access.h"
#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/record.h"
#include "tests/fuzz/fuzz.h"

static void try_record(const uint8_t *data, size_t size)
{
	static char buffer[RECORD_SIZE_MAX * 2];
	struct record record;

	if (record_decode(data, size, &record))
		return;
	/* What decodes must encode to the same bytes. */
	if (record_encode(&record, buffer) != size)
		abort();
}

static void try_channel(const uint8_t *data, size_t size)
{
	struct channel *channel;
	uint64_t cursor = 0;
	const void *bytes;
	size_t length;
	int fd, turns = 0;

	if (channel_create(4096, &fd))
		return;
	/* A writer gone mad, its positions included. */
	if (size > 64 + 4096)
		size = 64 + 4096;
	if (size > 64) {
		if (pwrite(fd, data, 64, 64) < 0 ||
		    pwrite(fd, data + 64, size - 64, 4096) < 0)
			abort();
	}
	if (channel_map(fd, &channel) == 0) {
		while (turns++ < 2000 && channel_peek(channel, &cursor, &bytes,
						      &length) != CHANNEL_EMPTY)
			;
		channel_free(channel);
	}
	fd_close(fd);
}

static void try_message(const uint8_t *data, size_t size)
{
	struct message message;
	int ends[2], fd = -1;

	if (message_pair(ends))
		return;
	if (send(ends[0], data, size > 4096 ? 4096 : size, MSG_DONTWAIT) >= 0 &&
	    message_receive(ends[1], &message, &fd) == 0)
		fd_close(fd);
	fd_close(ends[0]);
	fd_close(ends[1]);
}

static void try_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *shown = malloc(ESCAPE_ROOM(size));
	struct syscall_access how;
	struct process_ids ids;
	uint64_t *mounts = NULL;
	size_t count;
	bool capable;

	if (!text || !shown)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	escape_text(shown, ESCAPE_ROOM(size), text, size);
	if (!escape_is_utf8(shown, strlen(shown)) || strchr(shown, '\n'))
		abort();
	(void)!syscall_access_parse(text, &how);
	(void)!process_parse_status(text, &ids, &capable);
	if (mount_table_parse(text, &mounts, &count) == 0)
		free(mounts);
	free(shown);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_record(data, size);
	try_channel(data, size);
	try_message(data, size);
	try_text(data, size);
	return 0;
}
