#include "toolcall/shell/shell_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toolcall/shell/shell.h"

int shell_buffer_add(struct shell_buffer *buffer, const char *bytes,
		     size_t length)
{
	if (length > SHELL_BYTES_MAX - buffer->length)
		return SHELL_TOO_COMPLEX;
	if (buffer->length + length + 1 > buffer->room) {
		size_t room = (buffer->length + length + 64) * 2;
		char *grown = realloc(buffer->bytes, room);

		if (!grown)
			return -ENOMEM;
		buffer->bytes = grown;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	buffer->bytes[buffer->length] = '\0';
	return 0;
}
