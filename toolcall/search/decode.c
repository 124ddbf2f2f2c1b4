#include "toolcall/search/decode.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BASE64_MIN 20 /* shorter ones hold nothing worth hiding */
#define HEX_MIN	   24

struct decoder {
	const char *text;
	size_t length;
	decode_fn each;
	void *context;
	char *out; /* as long as the text */
};

const char *decode_word(enum decode_form form)
{
	switch (form) {
	case DECODE_PLAIN:
		return "plain";
	case DECODE_BASE64:
		return "base64";
	case DECODE_HEX:
		return "hex";
	case DECODE_PERCENT:
		return "percent";
	case DECODE_ESCAPES:
		return "escapes";
	case DECODE_JOINED:
		return "joined";
	}
	return "?";
}

/* What each byte can be part of. */
enum {
	IS_BASE64 = 1,
	IS_HEX = 2,
};

static unsigned char classes[256];

static void make_classes(void)
{
	if (classes['A'])
		return;
	for (int c = 0; c < 256; c++) {
		if (isalnum(c) || c == '+' || c == '/' || c == '-' || c == '_')
			classes[c] |= IS_BASE64;
		if (isxdigit(c))
			classes[c] |= IS_HEX;
	}
}

/* Text is printable, but for UTF-8 and a few odd bytes. */
static bool is_text(const char *bytes, size_t length)
{
	size_t odd = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)bytes[i];

		odd += (c < ' ' && !isspace(c)) || c >= 0x7f;
		if (i == 31 && odd > 4) /* most is not, and seen at once */
			return false;
	}
	return odd * 8 <= length;
}

static int decode_base64(struct decoder *decoder, size_t from, size_t to)
{
	const char *bytes = decoder->text + from;
	size_t length = to - from, made = 0;
	int variant = memchr(bytes, '-', length) || memchr(bytes, '_', length)
			      ? sodium_base64_VARIANT_URLSAFE_NO_PADDING
			      : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;

	/* Only whole groups: a last odd sign would spoil the rest. */
	if (length % 4 == 1)
		length--;
	if (sodium_base642bin((unsigned char *)decoder->out, decoder->length,
			      bytes, length, NULL, &made, NULL, variant)) {
		length -= length % 4;
		if (sodium_base642bin((unsigned char *)decoder->out,
				      decoder->length, bytes, length, NULL,
				      &made, NULL, variant))
			return 0;
	}
	if (made < BASE64_MIN / 2 || !is_text(decoder->out, made))
		return 0;
	return decoder->each(decoder->context, DECODE_BASE64, from,
			     decoder->out, made);
}

static int decode_hex(struct decoder *decoder, size_t from, size_t to)
{
	size_t made = 0;

	if (sodium_hex2bin((unsigned char *)decoder->out, decoder->length,
			   decoder->text + from, (to - from) & ~(size_t)1, NULL,
			   &made, NULL) ||
	    !is_text(decoder->out, made))
		return 0;
	return decoder->each(decoder->context, DECODE_HEX, from, decoder->out,
			     made);
}

/* Lines of base64, as tools wrap them, are one. */
static size_t next_line(const struct decoder *decoder, size_t at)
{
	size_t next = at;

	if (next < decoder->length && decoder->text[next] == '\r')
		next++;
	if (next + 1 < decoder->length && decoder->text[next] == '\n' &&
	    (classes[(unsigned char)decoder->text[next + 1]] & IS_BASE64))
		return next + 1;
	return 0;
}

/* Wrapped base64: the lines are put together, then decoded in place. */
static int decode_lines(struct decoder *decoder, size_t from, size_t to)
{
	CLEANUP_FREE char *joined = malloc(to - from);
	struct decoder inner = *decoder;
	size_t length = 0;

	if (!joined)
		return -ENOMEM;
	for (size_t i = from; i < to; i++)
		if (!isspace((unsigned char)decoder->text[i]))
			joined[length++] = decoder->text[i];
	inner.text = joined;
	return decode_base64(&inner, 0, length);
}

static int take_run(struct decoder *decoder, size_t from, size_t to, bool hex)
{
	int r = 0;

	if (hex && to - from >= HEX_MIN)
		r = decode_hex(decoder, from, to);
	if (!r && to - from >= BASE64_MIN)
		r = decode_base64(decoder, from, to);
	return r;
}

