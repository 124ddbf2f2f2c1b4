#pragma once

/*
 * record - one verdict, or one event in Leash's own life, on its way to the
 * log
 *
 * A gate encodes it into a channel, the store decodes it.  The store trusts
 * no byte of it: a record that does not decode is counted and passed over.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/vocabulary.h"

enum record_text {
	RECORD_TEXT_ACCOUNT,
	RECORD_TEXT_RULE,
	RECORD_TEXT_PROGRAM,
	RECORD_TEXT_TARGET,
	RECORD_TEXT_NOTE, /* the rule's reason, or what happened */
	RECORD_TEXT_COUNT,
};

#define RECORD_SIZE_MAX 16384
#define RECORD_TEXT_MAX 4096 /* longer texts are cut */

struct record_bytes {
	const char *bytes; /* need not end in NUL, may hold anything */
	size_t length;
};

struct record {
	int64_t time_ns; /* realtime */
	uint64_t generation;
	uint32_t kind;	  /* enum policy_kind */
	uint32_t access;  /* enum policy_access */
	uint32_t verdict; /* enum policy_verdict */
	uint32_t reason;  /* enum policy_reason */
	uint32_t uid;
	uint32_t pid;
	uint32_t parent_pid;
	uint32_t protocol;	    /* enum policy_protocol; 0: no connection */
	uint32_t port;		    /* of the other side */
	struct record_bytes host;   /* the other side's name or address */
	struct record_bytes source; /* how the host is known */
	struct record_bytes texts[RECORD_TEXT_COUNT];
};

/* Expected outcome. */
enum {
	RECORD_MALFORMED = 1,
};

/* Write record into buffer, long texts cut.  Returns the length used. */
size_t record_encode(const struct record *record,
		     char buffer[static RECORD_SIZE_MAX * 2]);

/* Read a record; its texts point into bytes.  0 or RECORD_MALFORMED. */
MUST_CHECK int record_decode(const void *bytes, size_t length,
			     struct record *ret);

/* Point one of record's texts at a NUL-terminated string, or at nothing. */
void record_set(struct record *record, enum record_text which,
		const char *text);

/* Whether the record must not be lost for want of room. */
bool record_is_important(const struct record *record);
