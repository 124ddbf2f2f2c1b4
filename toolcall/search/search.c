#include "toolcall/search/search.h"

#include <ctype.h>
#include <errno.h>
#include <hs.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/*
 * What a pattern may cost at one place.  None of ours comes near it; one that
 * does has met a text made for that, and counts as found.
 */
#define STEPS_MAX 200000

struct trigger {
	uint32_t rule;
	uint32_t length; /* of a literal; 0: `back` is of its end */
};

struct compiled_rule {
	pcre2_code *code;
	size_t done; /* of the text being searched: found up to here */
	bool anchored;
};

struct search {
	hs_database_t *database;
	hs_scratch_t *scratch;
	struct compiled_rule *rules;
	struct trigger *triggers;
	unsigned int trigger_count;
	pcre2_match_data *match;
	pcre2_match_context *limits;

	/* During one search. */
	const char *text;
	size_t length;
	uint32_t kinds;
	search_fn found;
	void *context;

	struct effort *effort; /* borrowed, or NULL */
};

static bool is_literal(const char *expression)
{
	for (; *expression; expression++) {
		if (*expression == '\\') {
			expression++;
			continue;
		}
		if (strchr("[](){}*+?|.^$", *expression))
			return false;
	}
	return true;
}

static uint32_t literal_length(const char *expression)
{
	uint32_t length = 0;

	for (; *expression; expression++, length++)
		if (*expression == '\\')
			expression++;
	return length;
}

static int compile_rule(const struct rule *rule, struct compiled_rule *ret)
{
	uint32_t options = PCRE2_NO_START_OPTIMIZE | PCRE2_NEVER_UTF;
	PCRE2_SIZE at;
	int error;

	ret->anchored = !rule->back || rule->begin;
	options |= ret->anchored ? PCRE2_ANCHORED : PCRE2_USE_OFFSET_LIMIT;
	ret->code =
		pcre2_compile((PCRE2_SPTR)rule->pattern, PCRE2_ZERO_TERMINATED,
			      options, &error, &at, NULL);
	return ret->code ? 0 : -EINVAL;
}

static unsigned int count_triggers(void)
{
	unsigned int count = 0;

	for (size_t i = 0; i < rule_count; i++)
		for (const char *const *at = rules[i].triggers; *at; at++)
			count++;
	return count;
}

struct expressions {
	const char **texts;
	unsigned int *flags;
	unsigned int *ids;
};

static void list_triggers(struct search *search, struct expressions *lists)
{
	unsigned int n = 0;

	for (size_t i = 0; i < rule_count; i++) {
		unsigned int flags = HS_FLAG_DOTALL;

		if (rules[i].caseless)
			flags |= HS_FLAG_CASELESS;
		for (const char *const *at = rules[i].triggers; *at; at++) {
			search->triggers[n] = (struct trigger){
				.rule = (uint32_t)i,
				.length = is_literal(*at) ? literal_length(*at)
							  : 0,
			};
			lists->texts[n] = *at;
			lists->flags[n] = flags;
			lists->ids[n] = n;
			n++;
		}
	}
}

static int compile_triggers(struct search *search)
{
	unsigned int count = search->trigger_count;
	CLEANUP_FREE const char **texts = calloc(count, sizeof(*texts));
	CLEANUP_FREE unsigned int *flags = calloc(count, sizeof(*flags));
	CLEANUP_FREE unsigned int *ids = calloc(count, sizeof(*ids));
	struct expressions lists = {texts, flags, ids};
	hs_compile_error_t *error = NULL;
	hs_error_t r;

	if (!texts || !flags || !ids)
		return -ENOMEM;
	list_triggers(search, &lists);
	r = hs_compile_multi(texts, flags, ids, count, HS_MODE_BLOCK, NULL,
			     &search->database, &error);
	hs_free_compile_error(error);
	if (r == HS_SUCCESS)
		r = hs_alloc_scratch(search->database, &search->scratch);
	return r == HS_SUCCESS ? 0 : r == HS_NOMEM ? -ENOMEM : -EINVAL;
}

static int compile_rules(struct search *search)
{
	int r = 0;

	for (size_t i = 0; !r && i < rule_count; i++)
		r = compile_rule(&rules[i], &search->rules[i]);
	return r;
}

int search_new(struct search **ret)
{
	CLEANUP(search_free) struct search *search = calloc(1, sizeof(*search));
	int r;

	if (!search)
		return -ENOMEM;
	if (hs_valid_platform() != HS_SUCCESS)
		return -ENOTSUP;
	search->trigger_count = count_triggers();
	search->triggers =
		calloc(search->trigger_count, sizeof(*search->triggers));
	search->rules = calloc(rule_count, sizeof(*search->rules));
	search->match = pcre2_match_data_create(8, NULL);
	search->limits = pcre2_match_context_create(NULL);
	if (!search->triggers || !search->rules || !search->match ||
	    !search->limits)
		return -ENOMEM;
	pcre2_set_match_limit(search->limits, STEPS_MAX);
	r = compile_rules(search);
	if (!r)
		r = compile_triggers(search);
	if (r)
		return r;
	*ret = STEAL(search);
	return 0;
}

