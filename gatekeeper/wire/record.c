#include "gatekeeper/wire/record.h"

#include <string.h>

struct encoded {
	int64_t time_ns;
	uint64_t generation;
	uint32_t kind, access, verdict, reason;
	uint32_t uid, pid, parent_pid;
	uint32_t protocol, port;
	uint16_t lengths[RECORD_TEXT_COUNT];
	uint16_t host_length;
	uint16_t source_length;
	uint16_t zero;
};

/* Append a text, cut where it is too long; yields its length. */
static uint16_t put_text(const struct record_bytes *text, char *buffer,
			 size_t *used)
{
	size_t length = text->length;

	if (length > RECORD_TEXT_MAX)
		length = RECORD_TEXT_MAX;
	if (length)
		memcpy(buffer + *used, text->bytes, length);
	*used += length;
	return (uint16_t)length;
}

/* Take a text of that length from what is left.  False: it is not there. */
static bool take_text(const char **at, const char *end, uint16_t length,
		      struct record_bytes *ret)
{
	if (length > RECORD_TEXT_MAX || length > (size_t)(end - *at))
		return false;
	*ret = (struct record_bytes){*at, length};
	*at += length;
	return true;
}

size_t record_encode(const struct record *record,
		     char buffer[static RECORD_SIZE_MAX * 2])
{
	struct encoded head = {
		.time_ns = record->time_ns,
		.generation = record->generation,
		.kind = record->kind,
		.access = record->access,
		.verdict = record->verdict,
		.reason = record->reason,
		.uid = record->uid,
		.pid = record->pid,
		.parent_pid = record->parent_pid,
		.protocol = record->protocol,
		.port = record->port,
	};
	size_t used = sizeof(head);

	for (int i = 0; i < RECORD_TEXT_COUNT; i++)
		head.lengths[i] = put_text(&record->texts[i], buffer, &used);
	head.host_length = put_text(&record->host, buffer, &used);
	head.source_length = put_text(&record->source, buffer, &used);
	memcpy(buffer, &head, sizeof(head));
	return used;
}

int record_decode(const void *bytes, size_t length, struct record *ret)
{
	const char *at = bytes, *end = at + length;
	struct encoded head;
	struct record record;

	if (length < sizeof(head))
		return RECORD_MALFORMED;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	record = (struct record){
		.time_ns = head.time_ns,
		.generation = head.generation,
		.kind = head.kind,
		.access = head.access,
		.verdict = head.verdict,
		.reason = head.reason,
		.uid = head.uid,
		.pid = head.pid,
		.parent_pid = head.parent_pid,
		.protocol = head.protocol,
		.port = head.port,
	};
	if (head.kind < POLICY_KIND_OPEN || head.kind > POLICY_KIND_RESULT)
		return RECORD_MALFORMED;
	for (int i = 0; i < RECORD_TEXT_COUNT; i++)
		if (!take_text(&at, end, head.lengths[i], &record.texts[i]))
			return RECORD_MALFORMED;
	if (!take_text(&at, end, head.host_length, &record.host) ||
	    !take_text(&at, end, head.source_length, &record.source) ||
	    at != end)
		return RECORD_MALFORMED;
	*ret = record;
	return 0;
}

void record_set(struct record *record, enum record_text which, const char *text)
{
	record->texts[which] =
		(struct record_bytes){text, text ? strlen(text) : 0};
}

bool record_is_important(const struct record *record)
{
	return record->verdict != POLICY_ALLOW ||
	       record->kind == POLICY_KIND_DAEMON;
}
