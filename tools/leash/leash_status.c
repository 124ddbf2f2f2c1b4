/*
 * leash status - is the leash on, and what does it hold
 */

#include "tools/leash/leash_status.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/json_output.h"
#include "tools/leash/dialog/terminal.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"
#include "tools/lib/verdict_log.h"

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

	return value ? terminal_shown(value) : "none";
}

/* "puppy 1001 enforce" as "puppy (uid 1001)", and loudly what is not held. */
static void print_account(const char *text)
{
	char name[256], mode[16];
	unsigned int uid;

	if (sscanf(text, "%255s %u %15s", name, &uid, mode) != 3)
		return;
	printf("  account    %s (uid %u)%s\n", terminal_shown(name), uid,
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

/* Nothing is said where nothing is to be known. */
static void print_sleep(const struct fields *reply)
{
	const char *word = get(reply, "sleep");
	const char *why = fields_get(reply, "sleep_why");

	if (!strcmp(word, "under way"))
		puts("  sleep      the machine goes to sleep or awakes: the "
		     "accounts are frozen");
	else if (!strcmp(word, "prepared"))
		printf("  sleep      prepared for%s%s\n", why ? "; " : "",
		       why ? terminal_shown(why) : "");
	else if (!strcmp(word, "unprepared"))
		printf("  sleep      NOT prepared for: the machine may stay "
		       "awake when it ought to sleep (%s)\n",
		       why ? terminal_shown(why) : "not yet");
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
		printf("  coming     generation %s\n", terminal_shown(coming));
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
	print_sleep(reply);
	printf("  log        %s, %s record(s) lost\n", get(reply, "database"),
	       get(reply, "lost"));
	while (fields_next(reply, &cursor)) {
		if (fields_is(&cursor, "account")) {
			print_account(cursor.value);
			any_account = true;
		} else if (fields_is(&cursor, "problem")) {
			printf("  PROBLEM    %s\n",
			       terminal_shown(cursor.value));
		} else if (fields_is(&cursor, "observing")) {
			printf("  OBSERVING  rule %s refuses nothing\n",
			       terminal_shown(cursor.value));
		} else if (fields_is(&cursor, "unjudged")) {
			printf("  UNJUDGED   sockets of %s, which is loaded\n",
			       terminal_shown(cursor.value));
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
			       terminal_shown(cells[1]), cells[2]);
			printf(" %s: %s\n", terminal_shown(cells[3]), cells[4]);
		}
	}
	sqlite3_finalize(row);
	sqlite3_close(log);
}

static int parse(int argc, char **argv, bool *ret_json)
{
	const struct options_row rows[] = {
		{LEASH_JSON, .flag = ret_json},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash status",
		.synopsis = "[OPTION...]",
		.rows = rows,
	};

	return options_read(&command, argc, argv, NULL);
}

int leash_status(int argc, char **argv)
{
	static const struct json_list lists[] = {
		{"account", {"name", "uid", "mode"}},
		{"problem", {NULL}},
		{"observing", {NULL}},
		{"unjudged", {NULL}},
		{NULL, {NULL}},
	};
	static const char *const numbers[] = {
		"pid",
		"uptime_s",
		"generation",
		"coming",
		"rules",
		"lost",
		"filesystems",
		"file_gate",
		"net_gate",
		"tool_gate",
		"store",
		"file_gate_spare",
		"waiting_bytes",
		"unasked",
		"uid",
		"file_gate_fallback",
		NULL,
	};
	struct fields request = {NULL, 0, 0, false};
	struct control_client_reply reply;
	bool json = false;
	int r = parse(argc, argv, &json);

	if (r >= 0)
		return r;
	r = control_client_ask(CONTROL_ASK_STATUS, &request, &reply);
	if (r)
		return r;
	if (reply.what != CONTROL_DONE) {
		control_client_complain(&reply);
		r = EXIT_ERROR;
	} else if (json) {
		json_output_print(&reply.fields, lists, numbers);
	} else {
		print_status(&reply.fields);
		print_denials(&reply.fields);
	}
	if (!r && fields_get(&reply.fields, "problem"))
		r = EXIT_NO;
	control_client_free(&reply);
	return r;
}
