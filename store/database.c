/*
 * Texts that come again and again - accounts, rules, programs, paths - are
 * stored once in `texts` and referred to by number.  The numbers of the most
 * recent ones are kept in a small direct-mapped table, so that a row costs
 * one insert and seldom more.
 */

#include "store/database.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "store/schema.h"

#define REASON_COLUMN	15
#define HOST_COLUMN	16 /* and three more of a connection */
#define BUSY_TIMEOUT_MS 200
#define REMEMBERED	4096 /* texts; a power of two */
#define REMEMBERED_MAX	512  /* longer ones are looked up each time */

struct remembered {
	int64_t id; /* 0: empty */
	uint16_t length;
	char text[REMEMBERED_MAX];
};

struct database {
	sqlite3 *sqlite;
	sqlite3_stmt *begin, *commit, *rollback;
	sqlite3_stmt *insert, *find_text, *add_text;
	sqlite3_stmt *get_progress, *set_progress;
	int64_t boot;
	char *path;
	struct stat identity;
	struct remembered *remembered;
	char error[256];
};

static int outcome(struct database *database, int code)
{
	if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
		return 0;
	snprintf(database->error, sizeof(database->error), "%s",
		 database->sqlite ? sqlite3_errmsg(database->sqlite)
				  : sqlite3_errstr(code));
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return DATABASE_BUSY;
	case SQLITE_FULL:
		return DATABASE_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DATABASE_DAMAGED;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return DATABASE_FAILED;
	}
}

static int run_sql(struct database *database, const char *sql)
{
	return outcome(database,
		       sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL));
}

static int prepare(struct database *database, const char *sql,
		   sqlite3_stmt **ret)
{
	return outcome(database, sqlite3_prepare_v3(database->sqlite, sql, -1,
						    SQLITE_PREPARE_PERSISTENT,
						    ret, NULL));
}

/* Run a statement that yields no row we want, and make it ready again. */
static int step_once(struct database *database, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	int r = outcome(database, code);

	sqlite3_reset(statement);
	return r;
}

static int query_number(struct database *database, const char *sql,
			int64_t *ret)
{
	sqlite3_stmt *statement = NULL;
	int r = prepare(database, sql, &statement);

	if (!r) {
		int code = sqlite3_step(statement);

		r = outcome(database, code);
		if (code == SQLITE_ROW)
			*ret = sqlite3_column_int64(statement, 0);
	}
	sqlite3_finalize(statement);
	return r;
}

static int prepare_all(struct database *database)
{
	const struct {
		const char *sql;
		sqlite3_stmt **slot;
	} statements[] = {
		{"BEGIN IMMEDIATE", &database->begin},
		{"COMMIT", &database->commit},
		{"ROLLBACK", &database->rollback},
		{"INSERT INTO log(time, boot, generation, kind, access,"
		 " verdict, uid, pid, parent, account, rule, program,"
		 " target, note, reason, host, host_source, port, protocol)"
		 " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		 &database->insert},
		{"SELECT id FROM texts WHERE text = ?", &database->find_text},
		{"INSERT INTO texts(text) VALUES(?)", &database->add_text},
		{"SELECT position, lost_ordinary, lost_important"
		 " FROM channels WHERE id = ?",
		 &database->get_progress},
		{"INSERT OR REPLACE INTO channels VALUES(?,?,?,?)",
		 &database->set_progress},
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(statements) / sizeof(statements[0]);
	     i++)
		r = prepare(database, statements[i].sql, statements[i].slot);
	return r;
}

static int note_boot(struct database *database)
{
	char boot[64], sql[256];
	ssize_t n = fd_read_path("/proc/sys/kernel/random/boot_id", boot,
				 sizeof(boot));
	int r;

	if (n <= 0)
		snprintf(boot, sizeof(boot), "unknown");
	boot[strspn(boot, "0123456789abcdef-unkow")] = '\0';
	snprintf(sql, sizeof(sql),
		 "INSERT OR IGNORE INTO boots(boot)"
		 " VALUES('%s')",
		 boot);
	r = run_sql(database, sql);
	snprintf(sql, sizeof(sql), "SELECT id FROM boots WHERE boot = '%s'",
		 boot);
	return r ? r : query_number(database, sql, &database->boot);
}

static int make_schema(struct database *database)
{
	int64_t version = 0;
	int r = query_number(database, "PRAGMA user_version", &version);

	if (r)
		return r;
	if (version > SCHEMA_VERSION)
		return DATABASE_NEWER;
	if (version < SCHEMA_VERSION) {
		r = run_sql(database, "BEGIN IMMEDIATE");
		if (!r && version == 0)
			r = run_sql(database, schema_tables);
		if (!r)
			r = run_sql(database, schema_views);
		if (!r)
			r = run_sql(database, "COMMIT");
		if (r)
			sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL,
				     NULL);
	}
	return r;
}

