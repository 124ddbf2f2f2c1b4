#include "store/drain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "store/database.h"

#define BATCH_ROWS	4000
#define BATCH_WAIT_MS	50 /* what a crash of the machine may lose */
#define RETRY_WAIT_MS	250
#define IDLE_TURNS	20 /* this many empty turns before sleeping */
#define HOUSEKEEPING_NS (60 * CLOCK_NS_PER_S)
#define LOOK_NS		CLOCK_NS_PER_S
#define TEXTS_NS	(24 * 3600 * CLOCK_NS_PER_S)
#define EXPIRE_ROWS	2000

struct drain {
	const char *path;
	struct channel *const *channels;
	struct drain_limits limits;
	struct database *database; /* NULL while it cannot be opened */
	int trouble;		   /* the outcome last complained of */
	int64_t trouble_since_ns;
	int idle_turns;
	int64_t looked_ns;
	int64_t expired_ns;
	int64_t texts_ns;
	bool expiring;
};

int drain_new(const char *path, struct channel *const channels[DRAIN_CHANNELS],
	      const struct drain_limits *limits, struct drain **ret)
{
	struct drain *drain = calloc(1, sizeof(*drain));

	if (!drain)
		return -ENOMEM;
	drain->path = path;
	drain->channels = channels;
	drain->limits = *limits;
	drain->texts_ns = clock_monotonic_ns();
	*ret = drain;
	return 0;
}

struct drain *drain_free(struct drain *drain)
{
	if (drain)
		database_free(drain->database);
	free(drain);
	return NULL;
}

static const char *trouble_text(int trouble)
{
	switch (trouble) {
	case DATABASE_BUSY:
		return "another process holds it locked";
	case DATABASE_FULL:
		return "the disk is full";
	case DATABASE_DAMAGED:
		return "it is damaged";
	case DATABASE_NEWER:
		return "it was written by a newer version of Leash";
	default:
		return "it cannot be written";
	}
}

/* Say once what keeps the log from being written. */
static void complain(struct drain *drain, int outcome)
{
	if (drain->trouble != outcome)
		log_warning("%s: %s (%s); verdicts go on, records wait",
			    drain->path, trouble_text(outcome),
			    drain->database ? database_error(drain->database)
					    : "not open");
	if (!drain->trouble)
		drain->trouble_since_ns = clock_monotonic_ns();
	drain->trouble = outcome;
}

static int note(struct drain *drain, const char *text)
{
	struct record record = {
		.time_ns = clock_realtime_ns(),
		.kind = POLICY_KIND_DAEMON,
	};

	record_set(&record, RECORD_TEXT_PROGRAM, "leash-store");
	record_set(&record, RECORD_TEXT_NOTE, text);
	return database_add(drain->database, &record);
}

static int note_losses(struct drain *drain, struct channel *channel,
		       struct database_progress *progress)
{
	struct channel_losses lost = channel_lost(channel);
	uint64_t ordinary = lost.ordinary - progress->lost_ordinary;
	uint64_t important = lost.important - progress->lost_important;
	char text[160];

	if (!ordinary && !important)
		return 0;
	progress->lost_ordinary = lost.ordinary;
	progress->lost_important = lost.important;
	snprintf(text, sizeof(text),
		 "records lost for want of room: %" PRIu64
		 " of what was allowed, %" PRIu64 " of what was denied",
		 ordinary, important);
	log_warning("%s", text);
	return note(drain, text);
}

/* Write the records from progress on; moves it and counts them. */
static int write_records(struct drain *drain, struct channel *channel,
			 struct database_progress *progress, int *ret_count)
{
	const void *bytes;
	size_t length;
	int count = 0, r = 0;

	while (!r && count < BATCH_ROWS) {
		struct record record;
		int found = channel_peek(channel, &progress->position, &bytes,
					 &length);

		if (found == CHANNEL_EMPTY)
			break;
		count++;
		if (found == CHANNEL_DAMAGED ||
		    record_decode(bytes, length, &record))
			r = note(drain, "a record could not be read and is "
					"missing here");
		else
			r = database_add(drain->database, &record);
	}
	*ret_count = count;
	return r;
}

static int take_batch(struct drain *drain, struct channel *channel,
		      int *ret_count)
{
	struct database_progress progress;
	int count = 0, r;

	r = database_begin(drain->database);
	if (!r)
		r = database_progress(drain->database, channel_id(channel),
				      &progress);
	if (r)
		return r;
	/* Committed before, but not released: a store died in between. */
	if (progress.position < channel_released(channel))
		progress.position = channel_released(channel);
	r = note_losses(drain, channel, &progress);
	if (!r)
		r = write_records(drain, channel, &progress, &count);
	if (!r)
		r = database_set_progress(drain->database, channel_id(channel),
					  &progress);
	if (!r)
		r = database_commit(drain->database);
	if (r)
		return r;
	channel_release(channel, progress.position);
	*ret_count = count;
	return 0;
}

