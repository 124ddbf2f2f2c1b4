#pragma once

/*
 * decode - the texts that a text holds in another form
 *
 * A secret in base64 is the same secret.  What looks encoded is decoded, once
 * and not again: base64 (and its form for URLs), hexadecimal, percent signs,
 * backslash escapes (\x41, A, \101), and texts cut into pieces that are
 * joined ("abc" + "def", 'abc'"def").  What decodes to anything but text is
 * passed over.
 *
 * Bounded: together not longer than the text itself.
 */

#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

/* The form a text was found in. */
enum decode_form {
	DECODE_PLAIN,
	DECODE_BASE64,
	DECODE_HEX,
	DECODE_PERCENT,
	DECODE_ESCAPES,
	DECODE_JOINED,
};

/* A word for it: "base64". */
const char *decode_word(enum decode_form form);

/* A decoded text, valid during the call, and where it stood. */
typedef int (*decode_fn)(void *context, enum decode_form form, size_t at,
			 const char *text, size_t length);

/*
 * Call each for what is found in text.  0, -ENOMEM, or what each returned if
 * not 0.
 */
MUST_CHECK int decode_each(const char *text, size_t length, decode_fn each,
			   void *context);