static int check_damage(struct database *database)
{
	int64_t rows = 0;

	/* Reads the schema and the first and last pages of the tables. */
	return query_number(database,
			    "SELECT count(*) FROM (SELECT seq FROM log"
			    " ORDER BY seq DESC LIMIT 1)",
			    &rows);
}

static int set_up(struct database *database)
{
	int r;

	sqlite3_extended_result_codes(database->sqlite, 1);
	sqlite3_busy_timeout(database->sqlite, BUSY_TIMEOUT_MS);
	r = run_sql(database, "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = NORMAL;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA cache_size = -4096;"
			      "PRAGMA journal_size_limit = 67108864");
	if (!r)
		r = make_schema(database);
	if (!r)
		r = check_damage(database);
	if (!r)
		r = prepare_all(database);
	if (!r)
		r = note_boot(database);
	if (!r && stat(database->path, &database->identity) < 0)
		r = -errno;
	return r;
}

/* Move a damaged file, and what belongs to it, out of the way. */
static void set_aside(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char from[4200], to[4300];

	for (size_t i = 0; i < 3; i++) {
		snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
		snprintf(to, sizeof(to), "%s.damaged-%lld%s", path,
			 (long long)time(NULL), suffixes[i]);
		if (rename(from, to) == 0 && i == 0)
			log_error("%s is damaged; it was set aside as %s and "
				  "a new log begun",
				  path, to);
	}
}

int database_open(const char *path, struct database **ret)
{
	CLEANUP(database_free)
	struct database *database = calloc(1, sizeof(*database));
	int r;

	if (!database)
		return -ENOMEM;
	database->path = strdup(path);
	database->remembered = calloc(REMEMBERED, sizeof(struct remembered));
	if (!database->path || !database->remembered)
		return -ENOMEM;
	r = outcome(database,
		    sqlite3_open_v2(path, &database->sqlite,
				    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
					    SQLITE_OPEN_NOMUTEX |
					    SQLITE_OPEN_NOFOLLOW,
				    NULL));
	if (!r)
		r = set_up(database);
	if (r == DATABASE_DAMAGED) {
		database = database_free(database);
		set_aside(path);
		return r;
	}
	if (r)
		log_error("%s: %s", path,
			  r == DATABASE_NEWER
				  ? "written by a newer version of Leash"
				  : database->error);
	else
		*ret = STEAL(database);
	return r;
}

struct database *database_free(struct database *database)
{
	if (!database)
		return NULL;
	sqlite3_finalize(database->begin);
	sqlite3_finalize(database->commit);
	sqlite3_finalize(database->rollback);
	sqlite3_finalize(database->insert);
	sqlite3_finalize(database->find_text);
	sqlite3_finalize(database->add_text);
	sqlite3_finalize(database->get_progress);
	sqlite3_finalize(database->set_progress);
	sqlite3_close(database->sqlite);
	free(database->path);
	free(database->remembered);
	free(database);
	return NULL;
}

const char *database_error(const struct database *database)
{
	return database->error;
}

