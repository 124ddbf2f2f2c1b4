#include "toolcall/pins/pins.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/log.h"
#include "toolcall/pins/definitions.h"
#include "toolcall/pins/pins_files.h"

/*
 * A file is {"TOOL": {"pinned": DEFINITION or null, "pending": DEFINITION,
 * "why": TEXT}}; what is not pending lacks the last two.
 */
struct server_pins {
	char *account; /* owned, like all */
	char *name;
	json_t *tools;
	size_t bytes;  /* of its file */
	uint64_t used; /* when it was last asked for, by count */
};

struct pins {
	int folder; /* borrowed */
	struct definitions *definitions;
	struct server_pins servers[PINS_SERVERS_MAX];
	size_t count;
	size_t bytes; /* of their files */
	uint64_t asked;
};

int pins_new(int folder, struct pins **ret)
{
	CLEANUP(pins_free) struct pins *pins = calloc(1, sizeof(*pins));
	int r;

	if (!pins)
		return -ENOMEM;
	pins->folder = folder;
	r = definitions_new(&pins->definitions);
	if (!r)
		*ret = STEAL(pins);
	return r;
}

static void free_server(struct server_pins *server)
{
	free(server->account);
	free(server->name);
	json_decref(server->tools);
	*server = (struct server_pins){.tools = NULL};
}

/* What is not kept in memory is on disk; the last one takes its place. */
static void forget(struct pins *pins, struct server_pins *server)
{
	pins->bytes -= server->bytes;
	free_server(server);
	*server = pins->servers[--pins->count];
}

struct pins *pins_free(struct pins *pins)
{
	if (!pins)
		return NULL;
	for (size_t i = 0; i < pins->count; i++)
		free_server(&pins->servers[i]);
	definitions_free(pins->definitions);
	free(pins);
	return NULL;
}

/* Write it down, or forget what was not: the file is what counts. */
static int save(struct pins *pins, struct server_pins *server)
{
	CLEANUP_FREE char *text = NULL;
	size_t length;
	int r;

	if (pins->folder < 0)
		return 0;
	text = json_dumps(server->tools, JSON_COMPACT | JSON_SORT_KEYS);
	length = text ? strlen(text) : 0;
	r = text ? pins_files_write(pins->folder, server->account, server->name,
				    text, length)
		 : -ENOMEM;
	if (r) {
		errno = -r;
		log_error("the definitions of %s's server %s cannot be kept: "
			  "%m",
			  server->account, server->name);
		forget(pins, server);
		return r;
	}
	pins->bytes += length - server->bytes;
	server->bytes = length;
	return 0;
}

/* Those longest not asked for make room. */
static void make_room(struct pins *pins)
{
	while (pins->count == PINS_SERVERS_MAX ||
	       (pins->count && pins->bytes > PINS_IN_MEMORY_MAX)) {
		struct server_pins *oldest = &pins->servers[0];

		for (size_t i = 1; i < pins->count; i++)
			if (pins->servers[i].used < oldest->used)
				oldest = &pins->servers[i];
		forget(pins, oldest);
	}
}

/*
 * That server's pins, read if need be; NULL: they cannot be had.  Valid until
 * the next one is asked for.
 */
static struct server_pins *find(struct pins *pins, const char *account,
				const char *name)
{
	struct server_pins *server;

	if (!pins_files_is_name(name))
		return NULL;
	pins->asked++;
	for (size_t i = 0; i < pins->count; i++) {
		server = &pins->servers[i];
		if (!strcmp(server->account, account) &&
		    !strcmp(server->name, name)) {
			server->used = pins->asked;
			return server;
		}
	}
	make_room(pins);
	server = &pins->servers[pins->count];
	*server = (struct server_pins){
		.account = strdup(account),
		.name = strdup(name),
		.used = pins->asked,
	};
	server->tools = pins->folder < 0
				? json_object()
				: pins_files_read(pins->folder, account, name,
						  &server->bytes);
	if (!server->account || !server->name || !server->tools) {
		log_error("the pinned definitions of %s cannot be read; none "
			  "of its tools is shown",
			  name);
		free_server(server);
		return NULL;
	}
	pins->count++;
	pins->bytes += server->bytes;
	return server;
}

/* The names of the tools that the account's other servers have, as a set. */
struct others {
	int folder;
	const char *account;
	const char *own; /* the server whose are left out */
	json_t *names;
	size_t files;
};

static int add_names(struct others *others, const json_t *tools)
{
	const char *name;
	json_t *entry;

	json_object_foreach((json_t *)(uintptr_t)tools, name, entry)
	{
		if (json_object_set_new(others->names, name, json_true()))
			return -ENOMEM;
	}
	return 0;
}

