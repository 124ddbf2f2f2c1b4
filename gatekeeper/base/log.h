#pragma once

/*
 * log - sentences an administrator can act on, to standard error
 *
 * Under systemd (JOURNAL_STREAM set) each line carries its syslog level, else
 * the program's name.  Never syslog(3): opening its socket could block on a
 * gate.  Text that came from outside is to be passed through escape first.
 * errno survives.
 */

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
};

/* Name the program; called once, first thing in main(). */
void log_start(const char *program);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level,
						    const char *format, ...);

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
