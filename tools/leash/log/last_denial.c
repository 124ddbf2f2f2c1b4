#include "tools/leash/log/last_denial.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/host_name.h"
#include "gatekeeper/policy/vocabulary.h"
#include "tools/leash/log/open_log.h"
#include "tools/lib/complaint.h"
#include "tools/lib/narrow.h"

enum column {
	COLUMN_SEQ,
	COLUMN_ACCOUNT,
	COLUMN_KIND,
	COLUMN_ACCESS,
	COLUMN_TARGET,
	COLUMN_HOST,
	COLUMN_PORT,
	COLUMN_PROTOCOL,
	COLUMN_REASON,
	COLUMN_RULE,
};

static const char sql[] =
	"SELECT seq, account, kind, access, target, host, port,"
	" protocol, reason, rule FROM verdicts WHERE verdict IN ('deny', "
	"'observe')"
	" AND kind IN ('open', 'list', 'exec', 'connect', 'resolve', 'call')"
	" AND (?1 IS NULL OR account = ?1) AND (?2 = 0 OR seq = ?2)"
	" ORDER BY seq DESC LIMIT 1";

static const char *column(sqlite3_stmt *row, enum column column)
{
	const char *text = (const char *)sqlite3_column_text(row, (int)column);

	return text ? text : "";
}

#define COPY(to, text) snprintf(to, sizeof(to), "%s", text)

/* The one host, by name or address; "" with why where it is neither. */
static void take_one_host(const char *host, bool asked, struct last_denial *ret)
{
	char name[HOST_NAME_SIZE];
	struct policy_address address;
	bool is_name = !host_name_read(host, strlen(host), name);

	if (address_read(host, &address) && !asked) {
		COPY(ret->what, host);
		if (!strcmp(host, "0.0.0.0") || !strcmp(host, "::"))
			COPY(ret->why, "it is no host's address");
	} else if (!is_name || address_read(host, &address)) {
		COPY(ret->why, "it is no host's name");
	} else if (narrow_is_suffix(name)) {
		COPY(ret->why, "anybody may register names below it");
	} else {
		COPY(ret->what, name);
	}
	if (ret->why[0])
		ret->what[0] = '\0';
}

static void take_host(sqlite3_stmt *row, struct last_denial *ret)
{
	const char *host = column(row, COLUMN_HOST);
	const char *port = column(row, COLUMN_PORT);
	const char *protocol = column(row, COLUMN_PROTOCOL);
	bool asked = !strcmp(ret->kind, "resolve");

	COPY(ret->rule, "host.allow");
	COPY(ret->target, host);
	take_one_host(host, asked, ret);
	if (asked)
		return;
	if (strcmp(port, "0") != 0 && *port &&
	    port[strspn(port, "0123456789")] == '\0')
		COPY(ret->ports, port);
	if (!strcmp(protocol, "tcp") || !strcmp(protocol, "udp")) {
		COPY(ret->protocol, protocol);
	} else if (*protocol) {
		ret->what[0] = '\0';
		COPY(ret->why, "no rule can name its protocol");
	}
	snprintf(ret->target, sizeof(ret->target),
		 !ret->ports[0]	     ? "%s"
		 : strchr(host, ':') ? "[%s]:%s"
				     : "%s:%s",
		 host, ret->ports);
}

/* Why no rule is made for path; NULL: one may be. */
static const char *is_too_wide(const struct last_denial *denial,
			       const char *path)
{
	const struct passwd *passwd = getpwnam(denial->account);

	if (path[0] != '/')
		return "it has no path";
	if (!narrow_is_folder(path, passwd ? passwd->pw_dir : NULL))
		return "a rule for it would open all below";
	if (narrow_is_secret(path))
		return "it may hold secrets";
	if (strcmp(denial->kind, "exec") != 0 &&
	    narrow_secrets_below(path, 1, NULL, NULL))
		return "a rule for it would open the secrets below";
	return NULL;
}