struct search *search_free(struct search *search)
{
	if (!search)
		return NULL;
	for (size_t i = 0; search->rules && i < rule_count; i++)
		pcre2_code_free(search->rules[i].code);
	hs_free_scratch(search->scratch);
	hs_free_database(search->database);
	pcre2_match_data_free(search->match);
	pcre2_match_context_free(search->limits);
	free(search->rules);
	free(search->triggers);
	free(search);
	return NULL;
}

static bool is_real(const struct rule *rule, const char *text, size_t length)
{
	if (!length || !check_holds(rule->check, text, length))
		return false;
	if (rule->kind == POLICY_INSPECT_SECRETS &&
	    (memmem(text, length, "EXAMPLE", 7) ||
	     memmem(text, length, "xxxxxxxx", 8)))
		return false;
	if (rule->entropy > 0 && check_entropy(text, length) < rule->entropy)
		return false;
	if (rule->random && !check_is_random(text, length))
		return false;
	return !rule->generic || !check_is_placeholder(text, length);
}

/*
 * Where the word before the last `begin` starts: the one place worth trying,
 * instead of all that are `back`.
 */
static size_t find_begin(const struct search *search, const struct rule *rule,
			 size_t start, size_t end)
{
	const char *text = search->text;
	const char *mark = memrchr(text + start, rule->begin, end - start);
	size_t at = mark ? (size_t)(mark - text) : end;

	while (at > start && (isalnum((unsigned char)text[at - 1]) ||
			      memchr("._%+-", text[at - 1], 5)))
		at--;
	return at;
}

/*
 * Whether a rule matches at a place does not depend on its trigger, so no
 * place is tried twice: all before `done` are settled.
 */
static void try_rule(struct search *search, const struct trigger *trigger,
		     size_t end)
{
	const struct rule *rule = &rules[trigger->rule];
	struct compiled_rule *compiled = &search->rules[trigger->rule];
	size_t start = end - trigger->length;
	const PCRE2_SIZE *at;
	size_t begin, from, to;
	int r;

	start = start > rule->back ? start - rule->back : 0;
	if (rule->begin)
		start = find_begin(search, rule, start, end);
	if (compiled->anchored && start < compiled->done)
		return;
	if (start < compiled->done)
		start = compiled->done;
	if (start > end || effort_is_spent(search->effort))
		return;
	pcre2_set_offset_limit(search->limits,
			       compiled->anchored ? PCRE2_UNSET : end);
	r = pcre2_match(compiled->code, (PCRE2_SPTR)search->text,
			search->length, start, 0, search->match,
			search->limits);
	if (r == PCRE2_ERROR_NOMATCH) {
		compiled->done = (compiled->anchored ? start : end) + 1;
		return;
	}
	if (r < 0) { /* too costly, or no memory: found, and no more of it */
		compiled->done = search->length + 1;
		search->found(search->context, rule, start, end);
		return;
	}
	at = pcre2_get_ovector_pointer(search->match);
	begin = at[0];
	if (r > 1 && at[2] != PCRE2_UNSET)
		at += 2;
	from = at[0];
	to = at[1];
	if (!is_real(rule, search->text + from, to - from)) {
		compiled->done = begin + 1;
		return;
	}
	compiled->done = to;
	search->found(search->context, rule, from, to);
}

static int take_trigger(unsigned int id, unsigned long long from,
			unsigned long long to, unsigned int flags,
			void *context)
{
	struct search *search = context;
	const struct trigger *trigger = &search->triggers[id];

	(void)from;
	(void)flags;
	if (search->kinds & (UINT32_C(1) << rules[trigger->rule].kind))
		try_rule(search, trigger, (size_t)to);
	return effort_is_spent(search->effort);
}

int search_text(struct search *search, const char *text, size_t length,
		uint32_t kinds, search_fn found, void *context)
{
	hs_error_t r;

	if (length > UINT32_MAX)
		return -EFBIG;
	if (effort_is_spent(search->effort))
		return -ETIME;
	search->text = text;
	search->length = length;
	search->kinds = kinds;
	search->found = found;
	search->context = context;
	for (size_t i = 0; i < rule_count; i++)
		search->rules[i].done = 0;
	r = hs_scan(search->database, text, (unsigned int)length, 0,
		    search->scratch, take_trigger, search);
	if (effort_is_spent(search->effort))
		return -ETIME;
	return r == HS_SUCCESS ? 0 : -EIO;
}

void search_allow(struct search *search, struct effort *effort)
{
	search->effort = effort;
}

size_t search_memory(const struct search *search)
{
	size_t total = 0, size = 0;

	if (hs_database_size(search->database, &size) == HS_SUCCESS)
		total += size;
	if (hs_scratch_size(search->scratch, &size) == HS_SUCCESS)
		total += size;
	for (size_t i = 0; i < rule_count; i++)
		if (!pcre2_pattern_info(search->rules[i].code, PCRE2_INFO_SIZE,
					&size))
			total += size;
	return total;
}
