#include "gatekeeper/policy/build/texts.h"

#include <errno.h>
#include <string.h>

#include "gatekeeper/base/hash.h"

/* The slot where text is, or where it would go. */
static struct policy_text *slot_of(const struct texts *texts, const char *text,
				   size_t length)
{
	const char *bytes = texts->bytes.entries;
	uint32_t mask = texts->slots.count - 1;
	uint64_t hash = hash_bytes(texts->seed, text, length);

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		struct policy_text *slot =
			ARRAY_AT(texts->slots, struct policy_text, i);

		/* Offset 0 is the empty text: in the table, an empty slot. */
		if (!slot->offset ||
		    (slot->length == length &&
		     !memcmp(bytes + slot->offset, text, length)))
			return slot;
	}
}

static int grow(struct texts *texts)
{
	struct array old = texts->slots;

	if (texts->used < old.count / 2)
		return 0;
	if (array_zeroed(&texts->slots, old.count * 2,
			 sizeof(struct policy_text))) {
		texts->slots = old;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < old.count; i++) {
		struct policy_text *text = ARRAY_AT(old, struct policy_text, i);

		if (text->offset)
			*slot_of(texts,
				 (char *)texts->bytes.entries + text->offset,
				 text->length) = *text;
	}
	free(old.entries);
	return 0;
}

int texts_add(struct texts *texts, const char *text, size_t length,
	      struct policy_text *ret)
{
	struct array *bytes = &texts->bytes;
	struct policy_text *slot;

	if (!length) {
		*ret = (struct policy_text){0, 0};
		return 0;
	}
	if (grow(texts))
		return -ENOMEM;
	slot = slot_of(texts, text, length);
	if (slot->offset) {
		*ret = *slot;
		return 0;
	}

	if (bytes->room - bytes->count < length + 1) {
		uint64_t room = (uint64_t)bytes->room * 2 + length + 1;
		void *grown = room > UINT32_MAX / 2
				      ? NULL
				      : realloc(bytes->entries, room);

		if (!grown)
			return -ENOMEM;
		bytes->entries = grown;
		bytes->room = (uint32_t)room;
	}
	*slot = (struct policy_text){bytes->count, (uint32_t)length};
	memcpy((char *)bytes->entries + bytes->count, text, length);
	bytes->count += (uint32_t)length;
	((char *)bytes->entries)[bytes->count++] = '\0';
	texts->used++;
	*ret = *slot;
	return 0;
}

int texts_init(struct texts *texts, uint64_t seed)
{
	char empty = '\0';

	texts->seed = seed;
	if (array_add(&texts->bytes, &empty, 1, NULL))
		return -ENOMEM;
	return array_zeroed(&texts->slots, 64, sizeof(struct policy_text));
}

void texts_done(struct texts *texts)
{
	free(texts->bytes.entries);
	free(texts->slots.entries);
}
