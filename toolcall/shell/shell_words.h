#pragma once

/*
 * shell_words - the parts of a word: quotes, backslashes, variables and
 * substitutions
 */

#include "toolcall/shell/reader.h"

/* Read the sign at reader->at into the word, with all it stands for. */
MUST_CHECK int shell_words_read(struct reader *reader);

/* The end of `( ... )` that begins at text, honouring quotes. */
const char *shell_words_closing(const char *text, const char *end);
