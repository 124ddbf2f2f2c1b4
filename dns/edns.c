/*
 * A list and no rule for sizes: each value between would be one more letter to
 * write with.
 */

#include "dns/edns.h"

#include <stdint.h>
#include <string.h>

#define HEAD_SIZE    11 /* root, type, size, code, version, flags, length */
#define OPTION_HEAD  4
#define TYPE_OPT     41
#define FLAG_DNSSEC  0x8000
#define PADDING_MAX  128 /* RFC 8467: to a multiple of it */
#define COOKIE_MINE  8
#define COOKIE_LEAST 16 /* with the server's */
#define COOKIE_MOST  40
#define SUBNET_NONE  4 /* family, two lengths of 0, no address */

enum option {
	OPTION_NSID = 3,
	OPTION_SUBNET = 8,
	OPTION_COOKIE = 10,
	OPTION_KEEPALIVE = 11,
	OPTION_PADDING = 12,
};

static uint16_t get16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static bool is_usual_size(uint16_t size)
{
	static const uint16_t sizes[] = {
		512,  1024, 1200, 1220,	 1232,	1252,  1280, 1400,
		1410, 1432, 1440, 1452,	 1460,	1472,  1480, 1492,
		1500, 1536, 1680, 2000,	 2048,	3072,  4000, 4096,
		8192, 9000, 9216, 16384, 32768, 65494, 65535};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i] == size)
			return true;
	return false;
}

static bool is_zero(const unsigned char *bytes, size_t length)
{
	return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}

/* Names no subnet: of IPv4, of IPv6 or of neither, with 0 bits. */
static bool is_no_subnet(const unsigned char *data, size_t length)
{
	return length == SUBNET_NONE && get16(data) <= 2 && !get16(data + 2);
}

static bool is_plain_option(enum option option, const unsigned char *data,
			    size_t length)
{
	switch (option) {
	case OPTION_NSID:
	case OPTION_KEEPALIVE:
		return !length;
	case OPTION_SUBNET:
		return is_no_subnet(data, length);
	case OPTION_COOKIE:
		return length == COOKIE_MINE ||
		       (length >= COOKIE_LEAST && length <= COOKIE_MOST);
	case OPTION_PADDING:
		return length <= PADDING_MAX && is_zero(data, length);
	}
	return false;
}

bool edns_is_plain(const unsigned char *bytes, size_t length)
{
	uint32_t seen = 0;

	if (length < HEAD_SIZE || bytes[0] || get16(bytes + 1) != TYPE_OPT ||
	    !is_usual_size(get16(bytes + 3)) || bytes[5] || bytes[6] ||
	    get16(bytes + 7) & ~FLAG_DNSSEC ||
	    get16(bytes + 9) != length - HEAD_SIZE)
		return false;
	bytes += HEAD_SIZE;
	length -= HEAD_SIZE;
	while (length) {
		uint16_t option, size;

		if (length < OPTION_HEAD)
			return false;
		option = get16(bytes);
		size = get16(bytes + 2);
		bytes += OPTION_HEAD;
		length -= OPTION_HEAD;
		if (size > length || option > OPTION_PADDING ||
		    seen & UINT32_C(1) << option ||
		    !is_plain_option((enum option)option, bytes, size))
			return false;
		seen |= UINT32_C(1) << option;
		bytes += size;
		length -= size;
	}
	return true;
}
