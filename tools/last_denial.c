#include "tools/last_denial.h"

#include <stdio.h>
#include <string.h>

#include "gatekeeper/policy/vocabulary.h"
#include "tools/verdict_log.h"

enum column {
	COLUMN_ACCOUNT,
	COLUMN_KIND,
	COLUMN_ACCESS,
	COLUMN_TARGET,
	COLUMN_HOST,
	COLUMN_SOURCE,
	COLUMN_PORT,
	COLUMN_PROTOCOL,
	COLUMN_REASON,
	COLUMN_RULE,
};

static const char sql[] =
	"SELECT account, kind, access, target, host, host_source, port,"
	" protocol, reason, rule FROM verdicts WHERE verdict IN ('deny', "
	"'observe')"
	" AND kind IN ('open', 'list', 'exec', 'connect', 'resolve', 'call')"
	" AND (?1 IS NULL OR account = ?1) ORDER BY seq DESC LIMIT 1";

static const char *column(sqlite3_stmt *row, enum column column)
{
	const char *text = (const char *)sqlite3_column_text(row, (int)column);

	return text ? text : "";
}

#define COPY(to, text) snprintf(to, sizeof(to), "%s", text)

static void take_host(sqlite3_stmt *row, struct last_denial *ret)
{
	const char *port = column(row, COLUMN_PORT);

	COPY(ret->rule, "host.allow");
	COPY(ret->what, column(row, COLUMN_HOST));
	COPY(ret->target, column(row, COLUMN_HOST));
	if (!strcmp(ret->kind, "resolve"))
		return;
	if (strcmp(port, "0"))
		COPY(ret->ports, port);
	COPY(ret->protocol, column(row, COLUMN_PROTOCOL));
}

static void take_file(sqlite3_stmt *row, struct last_denial *ret)
{
	bool writes = !strcmp(column(row, COLUMN_ACCESS), "write");

	COPY(ret->rule, !strcmp(ret->kind, "exec") ? "program.allow"
			: writes		   ? "file.write"
						   : "file.read");
	COPY(ret->what, column(row, COLUMN_TARGET));
	COPY(ret->target, column(row, COLUMN_TARGET));
	/* As a rule it would be a pattern, and the account has chosen it. */
	if (strpbrk(ret->what, "*?[\\"))
		ret->what[0] = '\0';
}

/* By its name, or by what was in it: then no rule for the tool helps. */
static void take_tool(sqlite3_stmt *row, struct last_denial *ret)
{
	COPY(ret->rule, "tool.allow");
	COPY(ret->target, column(row, COLUMN_TARGET));
	if (!strcmp(column(row, COLUMN_REASON),
		    policy_reason_text(POLICY_REASON_DEFAULT, POLICY_DENY)) &&
	    !strpbrk(ret->target, "*?[\\"))
		COPY(ret->what, ret->target);
}

static int take(sqlite3_stmt *row, struct last_denial *ret)
{
	const char *reason = column(row, COLUMN_REASON);

	memset(ret, 0, sizeof(*ret));
	COPY(ret->account, column(row, COLUMN_ACCOUNT));
	COPY(ret->kind, column(row, COLUMN_KIND));
	if (!strcmp(ret->kind, "connect") || !strcmp(ret->kind, "resolve"))
		take_host(row, ret);
	else if (!strcmp(ret->kind, "call"))
		take_tool(row, ret);
	else
		take_file(row, ret);
	/* Against a rule that denies, one that allows may be of no use. */
	if (column(row, COLUMN_RULE)[0] &&
	    strcmp(reason, policy_reason_text(POLICY_REASON_READ_ONLY,
					      POLICY_DENY)) != 0) {
		talk_error("the last refusal, of %s, was by the rule %s (%s); "
			   "change or remove that",
			   ret->target, column(row, COLUMN_RULE), reason);
		return EXIT_ERROR;
	}
	if (ret->what[0])
		return EXIT_DONE;
	talk_error("no rule can be made of the last refusal, of %s: %s",
		   ret->target[0] ? ret->target : "what has no name", reason);
	return EXIT_ERROR;
}

int last_denial_find(const char *account, struct last_denial *ret)
{
	sqlite3_stmt *row = NULL;
	char problem[4600];
	sqlite3 *log;
	int r = EXIT_ERROR;

	if (verdict_log_open(VERDICT_LOG_DEFAULT, &log, problem,
			     sizeof(problem))) {
		talk_error("%s", problem);
		return EXIT_ERROR;
	}
	if (sqlite3_prepare_v2(log, sql, -1, &row, NULL)) {
		talk_error("%s", sqlite3_errmsg(log));
	} else {
		if (account)
			sqlite3_bind_text(row, 1, account, -1, SQLITE_STATIC);
		if (sqlite3_step(row) == SQLITE_ROW)
			r = take(row, ret);
		else
			talk_error("nothing was refused%s%s",
				   account ? " to " : "",
				   account ? account : "");
	}
	sqlite3_finalize(row);
	sqlite3_close(log);
	return r;
}
