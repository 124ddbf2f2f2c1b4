/*
 * match - how fast a text is searched with all rules
 *
 *   match FILE SECONDS | match FILE count
 *
 * Prints MB/s of search_text(), of the same with everything that is decoded,
 * of a loop of PCRE2 (with its JIT) over the same expressions, the microseconds
 * of a call of 10 KB at p50 and p99, the bytes that the rules take, and the
 * milliseconds they take to compile.
 */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "toolcall/search/decode.h"
#include "toolcall/search/search.h"

#define CALL_BYTES 10240
#define CALLS	   20000
#define ALL	   (~UINT32_C(0))

static unsigned long findings, by_kind[POLICY_INSPECT_KINDS];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void found(void *context, const struct rule *rule, size_t from,
		  size_t to)
{
	(void)context;
	(void)from;
	(void)to;
	findings++;
	by_kind[rule->kind]++;
}

static int search_decoded(void *context, enum decode_form form, size_t at,
			  const char *text, size_t length)
{
	(void)form;
	(void)at;
	return search_text(context, text, length, ALL, found, NULL);
}

static void search_plain(struct search *search, const char *text, size_t length)
{
	if (search_text(search, text, length, ALL, found, NULL))
		exit(1);
}

static void search_whole(struct search *search, const char *text, size_t length)
{
	search_plain(search, text, length);
	if (decode_each(text, length, search_decoded, search))
		exit(1);
}

static double speed(void (*what)(struct search *, const char *, size_t),
		    struct search *search, const char *text, size_t length,
		    double seconds)
{
	double begin = now(), bytes = 0;

	do {
		what(search, text, length);
		bytes += (double)length;
	} while (now() - begin < seconds);
	return bytes / (now() - begin) / 1e6;
}

/* What one would write first: each expression over the whole text. */
static double speed_of_loop(const char *text, size_t length)
{
	pcre2_match_data *match = pcre2_match_data_create(8, NULL);
	double begin;

	if (length > (1 << 20))
		length = 1 << 20; /* it is slow */
	begin = now();
	for (size_t i = 0; i < rule_count; i++) {
		PCRE2_SIZE at, start = 0;
		int error;
		pcre2_code *code = pcre2_compile((PCRE2_SPTR)rules[i].pattern,
						 PCRE2_ZERO_TERMINATED, 0,
						 &error, &at, NULL);

		pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
		while (pcre2_match(code, (PCRE2_SPTR)text, length, start, 0,
				   match, NULL) > 0)
			start = pcre2_get_ovector_pointer(match)[1] + 1;
		pcre2_code_free(code);
	}
	pcre2_match_data_free(match);
	return (double)length / (now() - begin) / 1e6;
}

static int by_size(const void *a, const void *b)
{
	const double *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static char *read_file(const char *path, size_t *ret_length)
{
	FILE *in = fopen(path, "r");
	char *text = malloc(256 << 20);

	if (!in || !text)
		exit(2);
	*ret_length = fread(text, 1, 256 << 20, in);
	fclose(in);
	return text;
}

int main(int argc, char **argv)
{
	static double took[CALLS];
	struct search *search = NULL;
	double begin = now(), seconds, compiled, plain;
	size_t length;
	char *text;

	if (argc != 3 || sodium_init() < 0 || search_new(&search))
		return 2;
	compiled = now() - begin;
	seconds = atof(argv[2]);
	text = read_file(argv[1], &length);
	if (!strcmp(argv[2], "count")) {
		search_plain(search, text, length);
		for (unsigned int i = 0; i < POLICY_INSPECT_KINDS; i++)
			printf("%s %lu\n", policy_inspect_word(i), by_kind[i]);
		return 0;
	}
	plain = speed(search_plain, search, text, length, seconds);
	for (size_t i = 0; i < CALLS; i++) {
		size_t at = (i * 7919 * CALL_BYTES) % (length - CALL_BYTES);

		begin = now();
		search_whole(search, text + at, CALL_BYTES);
		took[i] = (now() - begin) * 1e6;
	}
	qsort(took, CALLS, sizeof(took[0]), by_size);
	printf("%.0f %.0f %.1f %.1f %.1f %zu %.0f\n", plain,
	       speed(search_whole, search, text, length, seconds),
	       speed_of_loop(text, length), took[CALLS / 2],
	       took[CALLS * 99 / 100], search_memory(search), compiled * 1e3);
	search_free(search);
	free(text);
	return 0;
}
