#pragma once

/*
 * schema - the shape of the verdict log, as SQL
 *
 * The tables have been the same since version 1.  The views are made anew
 * whenever the file is of another version than this.
 */

#define SCHEMA_VERSION 4

extern const char schema_tables[];
extern const char schema_views[]; /* sets the version, too */