bool database_in_place(const struct database *database)
{
	struct stat now;

	return stat(database->path, &now) == 0 &&
	       now.st_ino == database->identity.st_ino &&
	       now.st_dev == database->identity.st_dev;
}

int database_begin(struct database *database)
{
	return step_once(database, database->begin);
}

int database_commit(struct database *database)
{
	return step_once(database, database->commit);
}

static void forget_numbers(struct database *database)
{
	memset(database->remembered, 0, REMEMBERED * sizeof(struct remembered));
}

void database_abandon(struct database *database)
{
	if (!sqlite3_get_autocommit(database->sqlite) &&
	    step_once(database, database->rollback))
		log_warning("rolling back: %s", database->error);
	/* Texts of the lost transaction have no number any more. */
	forget_numbers(database);
}

static void bind_bytes(sqlite3_stmt *statement, int at, const char *bytes,
		       size_t length)
{
	/* A name that is no text is kept as the bytes it is. */
	if (escape_is_utf8(bytes, length))
		sqlite3_bind_text(statement, at, bytes, (int)length,
				  SQLITE_STATIC);
	else
		sqlite3_bind_blob(statement, at, bytes, (int)length,
				  SQLITE_STATIC);
}

static int look_up(struct database *database, const char *bytes, size_t length,
		   int64_t *ret)
{
	int code, r;

	bind_bytes(database->find_text, 1, bytes, length);
	code = sqlite3_step(database->find_text);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(database->find_text, 0);
	r = outcome(database, code);
	sqlite3_reset(database->find_text);
	if (r || code == SQLITE_ROW)
		return r;

	bind_bytes(database->add_text, 1, bytes, length);
	r = step_once(database, database->add_text);
	if (!r)
		*ret = sqlite3_last_insert_rowid(database->sqlite);
	return r;
}

static struct remembered *slot_for(struct database *database, const char *bytes,
				   size_t length)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
	return &database->remembered[hash & (REMEMBERED - 1)];
}

/* The number of a text; 0 for the empty one. */
static int number_of(struct database *database, struct record_bytes text,
		     int64_t *ret)
{
	struct remembered *slot;
	int r;

	if (!text.length) {
		*ret = 0;
		return 0;
	}
	if (text.length > REMEMBERED_MAX)
		return look_up(database, text.bytes, text.length, ret);
	slot = slot_for(database, text.bytes, text.length);
	if (slot->id && slot->length == text.length &&
	    !memcmp(slot->text, text.bytes, text.length)) {
		*ret = slot->id;
		return 0;
	}
	r = look_up(database, text.bytes, text.length, ret);
	if (!r) {
		slot->id = *ret;
		slot->length = (uint16_t)text.length;
		memcpy(slot->text, text.bytes, text.length);
	}
	return r;
}

/* Bind the number of a text to a column of the insert. */
static int bind_text(struct database *database, int column,
		     struct record_bytes text)
{
	int64_t number;
	int r = number_of(database, text, &number);

	if (r)
		return r;
	if (number)
		sqlite3_bind_int64(database->insert, column, number);
	else
		sqlite3_bind_null(database->insert, column);
	return 0;
}

/* Where a connection led; nothing, for anything else. */
static void bind_host(sqlite3_stmt *insert, const struct record *record)
{
	if (!record->protocol) {
		for (int i = 0; i < 4; i++)
			sqlite3_bind_null(insert, HOST_COLUMN + i);
		return;
	}
	sqlite3_bind_text(insert, HOST_COLUMN, record->host.bytes,
			  (int)record->host.length, SQLITE_STATIC);
	sqlite3_bind_text(insert, HOST_COLUMN + 1, record->source.bytes,
			  (int)record->source.length, SQLITE_STATIC);
	sqlite3_bind_int64(insert, HOST_COLUMN + 2, record->port);
	sqlite3_bind_text(insert, HOST_COLUMN + 3,
			  policy_protocol_word(record->protocol), -1,
			  SQLITE_STATIC);
}

