/*
 * leash status - is the leash on, and what does it hold
 */

#include "tools/leash_parts.h"

#include <inttypes.h>
#include <string.h>

#include "tools/verdict_log.h"

#define DENIALS_SHOWN 5

static void print_time(long long seconds)
{
	if (seconds >= 172800)
		printf("%lld days", seconds / 86400);
	else if (seconds >= 7200)
		printf("%lld hours", seconds / 3600);
	else if (seconds >= 120)
		printf("%lld minutes", seconds / 60);
	else
		printf("%lld seconds", seconds);
}

static const char *get(const struct fields *reply, const char *key)
{
	const char *value = fields_get(reply, key);

	return value ? leash_shown(value) : "none";
}

/* "puppy 1001 enforce" as "puppy (uid 1001)", and loudly what is not held. */
static void print_account(const char *text)
{
	char name[256], mode[16];
	unsigned int uid;

	if (sscanf(text, "%255s %u %15s", name, &uid, mode) != 3)
		return;
	printf("  account    %s (uid %u)%s\n", leash_shown(name), uid,
	       strcmp(mode, "observe")
		       ? ""
		       : "  OBSERVE MODE: nothing is refused to it");
}

static void print_new_mounts(const struct fields *reply)
{
	if (!strcmp(get(reply, "new_mounts"), "closed"))
		puts("  new mounts closed to the accounts until they are "
		     "covered");
	else
		printf("  new mounts open for some milliseconds, until they "
		       "are covered (no mount guard: %s)\n",
		       get(reply, "new_mounts_why"));
}

static void print_status(const struct fields *reply)
{
	const char *mode = fields_get(reply, "mode");
	const char *coming = fields_get(reply, "coming");
	struct fields_cursor cursor = {0};
	bool any_account = false;

	printf("Leash %s is on: generation %s, %s\n", get(reply, "version"),
	       get(reply, "generation"),
	       mode && !strcmp(mode, "observe")
		       ? "OBSERVE MODE, nothing is refused"
		       : "enforcing");
	if (coming)
		printf("  coming     generation %s\n", leash_shown(coming));
	printf("  config     %s, %s rules; for ", get(reply, "config"),
	       get(reply, "rules"));
	print_time(atoll(get(reply, "uptime_s")));
	printf("\n  processes  gatekeeper %s, file gate %s (spare %s), net "
	       "gate "
	       "%s, tool gate %s, store %s\n",
	       get(reply, "pid"), get(reply, "file_gate"),
	       get(reply, "file_gate_spare"), get(reply, "net_gate"),
	       get(reply, "tool_gate"), get(reply, "store"));
	printf("  covered    %s filesystem(s), of which the kernel opens %s "
	       "file(s) without asking\n",
	       get(reply, "filesystems"), get(reply, "unasked"));
	print_new_mounts(reply);
	printf("  log        %s, %s record(s) lost\n", get(reply, "database"),
	       get(reply, "lost"));
	while (fields_next(reply, &cursor)) {
		if (fields_is(&cursor, "account")) {
			print_account(cursor.value);
			any_account = true;
		} else if (fields_is(&cursor, "problem")) {
			printf("  PROBLEM    %s\n", leash_shown(cursor.value));
		} else if (fields_is(&cursor, "observing")) {
			printf("  OBSERVING  rule %s refuses nothing\n",
			       leash_shown(cursor.value));
		}
	}
	if (!any_account)
		puts("  account    none is leashed");
}

/* The last refusals, where the log may be read. */
static void print_denials(const struct fields *reply)
{
	const char *path = fields_get(reply, "database");
	sqlite3_stmt *row = NULL;
	char problem[4600];
	sqlite3 *log;

	if (!path || verdict_log_open(path, &log, problem, sizeof(problem)))
		return;
	if (sqlite3_prepare_v2(log,
			       "SELECT substr(time, 12, 8), account, kind,"
			       " coalesce(target, host), reason FROM verdicts"
			       " WHERE verdict IN ('deny', 'observe')"
			       " ORDER BY seq DESC LIMIT ?",
			       -1, &row, NULL) == SQLITE_OK) {
		sqlite3_bind_int(row, 1, DENIALS_SHOWN);
		while (sqlite3_step(row) == SQLITE_ROW) {
			const char *cells[5];

			for (int i = 0; i < 5; i++) {
				cells[i] = (const char *)sqlite3_column_text(
					row, i);
				if (!cells[i])
					cells[i] = "?";
			}
			printf("  refused    %s %s %s", cells[0],
			       leash_shown(cells[1]), cells[2]);
			printf(" %s: %s\n", leash_shown(cells[3]), cells[4]);
		}
	}
	sqlite3_finalize(row);
	sqlite3_close(log);
}

int leash_only_account(char *ret, size_t size)
{
	struct fields request = {NULL, 0, 0, false};
	struct fields_cursor cursor = {0};
	struct talk_reply reply;
	size_t count = 0;

	if (talk_ask(CONTROL_ASK_STATUS, &request, &reply))
		return EXIT_ERROR;
	while (fields_next(&reply.fields, &cursor))
		if (fields_is(&cursor, "account") && !count++)
			snprintf(ret, size, "%.*s",
				 (int)strcspn(cursor.value, " "), cursor.value);
	if (reply.what != CONTROL_DONE)
		talk_complain(&reply);
	else if (count != 1)
		talk_error(count ? "several accounts are leashed; name one by "
				   "--account"
				 : "no account is leashed");
	talk_free(&reply);
	return count == 1 ? EXIT_DONE : EXIT_ERROR;
}

int leash_status(int argc, char **argv)
{
	static const struct option names[] = {
		{"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	static const struct leash_list lists[] = {
		{"account", {"name", "uid", "mode"}},
		{"problem", {NULL}},
		{"observing", {NULL}},
		{NULL, {NULL}},
	};
	static const char *const numbers[] = {
		"pid",		 "uptime_s",  "generation",  "coming",
		"rules",	 "lost",      "filesystems", "file_gate",
		"net_gate",	 "tool_gate", "store",	     "file_gate_spare",
		"waiting_bytes", "unasked",   "uid",	     NULL,
	};
	struct fields request = {NULL, 0, 0, false};
	struct talk_reply reply;
	bool json = false;
	int option, r;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (option != 'j')
			return leash_usage("status");
		json = true;
	}
	if (optind < argc)
		return leash_usage("status");
	r = talk_ask(CONTROL_ASK_STATUS, &request, &reply);
	if (r)
		return r;
	if (reply.what != CONTROL_DONE) {
		talk_complain(&reply);
		r = EXIT_ERROR;
	} else if (json) {
		leash_print_json(&reply.fields, lists, numbers);
	} else {
		print_status(&reply.fields);
		print_denials(&reply.fields);
	}
	if (!r && fields_get(&reply.fields, "problem"))
		r = EXIT_NO;
	talk_free(&reply);
	return r;
}