static void take_file(sqlite3_stmt *row, struct last_denial *ret)
{
	const char *path = column(row, COLUMN_TARGET);
	bool writes = !strcmp(column(row, COLUMN_ACCESS), "write");
	const char *wide;
	char *literal;

	COPY(ret->rule, !strcmp(ret->kind, "exec") ? "program.allow"
			: writes		   ? "file.write"
						   : "file.read");
	COPY(ret->target, path);
	wide = is_too_wide(ret, path);
	literal = wide ? NULL : narrow_literal(path);
	if (literal && strlen(literal) < sizeof(ret->what))
		COPY(ret->what, literal);
	else
		COPY(ret->why, wide ? wide : "its path is too long");
	free(literal);
}

/* By its name, or by what was in it: then no rule for the tool helps. */
static void take_tool(sqlite3_stmt *row, struct last_denial *ret)
{
	const char *reason = column(row, COLUMN_REASON);

	COPY(ret->rule, "tool.allow");
	COPY(ret->target, column(row, COLUMN_TARGET));
	if (policy_reason_read(reason) != POLICY_REASON_DEFAULT)
		COPY(ret->why, reason);
	else if (strpbrk(ret->target, "*?[\\"))
		COPY(ret->why, "its name is a pattern");
	else
		COPY(ret->what, ret->target);
}

/* The command by which a person does it nevertheless. */
static void suggest(const struct last_denial *denial)
{
	bool tool = !strcmp(denial->rule, "tool.allow");
	bool host = !strcmp(denial->rule, "host.allow");

	if (tool || !denial->target[0] || (!host && denial->target[0] != '/'))
		return;
	fputs("leash: whoever means it says: leash allow ", stderr);
	fputs(host				       ? "host NAME\n"
	      : !strcmp(denial->rule, "program.allow") ? "program PATH\n"
	      : !strcmp(denial->rule, "file.write")    ? "file PATH --write\n"
						       : "file PATH\n",
	      stderr);
}

static int judge(sqlite3_stmt *row, const struct last_denial *denial)
{
	const char *reason = column(row, COLUMN_REASON);

	/* Against a rule that denies, one that allows may be of no use. */
	if (column(row, COLUMN_RULE)[0] &&
	    policy_reason_read(reason) != POLICY_REASON_READ_ONLY) {
		complaint_print("the refusal of %s was by the rule %s (%s); "
				"change or remove that",
				denial->target, column(row, COLUMN_RULE),
				reason);
		return EXIT_ERROR;
	}
	if (denial->what[0])
		return EXIT_DONE;
	complaint_print("no rule is made of the refusal of %s: %s",
			denial->target[0] ? denial->target : "what has no name",
			denial->why[0] ? denial->why : reason);
	suggest(denial);
	return EXIT_ERROR;
}

static void take(sqlite3_stmt *row, struct last_denial *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->seq = sqlite3_column_int64(row, COLUMN_SEQ);
	COPY(ret->account, column(row, COLUMN_ACCOUNT));
	COPY(ret->kind, column(row, COLUMN_KIND));
	if (!strcmp(ret->kind, "connect") || !strcmp(ret->kind, "resolve"))
		take_host(row, ret);
	else if (!strcmp(ret->kind, "call"))
		take_tool(row, ret);
	else
		take_file(row, ret);
}

static int look(sqlite3_stmt *row, const char *account, int64_t seq,
		struct last_denial *ret)
{
	if (sqlite3_step(row) == SQLITE_ROW) {
		take(row, ret);
		return judge(row, ret);
	}
	if (seq)
		complaint_print(
			"number %" PRId64 " of the log is no refusal%s%s", seq,
			account ? " to " : "", account ? account : "");
	else
		complaint_print("nothing was refused%s%s",
				account ? " to " : "", account ? account : "");
	return EXIT_ERROR;
}

int last_denial_find(const char *account, int64_t seq, struct last_denial *ret)
{
	sqlite3_stmt *row = NULL;
	sqlite3 *log;
	int r = open_log(&log);

	if (r)
		return r;
	r = EXIT_ERROR;
	if (sqlite3_prepare_v2(log, sql, -1, &row, NULL)) {
		complaint_print("%s", sqlite3_errmsg(log));
	} else {
		if (account)
			sqlite3_bind_text(row, 1, account, -1, SQLITE_STATIC);
		sqlite3_bind_int64(row, 2, seq);
		r = look(row, account, seq, ret);
	}
	sqlite3_finalize(row);
	sqlite3_close(log);
	return r;
}
