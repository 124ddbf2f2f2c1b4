#pragma once

/*
 * escape - show bytes from outside without letting them speak
 *
 * File names and command lines may hold newlines, terminal escapes and bytes
 * that are no UTF-8.  Printable UTF-8 passes; everything else becomes \n, \t,
 * \\ or \xNN, so the original can be read back from what is shown.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Write the shown form of length bytes into buffer, NUL-terminated and cut
 * at whole sequences where it does not fit.  Returns its length.
 */
size_t escape_text(char *buffer, size_t size, const char *bytes, size_t length);

/* The room that escape_text() needs at most for length bytes. */
#define ESCAPE_ROOM(length) ((length)*4 + 1)

/*
 * How many bytes at the start of text form one printable character, or 0 if
 * they form none (control character, broken UTF-8, U+2028 and its like).
 */
size_t escape_printable(const char *text, size_t length);

/* Whether all of text is well-formed UTF-8 (control characters are fine). */
bool escape_is_utf8(const char *text, size_t length);
