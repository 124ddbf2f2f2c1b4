#include "toolcall/pins/definitions.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define STEPS_MAX 1000000

static const struct {
	const char *why;
	const char *pattern;
} rules[] = {
	{"it tells the model to forget what it was told",
	 "(?C1)(?i)\\b(?:ignore|disregard|forget|override)\\b.{0,20}\\b(?:"
	 "previous|"
	 "prior|above|earlier|all|any|other|system)\\b.{0,20}\\b(?:instruction|"
	 "prompt|rule|message|guideline)s?"},
	{"it tells the model to keep something from the user",
	 "(?C1)(?i)\\b(?:do "
	 "not|don't|never|without)\\b.{0,10}\\b(?:tell(?:ing)?|"
	 "inform(?:ing)?|mention(?:ing)?|reveal(?:ing)?|show(?:ing)?|notify"
	 "(?:ing)?|ask(?:ing)?|disclos(?:e|ing))\\b.{0,40}\\b(?:user|human|"
	 "person|anyone)"},
	{"it speaks in the system's name",
	 "(?C1)(?i)<\\s*/?\\s*(?:important|system|instructions?|secret|admin|"
	 "assistant|s)\\s*>|\\[(?:system|inst|important)\\]"},
	{"it names files with secrets",
	 "(?C1)(?i)~?/\\.ssh\\b|\\bid_(?:rsa|ed25519|ecdsa)\\b|\\.aws/"
	 "credentials|"
	 "\\.netrc\\b|\\bmcp\\.json\\b|\\.env\\b(?!iron)|/etc/(?:passwd|shadow)"
	 "|\\bprivate key\\b|\\.git-credentials|\\.cursor/|\\.claude/"},
	{"it has something sent elsewhere",
	 "(?C1)(?i)\\b(?:send|forward|upload|post|exfiltrate|transmit|leak|"
	 "copy)\\b"
	 ".{0,60}\\b(?:to|at)\\b.{0,10}(?:https?://|[\\w.+-]+@[\\w-]+\\.\\w)"},
	{"it tells the model how to use other tools",
	 "(?C1)(?i)\\b(?:before|after|instead of|whenever|prior to)\\b.{0,20}"
	 "\\b(?:using|calling|invoking|running|you (?:use|call|run))\\b.{0,30}"
	 "\\b(?:any|other|another|the|this)\\b.{0,20}\\btools?\\b|"
	 "\\b(?:must|always|should)\\b.{0,20}\\bfirst\\b.{0,20}\\b(?:call|"
	 "read|use|run)\\b"},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

struct definitions {
	pcre2_code *codes[RULES];
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct effort *effort; /* borrowed, during a call; or NULL */
};

/* At each place of a text that an expression is tried at: go on? */
static int ask_effort(pcre2_callout_block *block, void *context)
{
	const struct definitions *definitions = context;

	(void)block;
	return effort_is_spent(definitions->effort) ? PCRE2_ERROR_CALLOUT : 0;
}

int definitions_new(struct definitions **ret)
{
	CLEANUP(definitions_free)
	struct definitions *definitions = calloc(1, sizeof(*definitions));

	if (!definitions)
		return -ENOMEM;
	definitions->match = pcre2_match_data_create(2, NULL);
	definitions->limits = pcre2_match_context_create(NULL);
	if (!definitions->match || !definitions->limits)
		return -ENOMEM;
	pcre2_set_match_limit(definitions->limits, STEPS_MAX);
	pcre2_set_callout(definitions->limits, ask_effort, definitions);
	for (size_t i = 0; i < RULES; i++) {
		PCRE2_SIZE at;
		int error;

		definitions->codes[i] = pcre2_compile(
			(PCRE2_SPTR)rules[i].pattern, PCRE2_ZERO_TERMINATED,
			PCRE2_DOTALL, &error, &at, NULL);
		if (!definitions->codes[i])
			return -EINVAL;
	}
	*ret = STEAL(definitions);
	return 0;
}

struct definitions *definitions_free(struct definitions *definitions)
{
	if (!definitions)
		return NULL;
	for (size_t i = 0; i < RULES; i++)
		pcre2_code_free(definitions->codes[i]);
	pcre2_match_data_free(definitions->match);
	pcre2_match_context_free(definitions->limits);
	free(definitions);
	return NULL;
}

/* The code point at text, which is UTF-8; its length. */
static size_t next_point(const unsigned char *text, uint32_t *ret)
{
	size_t length = *text < 0x80   ? 1
			: *text < 0xe0 ? 2
			: *text < 0xf0 ? 3
				       : 4;

	*ret = length == 1   ? *text
	       : length == 2 ? *text & 0x1fu
	       : length == 3 ? *text & 0x0fu
			     : *text & 0x07u;
	for (size_t i = 1; i < length; i++)
		*ret = *ret << 6 | (text[i] & 0x3fu);
	return length;
}

/* Seen by a model, and by no person: Unicode TR 36 and its like. */
static bool is_hidden(uint32_t point)
{
	return (point < 0x20 && point != '\n' && point != '\t' &&
		point != '\r') ||
	       point == 0x7f || (point >= 0x80 && point < 0xa0) ||
	       point == 0xad || point == 0x34f || point == 0x61c ||
	       (point >= 0x115f && point <= 0x1160) ||
	       (point >= 0x17b4 && point <= 0x17b5) ||
	       (point >= 0x180b && point <= 0x180f) ||
	       (point >= 0x200b && point <= 0x200f && point != 0x200d) ||
	       (point >= 0x202a && point <= 0x202e) ||
	       (point >= 0x2060 && point <= 0x206f) || point == 0x3164 ||
	       point == 0xfeff || point == 0xffa0 ||
	       (point >= 0xfff9 && point <= 0xfffb) ||
	       (point >= 0xe0000 && point <= 0xe0fff) ||
	       (point >= 0xe000 && point <= 0xf8ff);
}

static bool has_hidden(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char *end = at + length;

	while (at < end) {
		uint32_t point;

		if (*at < 0x80) {
			if (is_hidden(*at))
				return true;
			at++;
			continue;
		}
		at += next_point(at, &point);
		if (is_hidden(point))
			return true;
	}
	return false;
}

static const char *suspect_text(const struct definitions *definitions,
				const char *text, size_t length)
{
	if (has_hidden(text, length))
		return "it holds characters that no person sees";
	for (size_t i = 0; i < RULES && !effort_is_spent(definitions->effort);
	     i++)
		if (pcre2_match(definitions->codes[i], (PCRE2_SPTR)text, length,
				0, 0, definitions->match,
				definitions->limits) != PCRE2_ERROR_NOMATCH)
			return rules[i].why;
	return NULL;
}

static const char *suspect_value(const struct definitions *definitions,
				 const json_t *value)
{
	const char *key, *why = NULL;
	json_t *inner;
	size_t index;

	if (json_is_string(value))
		return suspect_text(definitions, json_string_value(value),
				    json_string_length(value));
	if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, key, inner)
		{
			why = suspect_text(definitions, key, strlen(key));
			if (!why)
				why = suspect_value(definitions, inner);
			if (why)
				return why;
		}
	}
	json_array_foreach(value, index, inner)
	{
		why = suspect_value(definitions, inner);
		if (why)
			return why;
	}
	return NULL;
}

const char *definitions_suspect(struct definitions *definitions,
				const json_t *tool, struct effort *effort)
{
	const char *why;
	const json_t *named = json_object_get(tool, "name");
	const char *name = json_string_value(named);

	if (!name || !*name || strlen(name) != json_string_length(named))
		return "it has no name";
	/* MCP's own alphabet for names; a look-alike letter is not in it. */
	if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
			      "WXYZ0123456789_-./")] ||
	    strlen(name) > 128)
		return "its name is not made of letters, digits, _, -, . and "
		       "/";
	definitions->effort = effort;
	why = suspect_value(definitions, tool);
	definitions->effort = NULL;
	return effort && effort->spent
		       ? "it takes too long to be looked through"
		       : why;
}

int definitions_digest(const json_t *tool,
		       char ret[static DEFINITIONS_DIGEST_SIZE])
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char *text = json_dumps(tool, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return -ENOMEM;
	crypto_hash_sha256(digest, (unsigned char *)text, strlen(text));
	free(text);
	sodium_bin2hex(ret, DEFINITIONS_DIGEST_SIZE, digest, sizeof(digest));
	return 0;
}
