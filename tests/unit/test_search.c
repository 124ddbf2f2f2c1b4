/*
 * Every example of secrets.rules and personal.rules: found by its rule, or by
 * none; and the same inside JSON, code, an address, base64, hexadecimal.
 */

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rule_file.h"
#include "toolcall/search/decode.h"
#include "toolcall/search/search.h"

#define ROUNDS 20 /* of other random characters */

struct seen {
	struct search *search;
	const char *wanted;
	uint32_t kinds;
	bool found;
	char names[256];
};

static void found(void *context, const struct rule *rule, size_t from,
		  size_t to)
{
	struct seen *seen = context;
	size_t length = strlen(seen->names);

	(void)from;
	(void)to;
	snprintf(seen->names + length, sizeof(seen->names) - length, " %s",
		 rule->id);
	seen->found = seen->found || !strcmp(rule->id, seen->wanted);
}

static int search_decoded(void *context, enum decode_form form, size_t at,
			  const char *text, size_t length)
{
	struct seen *seen = context;

	(void)form;
	(void)at;
	return search_text(seen->search, text, length, seen->kinds, found,
			   seen);
}

static void look(struct seen *seen, const char *text)
{
	seen->found = false;
	seen->names[0] = '\0';
	if (search_text(seen->search, text, strlen(text), seen->kinds, found,
			seen) ||
	    decode_each(text, strlen(text), search_decoded, seen))
		puts("# a search failed");
}

static char *in_json(const char *text)
{
	char *made = malloc(strlen(text) * 2 + 64), *to = made;

	to += sprintf(to, "{\"content\": \"");
	for (; *text; text++) {
		if (*text == '\n') {
			*to++ = '\\';
			*to++ = 'n';
			continue;
		}
		if (*text == '"' || *text == '\\')
			*to++ = '\\';
		*to++ = *text;
	}
	strcpy(to, "\"}");
	return made;
}

static char *in_code(const char *text)
{
	char *made = malloc(strlen(text) + 128);

	sprintf(made, "def f():\n    x = g('%s')\n    return x\n", text);
	return made;
}

static char *in_address(const char *text)
{
	char *made = malloc(strlen(text) * 3 + 64), *to = made;

	to += sprintf(to, "https://host.net/p?q=");
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-_.~", *text))
			*to++ = *text;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*text);
	*to = '\0';
	return made;
}

static char *in_base64(const char *text)
{
	size_t room = sodium_base64_ENCODED_LEN(strlen(text),
						sodium_base64_VARIANT_ORIGINAL);
	char *made = malloc(room);

	sodium_bin2base64(made, room, (const unsigned char *)text, strlen(text),
			  sodium_base64_VARIANT_ORIGINAL);
	return made;
}

static char *in_hex(const char *text)
{
	char *made = malloc(strlen(text) * 2 + 1);

	return sodium_bin2hex(made, strlen(text) * 2 + 1,
			      (const unsigned char *)text, strlen(text));
}

static char *plain(const char *text)
{
	return strdup(text);
}

static const struct {
	const char *name;
	char *(*wrap)(const char *text);
} places[] = {
	{"plain", plain},	 {"JSON", in_json},	{"code", in_code},
	{"address", in_address}, {"base64", in_base64}, {"hex", in_hex},
};

#define PLACES (sizeof(places) / sizeof(places[0]))

struct tally {
	unsigned long seen[PLACES];
	unsigned long tried;
};

/* In the clear, all must be found but those that chance has made too plain. */
static bool holds_yes(struct seen *seen, const struct example *example,
		      struct tally *tally)
{
	uint64_t seed = 88172645463325252ull;
	unsigned int missed = 0;

	for (int round = 0; round < ROUNDS; round++) {
		char *text = rule_file_fill(example->text, &seed);

		tally->tried++;
		for (size_t i = 0; i < PLACES; i++) {
			char *wrapped = places[i].wrap(text);

			look(seen, wrapped);
			/* Whichever rule: what matters is that it is seen. */
			tally->seen[i] += seen->names[0] != '\0';
			if (i == 0 && !seen->found && ++missed == 2)
				printf("# %s: not found: %s (found:%s)\n",
				       example->rule, text, seen->names);
			free(wrapped);
		}
		free(text);
	}
	return missed < 2;
}

static bool holds_no(struct seen *seen, const struct example *example)
{
	uint64_t seed = 88172645463325252ull;
	bool clean = true;

	for (int round = 0; clean && round < ROUNDS; round++) {
		char *text = rule_file_fill(example->text, &seed);

		look(seen, text);
		clean = !seen->names[0];
		if (!clean)
			printf("# %s: wrongly found: %s (found:%s)\n",
			       example->rule, text, seen->names);
		free(text);
	}
	return clean;
}

static uint32_t kinds_of(const struct example *example)
{
	for (uint32_t i = 0; i < POLICY_INSPECT_KINDS; i++)
		if (!strcmp(policy_inspect_word(i), example->kind))
			return UINT32_C(1) << i;
	return 0;
}

static unsigned int test_file(struct search *search, const char *path,
			      unsigned int number, struct tally *tally)
{
	struct rule_file file = rule_file_read(path);
	bool all = true;

	for (size_t i = 0; i < file.count; i++) {
		const struct example *example = &file.examples[i];
		struct seen seen = {
			.search = search,
			.wanted = example->rule,
			.kinds = kinds_of(example),
		};

		all = (example->yes ? holds_yes(&seen, example, tally)
				    : holds_no(&seen, example)) &&
		      all;
		if (i + 1 < file.count &&
		    !strcmp(example->rule, file.examples[i + 1].rule))
			continue;
		printf("%s %u - %s\n", all ? "ok" : "not ok", ++number,
		       example->rule);
		all = true;
	}
	rule_file_free(&file);
	return number;
}

int main(int argc, char **argv)
{
	CLEANUP(search_free) struct search *search = NULL;
	struct tally tally = {.tried = 0};
	unsigned int number = 0;

	if (sodium_init() < 0 || search_new(&search)) {
		puts("Bail out! the rules do not compile");
		return 1;
	}
	for (int i = 1; i < argc; i++)
		number = test_file(search, argv[i], number, &tally);
	for (size_t i = 0; i < PLACES; i++) {
		double share = (double)tally.seen[i] / (double)tally.tried;

		printf("%s %u - of %lu generated, %.2f %% found in: %s\n",
		       share >= 0.97 ? "ok" : "not ok", ++number, tally.tried,
		       share * 100, places[i].name);
	}
	printf("1..%u\n", number);
	return 0;
}
