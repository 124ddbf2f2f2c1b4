#include "gatekeeper/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	const char *program;
	bool journal;
} log_state = {.program = "leash"};

void log_start(const char *program)
{
	log_state.program = program;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

static const char *log_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_NOTICE:
	case LOG_LEVEL_INFO:
		return "";
	}
	return "";
}

void log_line(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char line[2048];
	int used;
	va_list args;

	if (log_state.journal)
		used = snprintf(line, sizeof(line), "<%d>", (int)level);
	else
		used = snprintf(line, sizeof(line), "%s: %s", log_state.program,
				log_word(level));

	va_start(args, format);
	used += vsnprintf(line + used, sizeof(line) - (size_t)used, format,
			  args);
	va_end(args);

	if ((size_t)used > sizeof(line) - 2)
		used = (int)sizeof(line) - 2;
	line[used++] = '\n';
	/*
	 * One write, so that lines of several processes do not mix; and none
	 * where it would wait for a reader: a gate waits for nobody.
	 */
	if (poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1,
		 0) > 0 &&
	    write(STDERR_FILENO, line, (size_t)used) < 0)
		used = 0; /* nowhere left to say it */
	errno = saved;
}
