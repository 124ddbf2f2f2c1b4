#pragma once

/*
 * program - which program a process runs, if that can be known
 *
 * It is known if its file is there under that path, seen through a mount of
 * the host's, and the process has not the rights of a user namespace of its
 * own, where it may say that it runs another.  Anything else could have been
 * made to look like any program: a file in a root of its own, one from memory,
 * one that is deleted.  Then what the kernel says of it stands in brackets:
 * "unknown (/memfd:x (deleted))".
 *
 * Which libraries it has loaded is not asked.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

#define PROGRAM_UNKNOWN	  "unknown"
#define PROGRAM_TEXT_SIZE (4096 + 16)

struct program_reader;

struct program {
	bool known;
	char text[PROGRAM_TEXT_SIZE]; /* its path, if it is known */
};

/* Proc, /proc itself, is borrowed. */
MUST_CHECK int program_reader_new(int proc, struct program_reader **ret);
struct program_reader *program_reader_free(struct program_reader *reader);
DEFINE_CLEANUP(struct program_reader *, program_reader_free)

void program_read(const struct program_reader *reader, pid_t pid,
		  struct program *ret);
