/* any text, searched as it is and as what it decodes to */

#include <sodium.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "toolcall/search/decode.h"
#include "toolcall/search/search.h"

struct text {
	struct search *search;
	size_t length;
};

static void found(void *context, const struct rule *rule, size_t from,
		  size_t to)
{
	const struct text *text = context;

	if (!rule->id || from > to || to > text->length)
		abort();
}

static int search_decoded(void *context, enum decode_form form, size_t at,
			  const char *bytes, size_t length)
{
	struct text *outer = context;
	struct text text = {outer->search, length};

	if (at > outer->length || length > outer->length ||
	    form == DECODE_PLAIN)
		abort();
	return search_text(text.search, bytes, length, ~UINT32_C(0), found,
			   &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct search *search;
	struct text text = {.length = size};

	if (!search && (sodium_init() < 0 || search_new(&search)))
		abort();
	text.search = search;
	if (search_text(search, (const char *)data, size, ~UINT32_C(0), found,
			&text) ||
	    decode_each((const char *)data, size, search_decoded, &text))
		abort();
	return 0;
}
