#include "gatekeeper/config/compile/report.h"

#include <stdarg.h>
#include <string.h>

#include "gatekeeper/base/escape.h"

__attribute__((format(printf, 4, 0))) static void
say(struct report *report, struct report_place place, const char *word,
    const char *format, va_list args)
{
	char text[2048], shown[4096];

	vsnprintf(text, sizeof(text), format, args);
	escape_text(shown, sizeof(shown), text, strlen(text));
	fputs(place.file, report->out);
	if (place.line)
		fprintf(report->out, ":%u", place.line);
	fprintf(report->out, ": %s", word);
	if (place.key)
		fprintf(report->out, "%s: ", place.key);
	fprintf(report->out, "%s\n", shown);
}

void report_error(struct report *report, struct report_place place,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(report, place, "", format, args);
	va_end(args);
	report->errors++;
}

void report_note(struct report *report, struct report_place place,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(report, place, "note: ", format, args);
	va_end(args);
	report->notes++;
}
