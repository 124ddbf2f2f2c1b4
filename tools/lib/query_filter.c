#include "tools/lib/query_filter.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/vocabulary.h"

static int parse_ago(const char *text, int64_t now_ns, int64_t *ret_ns)
{
	char *end;
	long long count = strtoll(text, &end, 10);
	int64_t unit_s;

	if (end == text || count < 0 || count > 1000000000 || !end[0] || end[1])
		return -EINVAL;
	switch (*end) {
	case 's':
		unit_s = 1;
		break;
	case 'm':
		unit_s = 60;
		break;
	case 'h':
		unit_s = 3600;
		break;
	case 'd':
		unit_s = 86400;
		break;
	default:
		return -EINVAL;
	}
	if (count > now_ns / CLOCK_NS_PER_S / unit_s)
		count = now_ns / CLOCK_NS_PER_S / unit_s;
	*ret_ns = now_ns - count * unit_s * CLOCK_NS_PER_S;
	return 0;
}

int query_parse_time(const char *text, int64_t now_ns, int64_t *ret_ns)
{
	static const char *const forms[] = {
		"%Y-%m-%d",
		"%Y-%m-%dT%H:%M",
		"%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%dT%H:%M:%SZ",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm when = {0};
		const char *end = strptime(text, forms[i], &when);

		if (end && !*end) {
			*ret_ns = timegm(&when) * CLOCK_NS_PER_S;
			return 0;
		}
	}
	return parse_ago(text, now_ns, ret_ns);
}

static void add(struct query *query, const char *condition,
		struct query_value value)
{
	size_t used = strlen(query->sql);

	assert(query->value_count < QUERY_VALUES_MAX);
	query->values[query->value_count++] = value;
	snprintf(query->sql + used, sizeof(query->sql) - used, " AND %s",
		 condition);
}

static void add_text(struct query *query, const char *condition,
		     const char *text)
{
	if (text)
		add(query, condition, (struct query_value){.text = text});
}

static int add_time(struct query *query, const char *condition,
		    const char *text, int64_t now_ns)
{
	int64_t time_ns;
	int r;

	if (!text)
		return 0;
	r = query_parse_time(text, now_ns, &time_ns);
	if (!r)
		add(query, condition, (struct query_value){.number = time_ns});
	return r;
}

int query_build(const struct query_filter *filter, int64_t after,
		int64_t now_ns, struct query *ret, const char **ret_wrong)
{
	size_t used;

	*ret = (struct query){
		.sql = "SELECT * FROM (SELECT * FROM verdicts WHERE seq > ?",
		.values = {{.number = after}},
		.value_count = 1,
	};
	if (add_time(ret, "time_ns >= ?", filter->since, now_ns)) {
		*ret_wrong = filter->since;
		return -EINVAL;
	}
	if (add_time(ret, "time_ns < ?", filter->until, now_ns)) {
		*ret_wrong = filter->until;
		return -EINVAL;
	}
	add_text(ret, "account = ?", filter->account);
	add_text(ret, "kind = ?", filter->kind);
	add_text(ret, "target GLOB ?", filter->path);
	add_text(ret, "program GLOB ?", filter->program);
	add_text(ret, "rule GLOB ?", filter->rule);
	if (filter->pid)
		add(ret, "pid = ?",
		    (struct query_value){.number = filter->pid});
	used = strlen(ret->sql);
	snprintf(ret->sql + used, sizeof(ret->sql) - used,
		 "%s ORDER BY seq DESC LIMIT ?) ORDER BY seq",
		 filter->denied ? " AND verdict IN ('deny', 'observe')" : "");
	ret->values[ret->value_count++] =
		(struct query_value){.number = filter->limit};
	return 0;
}

void query_list_kinds(char ret[static QUERY_KINDS_SIZE])
{
	size_t used = 0;

	for (const struct policy_kind_row *row = policy_kinds;
	     row->word && used < QUERY_KINDS_SIZE; row++)
		used += (size_t)snprintf(ret + used, QUERY_KINDS_SIZE - used,
					 "%s%s",
					 row == policy_kinds ? ""
					 : row[1].word	     ? ", "
							     : " or ",
					 row->word);
}

void query_bind(const struct query *query, sqlite3_stmt *statement)
{
	for (size_t i = 0; i < query->value_count; i++) {
		const struct query_value *value = &query->values[i];

		if (value->text)
			sqlite3_bind_text(statement, (int)i + 1, value->text,
					  -1, SQLITE_STATIC);
		else
			sqlite3_bind_int64(statement, (int)i + 1,
					   value->number);
	}
}
