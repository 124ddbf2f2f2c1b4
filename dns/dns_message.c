#include "dns/dns_message.h"

#include <ares.h>
#include <errno.h>
#include <string.h>

#include "dns/edns.h"

#define HEADER_SIZE  12
#define RECORD_FIXED 10 /* type, class, ttl, length */
#define RECORDS_MAX  4096
#define CNAMES_MAX   16

enum type {
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_AAAA = 28,
};

#define CLASS_IN     1
#define FLAG_ANSWER  0x8000
#define FLAGS_OPCODE 0x7800
#define FLAGS_CODE   0x000f
#define FLAGS_ASKED  0x0130 /* of a question: RD, AD, CD */
#define LABEL_MAX    63

struct reader {
	const unsigned char *bytes;
	size_t length;
	size_t at;
};

/* A record of the answer section. */
struct record {
	char *owner; /* owned, c-ares's */
	uint16_t type;
	uint32_t ttl_s;
	size_t data;
	uint16_t data_length;
};

struct answer {
	struct reader reader;
	struct record *records; /* owned */
	size_t count;
};

static uint16_t get16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const unsigned char *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void fold(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* Read a name and pass over it.  The text is c-ares's to free. */
static int read_name(struct reader *reader, char **ret)
{
	long used;
	int r;

	if (reader->at >= reader->length)
		return DNS_MESSAGE_MALFORMED;
	r = ares_expand_name(reader->bytes + reader->at, reader->bytes,
			     (int)reader->length, ret, &used);
	if (r == ARES_ENOMEM)
		return -ENOMEM;
	if (r != ARES_SUCCESS)
		return DNS_MESSAGE_MALFORMED;
	reader->at += (size_t)used;
	fold(*ret);
	return 0;
}

static int read_question(struct reader *reader, struct dns_link_told *ret)
{
	char *name;
	size_t length;
	int r = read_name(reader, &name);

	if (r)
		return r;
	length = strlen(name);
	if (length < sizeof(ret->name))
		memcpy(ret->name, name, length + 1);
	ares_free_string(name);
	if (length >= sizeof(ret->name) || reader->length - reader->at < 4)
		return DNS_MESSAGE_MALFORMED;
	ret->type = get16(reader->bytes + reader->at);
	ret->class = get16(reader->bytes + reader->at + 2);
	reader->at += 4;
	ret->question_end = (uint16_t)reader->at;
	return 0;
}

/* The owner is the caller's to free, also on failure. */
static int read_record(struct reader *reader, struct record *ret)
{
	const unsigned char *fixed;
	int r = read_name(reader, &ret->owner);

	if (r)
		return r;
	if (reader->length - reader->at < RECORD_FIXED)
		return DNS_MESSAGE_MALFORMED;
	fixed = reader->bytes + reader->at;
	reader->at += RECORD_FIXED;
	ret->type = get16(fixed);
	/* Of another class, it is of no type that counts here. */
	if (get16(fixed + 2) != CLASS_IN)
		ret->type = 0;
	ret->ttl_s = get32(fixed + 4);
	ret->data_length = get16(fixed + 8);
	ret->data = reader->at;
	if (ret->data_length > reader->length - reader->at)
		return DNS_MESSAGE_MALFORMED;
	reader->at += ret->data_length;
	return 0;
}

/* Is the name at the reader written out, without a pointer to elsewhere? */
static bool is_written_out(const struct reader *reader)
{
	size_t at = reader->at;

	while (at < reader->length && reader->bytes[at]) {
		if (reader->bytes[at] > LABEL_MAX)
			return false;
		at += 1U + reader->bytes[at];
	}
	return at < reader->length;
}

/*
 * A question says its name and no more: what resolvers do not need, they may
 * hand on, and it would go out unjudged.
 */
static int read_bare_question(struct reader *reader, struct dns_link_told *ret)
{
	const unsigned char *header = reader->bytes;
	uint16_t additional = get16(header + 10);
	int r;

	if (get16(header + 2) & ~FLAGS_ASKED || get16(header + 6) ||
	    get16(header + 8) || additional > 1 || !is_written_out(reader))
		return DNS_MESSAGE_MALFORMED;
	r = read_question(reader, ret);
	if (r)
		return r;
	ret->has_edns = additional == 1;
	if (additional ? edns_is_plain(reader->bytes + reader->at,
				       reader->length - reader->at)
		       : reader->at == reader->length)
		return 0;
	return DNS_MESSAGE_MALFORMED;
}

static int read_records(struct answer *answer)
{
	size_t count = get16(answer->reader.bytes + 6);
	int r = 0;

	if (count > RECORDS_MAX)
		return DNS_MESSAGE_MALFORMED;
	answer->records = calloc(count + 1, sizeof(*answer->records));
	if (!answer->records)
		return -ENOMEM;
	while (!r && answer->count < count)
		r = read_record(&answer->reader,
				&answer->records[answer->count++]);
	return r;
}

static void free_records(struct answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		ares_free_string(answer->records[i].owner);
	free(answer->records);
}

static const struct record *find_cname(const struct answer *answer,
				       const char *name)
{
	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].type == TYPE_CNAME &&
		    !strcmp(answer->records[i].owner, name))
			return &answer->records[i];
	return NULL;
}

