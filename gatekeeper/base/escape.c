#include "gatekeeper/base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Decode one sequence, RFC 3629: no overlong forms, surrogates, > 10FFFF. */
static size_t decode(const char *text, size_t length, uint32_t *ret)
{
	const unsigned char *s = (const unsigned char *)text;
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t need;

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		need = 2, code = s[0] & 0x1fu;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		need = 3, code = s[0] & 0x0fu;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		need = 4, code = s[0] & 0x07u;
	else
		return 0;
	if (length < need)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	if (code < smallest[need] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret = code;
	return need;
}

/* Controls, line separators, and marks that reorder what is shown. */
static bool unshowable(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
	       (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

size_t escape_printable(const char *text, size_t length)
{
	uint32_t code;
	size_t n;

	if (!length)
		return 0;
	n = decode(text, length, &code);
	return n && !unshowable(code) ? n : 0;
}

bool escape_is_utf8(const char *text, size_t length)
{
	uint32_t code;

	while (length) {
		size_t n = decode(text, length, &code);

		if (!n)
			return false;
		text += n;
		length -= n;
	}
	return true;
}

size_t escape_text(char *buffer, size_t size, const char *bytes, size_t length)
{
	size_t used = 0;

	while (length) {
		char piece[8];
		size_t taken = escape_printable(bytes, length), n;

		if (taken && bytes[0] != '\\') {
			n = taken;
			memcpy(piece, bytes, n);
		} else {
			const char *short_form = bytes[0] == '\n'   ? "\\n"
						 : bytes[0] == '\t' ? "\\t"
						 : bytes[0] == '\\' ? "\\\\"
								    : NULL;

			taken = 1;
			if (short_form)
				n = 2, memcpy(piece, short_form, 2);
			else
				n = (size_t)snprintf(piece, sizeof(piece),
						     "\\x%02x",
						     (unsigned char)bytes[0]);
		}
		if (used + n + 1 > size)
			break;
		memcpy(buffer + used, piece, n);
		used += n;
		bytes += taken;
		length -= taken;
	}
	if (size)
		buffer[used] = '\0';
	return used;
}
