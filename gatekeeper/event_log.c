#include "gatekeeper/event_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/wire/record.h"

static void put(struct event_log *log, struct record *record)
{
	char buffer[RECORD_SIZE_MAX * 2];
	size_t length;
	uint64_t one = 1;

	record->time_ns = clock_realtime_ns();
	record->generation = log->generation;
	length = record_encode(record, buffer);
	if (channel_put(log->channel, buffer, length,
			record_is_important(record)) == 0 &&
	    channel_wants_wake(log->channel) &&
	    write(log->wake, &one, sizeof(one)) < 0)
		log_warning("cannot wake the store: %m");
}

__attribute__((format(printf, 3, 0))) static void note(struct event_log *log,
						       enum log_level level,
						       const char *format,
						       va_list args)
{
	struct record record = {
		.kind = POLICY_KIND_DAEMON,
		.pid = (uint32_t)getpid(),
	};
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	log_line(level, "%s", text);
	record_set(&record, RECORD_TEXT_PROGRAM, "gatekeeper");
	record_set(&record, RECORD_TEXT_NOTE, text);
	put(log, &record);
}

void event_log_note(struct event_log *log, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(log, LOG_LEVEL_NOTICE, format, args);
	va_end(args);
}

void event_log_warn(struct event_log *log, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(log, LOG_LEVEL_WARNING, format, args);
	va_end(args);
}

void event_log_verdict(struct event_log *log, const struct policy *policy,
		       const struct event_log_verdict *verdict)
{
	struct record record = {
		.kind = POLICY_KIND_OPEN,
		.access = POLICY_ACCESS_UNKNOWN,
		.verdict = verdict->verdict,
		.reason = verdict->reason,
		.uid = verdict->uid,
		.pid = (uint32_t)verdict->tid,
	};

	if (verdict->account != POLICY_NONE)
		record_set(&record, RECORD_TEXT_ACCOUNT,
			   policy_text(policy,
				       policy_account(policy, verdict->account)
					       ->name));
	record_set(&record, RECORD_TEXT_TARGET, verdict->path);
	put(log, &record);
}
