#pragma once

/*
 * database - the verdict log on disk
 *
 * One SQLite file in WAL mode, one writer.  A batch is one transaction, and
 * with it goes the position reached in each channel: after a crash of any
 * kind a record is in the log once or still in its channel, never both.
 *
 * The schema is documented in leash-query(1); its version is SQLite's
 * user_version.  A file of a newer version is refused, a damaged one is set
 * aside under another name and a new one begun.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/wire/record.h"

struct database;

/* Expected outcomes. */
enum {
	DATABASE_BUSY = 1, /* locked by another process: try again */
	DATABASE_FULL,	   /* no room on the disk */
	DATABASE_DAMAGED,  /* set aside; open again for a new one */
	DATABASE_NEWER,	   /* written by a newer Leash: left alone */
	DATABASE_FAILED,   /* anything else; database_error() says what */
};

/* Open the file at path, making it if need be. */
MUST_CHECK int database_open(const char *path, struct database **ret);
struct database *database_free(struct database *database);
DEFINE_CLEANUP(struct database *, database_free)

/* What went wrong last, for people.  Valid until the next call. */
const char *database_error(const struct database *database);

/* Whether the file is still the one at its path. */
bool database_in_place(const struct database *database);

/* One transaction.  After a failure only database_abandon() is of use. */
MUST_CHECK int database_begin(struct database *database);
MUST_CHECK int database_add(struct database *database,
			    const struct record *record);
MUST_CHECK int database_commit(struct database *database);
void database_abandon(struct database *database);

/* How far a channel has been taken in, and what it had lost by then. */
struct database_progress {
	uint64_t position;
	uint64_t lost_ordinary;
	uint64_t lost_important;
};

/* Zeros for a channel not seen before. */
MUST_CHECK int database_progress(struct database *database, uint64_t channel_id,
				 struct database_progress *ret);
/* Within a transaction. */
MUST_CHECK int database_set_progress(struct database *database,
				     uint64_t channel_id,
				     const struct database_progress *progress);

/*
 * Delete, oldest first, at most max_rows rows that are older than before_ns
 * or, while the file is larger than max_bytes, the oldest.  Yields how many.
 */
MUST_CHECK int database_expire(struct database *database, int64_t before_ns,
			       uint64_t max_bytes, int max_rows,
			       int *ret_deleted);

/* Delete the texts that no row speaks of any more.  Reads the whole log. */
MUST_CHECK int database_forget_texts(struct database *database);
