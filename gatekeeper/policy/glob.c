/*
 * Only the last `*` is ever gone back to: an earlier one has matched as little
 * as it could, and giving it more can only repeat what the last one tries.
 */

#include "gatekeeper/policy/glob.h"

/*
 * Match byte against the set that starts behind '['.  Yields the position
 * behind ']', or 0 where the set has no end and '[' stands for itself.
 */
static size_t match_set(const char *pattern, size_t length, size_t at,
			unsigned char byte, bool *ret)
{
	bool negated =
		at < length && (pattern[at] == '!' || pattern[at] == '^');
	bool found = false;
	size_t first = at + negated;

	for (size_t i = first; i < length; i++) {
		unsigned char low = (unsigned char)pattern[i], high = low;

		if (low == ']' && i > first) {
			*ret = found != negated;
			return i + 1;
		}
		if (i + 2 < length && pattern[i + 1] == '-' &&
		    pattern[i + 2] != ']') {
			high = (unsigned char)pattern[i + 2];
			i += 2;
		}
		if (byte >= low && byte <= high)
			found = true;
	}
	return 0;
}

/* Match one byte at pattern[at]; yields the position behind, 0 for none. */
static size_t match_one(const char *pattern, size_t length, size_t at,
			unsigned char byte)
{
	bool matched;
	size_t behind;

	switch (pattern[at]) {
	case '?':
		return at + 1;
	case '[':
		behind = match_set(pattern, length, at + 1, byte, &matched);
		if (behind)
			return matched ? behind : 0;
		break;
	case '\\':
		if (at + 1 < length)
			at++;
		break;
	default:
		break;
	}
	return (unsigned char)pattern[at] == byte ? at + 1 : 0;
}

bool glob_match(const char *pattern, size_t pattern_length, const char *name,
		size_t name_length)
{
	size_t p = 0, n = 0, star = 0, star_name = 0;
	bool starred = false;

	while (n < name_length) {
		size_t behind = 0;

		if (p < pattern_length && pattern[p] == '*') {
			starred = true;
			star = ++p;
			star_name = n;
			continue;
		}
		if (p < pattern_length)
			behind = match_one(pattern, pattern_length, p,
					   (unsigned char)name[n]);
		if (behind) {
			p = behind;
			n++;
		} else if (starred) {
			p = star;
			n = ++star_name;
		} else {
			return false;
		}
	}
	while (p < pattern_length && pattern[p] == '*')
		p++;
	return p == pattern_length;
}

bool glob_is_pattern(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] == '*' || text[i] == '?' || text[i] == '[')
			return true;
	return false;
}
