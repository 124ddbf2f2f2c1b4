#include "tools/leash/dialog/terminal.h"

#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/escape.h"

const char *terminal_shown(const char *text)
{
	static char buffers[8][8192];
	static unsigned int next;
	char *buffer = buffers[next++ % 8];

	escape_text(buffer, sizeof(buffers[0]), text, strlen(text));
	return buffer;
}

void terminal_print_word(const char *text)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
			    "XYZ0123456789_-./:@%+,=";

	if (*text && text[strspn(text, plain)] == '\0') {
		printf(" %s", text);
		return;
	}
	fputs(" '", stdout);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	putchar('\'');
}