/* Read, and let go of again: only their names are wanted. */
static int add_others(void *context, const char *server)
{
	struct others *others = context;
	json_t *tools;
	size_t bytes;
	int r;

	if (!strcmp(server, others->own))
		return 0;
	if (++others->files > PINS_FILES_MAX)
		return -EDQUOT;
	tools = pins_files_read(others->folder, others->account, server,
				&bytes);
	if (!tools)
		return -EIO;
	r = add_names(others, tools);
	json_decref(tools);
	return r;
}

/* Whether another server has it, on disk or (without one) in memory. */
static int find_others(struct pins *pins, struct others *others)
{
	int r = 0;

	others->names = json_object();
	if (!others->names)
		return -ENOMEM;
	others->folder = pins->folder;
	if (pins->folder >= 0)
		return pins_files_each(pins->folder, others->account,
				       add_others, others);
	for (size_t i = 0; !r && i < pins->count; i++)
		if (!strcmp(pins->servers[i].account, others->account) &&
		    strcmp(pins->servers[i].name, others->own))
			r = add_names(others, pins->servers[i].tools);
	return r;
}

/* Another server's tool of the same name: calls could go to the wrong one. */
static bool is_shadow(const struct others *others, const char *tool)
{
	static const char *const builtin[] = {
		"Bash", "Read", "Write",    "Edit",	 "MultiEdit",	 "Glob",
		"Grep", "Task", "WebFetch", "WebSearch", "NotebookEdit", NULL};

	for (const char *const *name = builtin; *name; name++)
		if (!strcmp(*name, tool))
			return true;
	return json_object_get(others->names, tool);
}

/* What definitions are compared with. */
struct known {
	struct pins *pins;
	struct server_pins *server;
	struct others others;
	struct effort *effort;
};

/* What came of one definition. */
struct comparison {
	const char *why; /* it is withheld; NULL: it is not */
	bool changed;	 /* something has to be written down */
	bool failed;	 /* there was no memory */
};

/* {"pinned": ..., "pending": ..., "why": ...}, into the server's. */
static void note(struct server_pins *server, const char *name, json_t *pinned,
		 const json_t *pending, struct comparison *comparison)
{
	json_t *entry = json_pack("{s:o}", "pinned", pinned);
	bool failed = !entry;

	if (pending && !failed)
		failed = json_object_set_new(entry, "pending",
					     json_deep_copy(pending)) ||
			 json_object_set_new(entry, "why",
					     json_string(comparison->why));
	/* Takes the entry over, whatever comes of it. */
	if (failed)
		json_decref(entry);
	else
		failed = json_object_set_new(server->tools, name, entry) != 0;
	comparison->failed = failed;
	comparison->changed = true;
}

/* Why a definition that is not as pinned is withheld. */
static const char *why_not(const struct known *known, const json_t *tool)
{
	const char *name = json_string_value(json_object_get(tool, "name"));
	const json_t *entry = json_object_get(known->server->tools, name);
	const char *why = definitions_suspect(known->pins->definitions, tool,
					      known->effort);

	if (!why && json_is_object(json_object_get(entry, "pinned")))
		why = "it has changed since it was first seen";
	if (!why && is_shadow(&known->others, name))
		why = "another tool has the same name";
	/* Withheld once, it stays so until it is trusted. */
	if (!why && json_object_get(entry, "pending"))
		why = "it has changed, and an earlier form of it was withheld";
	return why;
}

/* Compare a definition with what is pinned, and note it in memory. */
static struct comparison compare(const struct known *known, const json_t *tool)
{
	const char *name = json_string_value(json_object_get(tool, "name"));
	struct comparison comparison = {.why = NULL};
	json_t *tools = known->server->tools, *entry, *pinned, *pending;

	if (!name) {
		comparison.why = "it has no name";
		return comparison;
	}
	entry = json_object_get(tools, name);
	pinned = json_object_get(entry, "pinned");
	pending = json_object_get(entry, "pending");
	if (json_is_object(pinned) && json_equal(pinned, tool)) {
		/* Back to what it was, or an administrator trusts it. */
		comparison.changed = pending != NULL;
		json_object_del(entry, "pending");
		json_object_del(entry, "why");
		return comparison;
	}
	if (json_object_size(tools) >= PINS_TOOLS_MAX && !entry) {
		comparison.why = "the server has too many tools";
		return comparison;
	}
	comparison.why = why_not(known, tool);
	if (!comparison.why)
		note(known->server, name, json_deep_copy(tool), NULL,
		     &comparison);
	else if (!pending || !json_equal(pending, tool))
		note(known->server, name,
		     pinned ? json_incref(pinned) : json_null(), tool,
		     &comparison);
	return comparison;
}

/* Withhold what has not been written down, as if it had not been seen. */
static int take_back(json_t *reasons, const bool *changed, int why)
{
	const char *text = why == -EDQUOT ? "the account has no room left for "
					    "definitions"
					  : "it cannot be written down";
	size_t index;
	json_t *reason;

	json_array_foreach(reasons, index, reason)
	{
		if (changed[index] &&
		    json_array_set_new(reasons, index, json_string(text)))
			return -ENOMEM;
	}
	return 0;
}

