#pragma once

/*
 * subjects - what the arguments of a tool name: files, hosts, commands, SQL
 *
 * Tools call the same thing by many names; these are those of the agents and
 * servers that are common.  What is not recognised is not judged here, and
 * then by the file and net gates alone.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

enum subject_kind {
	SUBJECT_FILE_READ,
	SUBJECT_FILE_WRITE,
	SUBJECT_ADDRESS, /* a URL, or HOST, or HOST:PORT */
	SUBJECT_COMMAND,
	SUBJECT_SQL,
	SUBJECT_GARBLED, /* a path or command with a NUL in it */
};

struct subject {
	enum subject_kind kind;
	const char *text;
	const char *key; /* the argument's name */
};

/* 0 goes on; anything else ends and is returned. */
typedef int (*subject_fn)(void *context, const struct subject *subject);

/* Call each for what arguments name. */
MUST_CHECK int subjects_each(const char *tool, const json_t *arguments,
			     subject_fn each, void *context);

/*
 * The files that a patch changes, whether the one that begins with
 * `*** Begin Patch` or a diff, as the argument key names it.
 */
MUST_CHECK int subjects_patch(const char *key, const char *text,
			      subject_fn each, void *context);

/* A program, or tool, that is given one. */
bool subjects_is_patcher(const char *program);