static int decode_runs(struct decoder *decoder)
{
	size_t at = 0;
	int r = 0;

	while (!r && at < decoder->length) {
		size_t from = at, end, next;
		unsigned char all = IS_BASE64 | IS_HEX;

		while (at < decoder->length &&
		       classes[(unsigned char)decoder->text[at]])
			all &= classes[(unsigned char)decoder->text[at++]];
		if (at == from) {
			at++;
			continue;
		}
		if (at - from < BASE64_MIN)
			continue;
		end = at;
		r = take_run(decoder, from, end, all & IS_HEX);
		/* A long line may go on in the next. */
		while (!r && end - from >= 60 &&
		       (next = next_line(decoder, at))) {
			at = next;
			while (at < decoder->length &&
			       (classes[(unsigned char)decoder->text[at]] &
				IS_BASE64))
				at++;
		}
		if (!r && at > end)
			r = decode_lines(decoder, from, at);
	}
	return r;
}

static int hex_of(const char *text, size_t digits)
{
	int value = 0;

	for (size_t i = 0; i < digits; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isxdigit(c))
			return -1;
		value = value * 16 +
			(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	return value;
}

/* %41.  Yields the bytes taken, 0 if it is none. */
static size_t read_percent(const char *text, size_t left, char *ret)
{
	int value = left >= 3 && text[0] == '%' ? hex_of(text + 1, 2) : -1;

	if (value <= 0)
		return 0;
	*ret = (char)value;
	return 3;
}

/* \x41, A, \101. */
static size_t read_escape(const char *text, size_t left, char *ret)
{
	int value = -1;
	size_t taken = 0;

	if (left < 4 || text[0] != '\\')
		return 0;
	if (text[1] == 'x') {
		value = hex_of(text + 2, 2);
		taken = 4;
	} else if (text[1] == 'u' && left >= 6) {
		value = hex_of(text + 2, 4);
		taken = 6;
	} else if (text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		   text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
		value = (text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] -
			'0';
		taken = 4;
	}
	if (value <= 0 || value > 0xff)
		return 0;
	*ret = (char)value;
	return taken;
}

static int decode_signs(struct decoder *decoder, char sign,
			enum decode_form form,
			size_t (*read)(const char *, size_t, char *))
{
	size_t made = 0, count = 0, at = 0;

	if (!memchr(decoder->text, sign, decoder->length))
		return 0;
	while (at < decoder->length) {
		size_t taken = 0;

		if (decoder->text[at] == sign)
			taken = read(decoder->text + at, decoder->length - at,
				     &decoder->out[made]);
		if (!taken)
			decoder->out[made] = decoder->text[at];
		count += taken > 0;
		at += taken ? taken : 1;
		made++;
	}
	return count ? decoder->each(decoder->context, form, 0, decoder->out,
				     made)
		     : 0;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

/* Where the next piece of a joined text begins, behind its quote; or 0. */
static size_t next_piece(const struct decoder *decoder, size_t at)
{
	size_t limit = at + 16 < decoder->length ? at + 16 : decoder->length;
	bool joined = false;

	for (at++; at < limit; at++) {
		char c = decoder->text[at];

		if (is_quote(c))
			return at + 1;
		if (c == '+' || c == '.' || c == '\\' || c == '&') {
			if (joined && c != '&')
				return 0;
			joined = true;
		} else if (!isspace((unsigned char)c)) {
			return 0;
		}
	}
	return 0;
}

static int decode_joined(struct decoder *decoder)
{
	size_t made = 0, count = 0;

	if (!memchr(decoder->text, '"', decoder->length) &&
	    !memchr(decoder->text, '\'', decoder->length) &&
	    !memchr(decoder->text, '`', decoder->length))
		return 0;
	for (size_t at = 0; at < decoder->length; at++) {
		size_t next = is_quote(decoder->text[at])
				      ? next_piece(decoder, at)
				      : 0;

		if (next) {
			count++;
			at = next - 1;
			continue;
		}
		decoder->out[made++] = decoder->text[at];
	}
	return count ? decoder->each(decoder->context, DECODE_JOINED, 0,
				     decoder->out, made)
		     : 0;
}

int decode_each(const char *text, size_t length, decode_fn each, void *context)
{
	CLEANUP_FREE char *out = malloc(length ? length : 1);
	struct decoder decoder = {text, length, each, context, out};
	int r;

	if (!out)
		return -ENOMEM;
	make_classes();
	r = decode_runs(&decoder);
	if (!r)
		r = decode_signs(&decoder, '%', DECODE_PERCENT, read_percent);
	if (!r)
		r = decode_signs(&decoder, '\\', DECODE_ESCAPES, read_escape);
	return r ? r : decode_joined(&decoder);
}
