#pragma once

/*
 * sql - what of SQL is order, and what is only text
 *
 * `INSERT INTO notes VALUES ('we drop table x')` drops nothing.  Where a text
 * in quotes ends depends on the database, so only the plainest SQL is read; all
 * else counts as it stands.
 */

#include <stdbool.h>

/*
 * A copy, owned by the caller, whose texts in single quotes are blank.  Without
 * a change where there is any sign of comments, escapes, other quotes or orders
 * made of texts.  NULL: no memory.
 */
char *sql_without_texts(const char *text);

/* Does it begin as a statement does, or with a comment? */
bool sql_begins(const char *text);
