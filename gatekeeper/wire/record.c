#include "gatekeeper/wire/record.h"

#include <string.h>

struct encoded {
	int64_t time_ns;
	uint64_t generation;
	uint32_t kind, access, verdict, reason;
	uint32_t uid, pid, parent_pid;
	uint16_t lengths[RECORD_TEXT_COUNT];
	uint16_t zero[2];
};

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
	};
	size_t used = sizeof(head);

	for (int i = 0; i < RECORD_TEXT_COUNT; i++) {
		size_t length = record->texts[i].length;

		if (length > RECORD_TEXT_MAX)
			length = RECORD_TEXT_MAX;
		if (length)
			memcpy(buffer + used, record->texts[i].bytes, length);
		head.lengths[i] = (uint16_t)length;
		used += length;
	}
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
	};
	if (head.kind < POLICY_KIND_OPEN || head.kind > POLICY_KIND_DAEMON)
		return RECORD_MALFORMED;
	for (int i = 0; i < RECORD_TEXT_COUNT; i++) {
		if (head.lengths[i] > RECORD_TEXT_MAX ||
		    head.lengths[i] > (size_t)(end - at))
			return RECORD_MALFORMED;
		record.texts[i] = (struct record_bytes){at, head.lengths[i]};
		at += head.lengths[i];
	}
	if (at != end)
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
