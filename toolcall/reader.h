#pragma once

/*
 * reader - one text being read as a shell would, for shell.c, which knows
 * commands, and shell_words.c, which knows words
 *
 * Private to both.
 */

#include "toolcall/shell_parts.h"

#define GROUPS_MAX 16

/* One text being read. */
struct reader {
	struct shell_state *state;
	const char *at;
	const char *end;
	int depth;
	int part_of;
	bool is_substitution;
	bool decoded;
	int pipe_from;		/* the command before a `|`, or -1 */
	int groups[GROUPS_MAX]; /* what each open `(` reads from, or -1 */
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
MUST_CHECK int reader_finish_word(struct reader *reader);

/* Read the sign at reader->at into the word, with all it stands for. */
MUST_CHECK int reader_sign(struct reader *reader);

/* The command under way, begun if there is none. */
MUST_CHECK int reader_command(struct reader *reader,
			      struct shell_command **ret);

/* Read a text that is nested in this one. */
MUST_CHECK int reader_nested(struct reader *outer, const char *text,
			     size_t length, int part_of, bool is_substitution);

/* The end of `( ... )` that begins at text, honouring quotes. */
const char *reader_closing(const char *text, const char *end);
