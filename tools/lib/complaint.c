#include "tools/lib/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/escape.h"

void complaint_print(const char *format, ...)
{
	char text[4096], shown[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Several lines are several mistakes. */
	for (char *line = text, *end; *line; line = end) {
		size_t length = strcspn(line, "\n");

		end = line + length + (line[length] == '\n');
		escape_text(shown, sizeof(shown), line, length);
		fprintf(stderr, "leash: %s\n", shown);
	}
}