static int open_database(struct drain *drain)
{
	int r = database_open(drain->path, &drain->database);

	if (r == DATABASE_DAMAGED) /* set aside: now make a new one */
		r = database_open(drain->path, &drain->database);
	return r;
}

static int recovered(struct drain *drain)
{
	char text[160];
	int r;

	if (!drain->trouble)
		return 0;
	snprintf(text, sizeof(text),
		 "the log could not be written for %" PRId64 " ms: %s",
		 (clock_monotonic_ns() - drain->trouble_since_ns) /
			 CLOCK_NS_PER_MS,
		 trouble_text(drain->trouble));
	r = database_begin(drain->database);
	if (!r)
		r = note(drain, text);
	if (!r)
		r = database_commit(drain->database);
	if (!r) {
		log_notice("%s is written again", drain->path);
		drain->trouble = 0;
	}
	return r;
}

/* Once a second: is the file still where its readers look for it? */
static void look_in_place(struct drain *drain, int64_t now_ns)
{
	if (now_ns - drain->looked_ns < LOOK_NS)
		return;
	drain->looked_ns = now_ns;
	if (drain->database && !database_in_place(drain->database)) {
		log_error("%s was taken away; a new log is begun", drain->path);
		drain->database = database_free(drain->database);
	}
}

static int housekeep(struct drain *drain, int64_t now_ns)
{
	int deleted = 0, r = 0;

	if (drain->expiring || now_ns - drain->expired_ns > HOUSEKEEPING_NS) {
		drain->expired_ns = now_ns;
		r = database_expire(drain->database,
				    clock_realtime_ns() - drain->limits.keep_ns,
				    drain->limits.max_bytes, EXPIRE_ROWS,
				    &deleted);
		drain->expiring = deleted == EXPIRE_ROWS;
	}
	if (!r && now_ns - drain->texts_ns > TEXTS_NS) {
		drain->texts_ns = now_ns;
		r = database_forget_texts(drain->database);
	}
	return r;
}

static int write_all(struct drain *drain, int *ret_count)
{
	int64_t now_ns = clock_monotonic_ns();
	int total = 0, r = 0;

	look_in_place(drain, now_ns);
	if (!drain->database)
		r = open_database(drain);
	if (!r)
		r = recovered(drain);
	for (int i = 0; !r && i < DRAIN_CHANNELS; i++) {
		int count = 0;

		r = take_batch(drain, drain->channels[i], &count);
		total += count;
	}
	if (!r)
		r = housekeep(drain, now_ns);
	*ret_count = total;
	return r;
}

/* After a failure: what can be mended is, the rest is tried again. */
static int step_back(struct drain *drain, int outcome)
{
	if (outcome < 0 && outcome != -ENOMEM && drain->database)
		outcome = DATABASE_FAILED;
	complain(drain, outcome);
	if (drain->database)
		database_abandon(drain->database);
	if (outcome == DATABASE_DAMAGED || outcome == DATABASE_FAILED)
		drain->database = database_free(drain->database);
	return 0;
}

static bool may_sleep(struct drain *drain)
{
	if (++drain->idle_turns < IDLE_TURNS)
		return false;
	for (int i = 0; i < DRAIN_CHANNELS; i++)
		if (!channel_sleep(drain->channels[i],
				   channel_released(drain->channels[i])))
			return false;
	return true;
}

int drain_turn(struct drain *drain, int *ret_wait_ms)
{
	int count = 0, r;

	for (int i = 0; i < DRAIN_CHANNELS; i++)
		channel_beat(drain->channels[i]);
	r = write_all(drain, &count);
	if (r) {
		*ret_wait_ms = RETRY_WAIT_MS;
		return step_back(drain, r);
	}
	if (count)
		drain->idle_turns = 0;
	if (count >= BATCH_ROWS || drain->expiring)
		*ret_wait_ms = 0;
	else
		*ret_wait_ms = !count && may_sleep(drain) ? -1 : BATCH_WAIT_MS;
	return 0;
}

int drain_finish(struct drain *drain)
{
	int count = 0, r;

	do
		r = write_all(drain, &count);
	while (!r && count);
	if (r) {
		complain(drain, r);
		if (drain->database)
			database_abandon(drain->database);
	}
	return r < 0 ? r : 0;
}
