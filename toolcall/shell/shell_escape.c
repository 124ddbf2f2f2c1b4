#include "toolcall/shell/shell_escape.h"

#include <ctype.h>

static int digits(const char **at, const char *end, int base, int most)
{
	int value = 0;

	for (int i = 0; i < most && *at < end; i++, (*at)++) {
		int c = tolower((unsigned char)**at);
		int digit = isdigit(c) ? c - '0' : c >= 'a' ? c - 'a' + 10 : 99;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	return value;
}

char shell_escape(const char **at, const char *end)
{
	char c = *(*at)++;

	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'e':
		return '\033';
	case 'x':
		return (char)digits(at, end, 16, 2);
	case 'u':
		return (char)digits(at, end, 16, 4);
	case 'U':
		return (char)digits(at, end, 16, 8);
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
		(*at)--;
		return (char)digits(at, end, 8, c == '0' ? 4 : 3);
	default:
		return c;
	}
}