/* Into reasons, and whether each changes what is pinned. */
static int compare_all(const struct known *known, const json_t *tools,
		       json_t *reasons, bool *changed)
{
	const json_t *tool;
	size_t index;

	json_array_foreach(tools, index, tool)
	{
		const struct comparison one = compare(known, tool);

		changed[index] = one.changed;
		if (effort_is_spent_now(known->effort))
			return -ETIME;
		if (one.failed ||
		    json_array_append_new(reasons,
					  one.why ? json_string(one.why)
						  : json_null()))
			return -ENOMEM;
	}
	return 0;
}

static bool any(const bool *changed, size_t count)
{
	return count && memchr(changed, true, count * sizeof(*changed));
}

/* Compare, and write down what is new; *reasons is filled. */
static int define(struct known *known, const json_t *tools, json_t *reasons)
{
	size_t count = json_array_size(tools);
	CLEANUP_FREE bool *changed = calloc(count + 1, sizeof(*changed));
	int r = changed ? find_others(known->pins, &known->others) : -ENOMEM;

	if (!r)
		known->server = find(known->pins, known->others.account,
				     known->others.own);
	if (!r && !known->server)
		r = -ENOENT;
	if (r)
		return r;
	r = compare_all(known, tools, reasons, changed);
	if (r) {
		forget(known->pins, known->server);
		return r;
	}
	if (any(changed, count))
		r = save(known->pins, known->server);
	return r ? take_back(reasons, changed, r) : 0;
}

int pins_define(struct pins *pins, const char *account, const char *name,
		const json_t *tools, struct effort *effort, json_t **ret_why)
{
	struct known known = {
		.pins = pins,
		.others = {.account = account, .own = name},
		.effort = effort,
	};
	json_t *reasons = json_array();
	int r = reasons ? define(&known, tools, reasons) : -ENOMEM;

	json_decref(known.others.names);
	if (r) {
		json_decref(reasons);
		return r;
	}
	*ret_why = reasons;
	return 0;
}

const char *pins_withheld(struct pins *pins, const char *account,
			  const char *name, const char *tool)
{
	struct server_pins *server = find(pins, account, name);
	const json_t *entry;

	if (!server)
		return "what is known of the server cannot be read";
	entry = json_object_get(server->tools, tool);
	return json_object_get(entry, "pending")
		       ? json_string_value(json_object_get(entry, "why"))
		       : NULL;
}

static void list_server(const struct server_pins *server, json_t *list)
{
	const char *tool;
	json_t *entry;

	json_object_foreach(server->tools, tool, entry)
	{
		json_t *pending = json_object_get(entry, "pending");
		char digest[DEFINITIONS_DIGEST_SIZE];
		json_t *object;

		if (!pending || definitions_digest(pending, digest))
			continue;
		object = json_object();
		json_object_set_new(object, "server",
				    json_string(server->name));
		json_object_set_new(object, "tool", json_string(tool));
		json_object_set(object, "why", json_object_get(entry, "why"));
		json_object_set(object, "before",
				json_object_get(entry, "pinned"));
		json_object_set(object, "now", pending);
		json_object_set_new(object, "digest", json_string(digest));
		json_array_append_new(list, object);
	}
}

struct listing {
	struct pins *pins;
	const char *account;
	json_t *list;
};

static int list_one(void *context, const char *server)
{
	const struct listing *listing = context;
	const struct server_pins *found =
		find(listing->pins, listing->account, server);

	if (found)
		list_server(found, listing->list);
	return 0;
}

json_t *pins_pending(struct pins *pins, const char *account)
{
	json_t *list = json_array();
	struct listing listing = {pins, account, list};

	if (pins->folder >= 0) /* what can be read is listed */
		(void)!pins_files_each(pins->folder, account, list_one,
				       &listing);
	return list;
}

int pins_trust(struct pins *pins, const char *account, const char *name,
	       const char *tool, const char *digest)
{
	struct server_pins *server = find(pins, account, name);
	json_t *entry, *pending;
	char own[DEFINITIONS_DIGEST_SIZE];
	int r;

	if (!server)
		return PINS_UNKNOWN;
	entry = json_object_get(server->tools, tool);
	pending = json_object_get(entry, "pending");
	if (!pending)
		return PINS_UNKNOWN;
	r = definitions_digest(pending, own);
	if (r)
		return r;
	if (strcmp(own, digest))
		return PINS_UNKNOWN;
	if (json_object_set(entry, "pinned", pending))
		return -ENOMEM;
	json_object_del(entry, "pending");
	json_object_del(entry, "why");
	return save(pins, server);
}