static bool get_address(const struct answer *answer,
			const struct record *record, struct policy_address *ret)
{
	const unsigned char *data = answer->reader.bytes + record->data;

	if (record->type == TYPE_A && record->data_length == 4) {
		*ret = (struct policy_address){{[10] = 0xff, [11] = 0xff}};
		memcpy(ret->bytes + 12, data, 4);
		return true;
	}
	if (record->type == TYPE_AAAA && record->data_length == 16) {
		memcpy(ret->bytes, data, 16);
		return true;
	}
	return false;
}

static void take_addresses(const struct answer *answer, const char *name,
			   uint32_t ttl_s, struct dns_link_told *ret)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct record *record = &answer->records[i];
		struct dns_link_record *told = &ret->records[ret->count];

		if (ret->count == DNS_LINK_RECORDS_MAX)
			return;
		if (strcmp(record->owner, name) ||
		    !get_address(answer, record, &told->address))
			continue;
		told->ttl_s = record->ttl_s < ttl_s ? record->ttl_s : ttl_s;
		ret->count++;
	}
}

/* From the name asked, along the chain of CNAMEs, to its addresses. */
static int follow_chain(const struct answer *answer, struct dns_link_told *ret)
{
	uint32_t ttl_s = UINT32_MAX;
	char *name = NULL, *next;
	int r = 0;

	for (int step = 0; step <= CNAMES_MAX; step++) {
		const char *here = name ? name : ret->name;
		const struct record *cname = find_cname(answer, here);
		struct reader target = answer->reader;

		if (!cname) {
			take_addresses(answer, here, ttl_s, ret);
			break;
		}
		if (cname->ttl_s < ttl_s)
			ttl_s = cname->ttl_s;
		target.at = cname->data;
		r = read_name(&target, &next);
		if (r)
			break;
		ares_free_string(name);
		name = next;
	}
	ares_free_string(name);
	return r;
}

static int finish_answer(struct reader *reader, struct dns_link_told *ret)
{
	struct answer answer = {.reader = *reader};
	int r = read_records(&answer);

	if (!r)
		r = follow_chain(&answer, ret);
	free_records(&answer);
	return r;
}

int dns_message_read(const void *bytes, size_t length, enum dns_link_kind kind,
		     struct dns_link_told *ret)
{
	struct reader reader = {bytes, length, HEADER_SIZE};
	bool is_answer = kind == DNS_LINK_ANSWER;
	uint16_t flags;
	int r;

	if (length < HEADER_SIZE || length > DNS_LINK_MESSAGE_MAX)
		return DNS_MESSAGE_MALFORMED;
	flags = get16(reader.bytes + 2);
	if (!(flags & FLAG_ANSWER) == is_answer || flags & FLAGS_OPCODE ||
	    get16(reader.bytes + 4) != 1)
		return DNS_MESSAGE_MALFORMED;
	ret->id = get16(reader.bytes);
	ret->response_code = flags & FLAGS_CODE;
	ret->has_edns = false;
	ret->count = 0;
	if (!is_answer)
		return read_bare_question(&reader, ret);
	r = read_question(&reader, ret);
	return r ? r : finish_answer(&reader, ret);
}