int database_add(struct database *database, const struct record *record)
{
	/* In the order of enum record_text. */
	static const int columns[RECORD_TEXT_COUNT] = {10, 11, 12, 13, 14};
	sqlite3_stmt *insert = database->insert;
	const int64_t numbers[] = {
		record->time_ns, database->boot, (int64_t)record->generation,
		record->kind,	 record->access, record->verdict,
		record->uid,	 record->pid,	 record->parent_pid,
	};
	const char *reason =
		record->reason
			? policy_reason_text(record->reason, record->verdict)
			: "";
	int r = bind_text(database, REASON_COLUMN,
			  (struct record_bytes){reason, strlen(reason)});

	for (int i = 0; !r && i < RECORD_TEXT_COUNT; i++)
		r = bind_text(database, columns[i], record->texts[i]);
	if (r)
		return r;
	for (int i = 0; i < (int)(sizeof(numbers) / sizeof(numbers[0])); i++)
		sqlite3_bind_int64(insert, i + 1, numbers[i]);
	bind_host(insert, record);
	return step_once(database, insert);
}

int database_progress(struct database *database, uint64_t channel_id,
		      struct database_progress *ret)
{
	sqlite3_stmt *get = database->get_progress;
	struct database_progress progress = {0};
	int code, r;

	sqlite3_bind_int64(get, 1, (int64_t)channel_id);
	code = sqlite3_step(get);
	r = outcome(database, code);
	if (code == SQLITE_ROW) {
		progress.position = (uint64_t)sqlite3_column_int64(get, 0);
		progress.lost_ordinary = (uint64_t)sqlite3_column_int64(get, 1);
		progress.lost_important =
			(uint64_t)sqlite3_column_int64(get, 2);
	}
	sqlite3_reset(get);
	if (!r)
		*ret = progress;
	return r;
}

int database_set_progress(struct database *database, uint64_t channel_id,
			  const struct database_progress *progress)
{
	sqlite3_stmt *set = database->set_progress;

	sqlite3_bind_int64(set, 1, (int64_t)channel_id);
	sqlite3_bind_int64(set, 2, (int64_t)progress->position);
	sqlite3_bind_int64(set, 3, (int64_t)progress->lost_ordinary);
	sqlite3_bind_int64(set, 4, (int64_t)progress->lost_important);
	return step_once(database, set);
}

int database_expire(struct database *database, int64_t before_ns,
		    uint64_t max_bytes, int max_rows, int *ret_deleted)
{
	int64_t pages = 0, free_pages = 0, page_size = 0;
	char sql[128];
	int64_t limit_ns = before_ns;
	int r;

	r = query_number(database, "PRAGMA page_count", &pages);
	if (!r)
		r = query_number(database, "PRAGMA freelist_count",
				 &free_pages);
	if (!r)
		r = query_number(database, "PRAGMA page_size", &page_size);
	if (r)
		return r;
	if ((uint64_t)((pages - free_pages) * page_size) > max_bytes)
		limit_ns = INT64_MAX; /* too large: the oldest, of any age */
	snprintf(sql, sizeof(sql),
		 "DELETE FROM log WHERE seq IN (SELECT seq FROM log"
		 " WHERE time < %lld ORDER BY seq LIMIT %d)",
		 (long long)limit_ns, max_rows);
	r = run_sql(database, sql);
	if (!r)
		*ret_deleted = sqlite3_changes(database->sqlite);
	return r;
}

int database_forget_texts(struct database *database)
{
	int r = run_sql(database,
			"DELETE FROM texts WHERE id NOT IN ("
			"SELECT account FROM log WHERE account NOT NULL UNION "
			"SELECT rule FROM log WHERE rule NOT NULL UNION "
			"SELECT reason FROM log WHERE reason NOT NULL UNION "
			"SELECT program FROM log WHERE program NOT NULL UNION "
			"SELECT command FROM log WHERE command NOT NULL UNION "
			"SELECT target FROM log WHERE target NOT NULL UNION "
			"SELECT note FROM log WHERE note NOT NULL)");

	forget_numbers(database);
	return r;
}
