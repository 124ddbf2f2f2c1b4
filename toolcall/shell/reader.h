#pragma once

/*
 * reader - how far the reading of one text has come
 *
 * The word and the command under way, and what waits for those to come: a
 * pipe, an open group, here-documents.
 */

#include "toolcall/shell/shell_buffer.h"
#include "toolcall/shell/shell_state.h"

#define READER_GROUPS_MAX 16

struct reader {
	struct shell_state *state;
	const char *at;
	const char *end;
	int depth;
	int part_of;
	bool is_substitution;
	bool decoded;
	int pipe_from; /* the command before a `|`, or -1 */
	/* What each open `(` reads from, or -1. */
	int groups[READER_GROUPS_MAX];
	int group_count;
	/* The word under way. */
	struct shell_buffer word;
	bool has_word;
	bool dynamic;
	bool quoted;
	int command; /* under way, or -1 */
	/* Here-documents that begin with the next line. */
	struct {
		char end[64];
		int command;
		bool strip;
	} here[8];
	int here_count;
};

/* Add to the word under way; NUL only begins it. */
MUST_CHECK int reader_add(struct reader *reader, char c);

/* The word under way, if any, is whole: an argument, or NAME=VALUE. */
MUST_CHECK int reader_finish_word(struct reader *reader);

/* The command under way, begun if there is none. */
MUST_CHECK int reader_command(struct reader *reader,
			      struct shell_command **ret);

/* Read a text that stands within this one. */
MUST_CHECK int reader_nested(struct reader *outer, const char *text,
			     size_t length, int part_of, bool is_substitution);
