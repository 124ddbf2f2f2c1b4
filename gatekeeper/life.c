#include "gatekeeper/life.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/wire/record.h"

static void put(struct life *life, struct record *record)
{
	char buffer[RECORD_SIZE_MAX * 2];
	size_t length;
	uint64_t one = 1;

	record->time_ns = clock_realtime_ns();
	record->generation = life->generation;
	length = record_encode(record, buffer);
	if (channel_put(life->channel, buffer, length,
			record_is_important(record)) == 0 &&
	    channel_wants_wake(life->channel) &&
	    write(life->wake, &one, sizeof(one)) < 0)
		log_warning("cannot wake the store: %m");
}

__attribute__((format(printf, 3, 0))) static void
note(struct life *life, enum log_level level, const char *format, va_list args)
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
	put(life, &record);
}

void life_note(struct life *life, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(life, LOG_LEVEL_NOTICE, format, args);
	va_end(args);
}

void life_warn(struct life *life, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(life, LOG_LEVEL_WARNING, format, args);
	va_end(args);
}

void life_note_event(struct life *life, enum policy_reason reason,
		     const struct stand_in_event *event, const char *account)
{
	struct record record = {
		.kind = POLICY_KIND_OPEN,
		.access = POLICY_ACCESS_UNKNOWN,
		.verdict = event->verdict,
		.reason = reason,
		.uid = event->uid,
		.pid = (uint32_t)event->tid,
	};

	record_set(&record, RECORD_TEXT_ACCOUNT, account);
	record_set(&record, RECORD_TEXT_TARGET, event->path);
	put(life, &record);
}
