#pragma once

/*
 * shell_buffer - a text that grows: a word, or what a command prints
 */

#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

struct shell_buffer {
	char *bytes; /* owned; ends with NUL, once something was added */
	size_t length, room;
};

/* SHELL_TOO_COMPLEX beyond SHELL_BYTES_MAX. */
MUST_CHECK int shell_buffer_add(struct shell_buffer *buffer, const char *bytes,
				size_t length);
