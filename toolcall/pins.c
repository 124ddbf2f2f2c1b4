#include "toolcall/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "toolcall/definitions.h"

#define NAME_MAX_BYTES 64
#define NEW_FILE       ".new"

/*
 * A file is {"TOOL": {"pinned": DEFINITION or null, "pending": DEFINITION,
 * "why": TEXT}}; what is not pending lacks the last two.
 */
struct server_pins {
	char *account; /* owned, like all */
	char *name;
	json_t *tools;
};

struct pins {
	int folder; /* borrowed */
	struct definitions *definitions;
	struct server_pins servers[PINS_SERVERS_MAX];
	size_t count;
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

static void forget(struct server_pins *server)
{
	free(server->account);
	free(server->name);
	json_decref(server->tools);
	*server = (struct server_pins){NULL, NULL, NULL};
}

struct pins *pins_free(struct pins *pins)
{
	if (!pins)
		return NULL;
	for (size_t i = 0; i < pins->count; i++)
		forget(&pins->servers[i]);
	definitions_free(pins->definitions);
	free(pins);
	return NULL;
}

bool pins_is_name(const char *text)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-";

	return *text && strlen(text) <= NAME_MAX_BYTES &&
	       !text[strspn(text, allowed)];
}

/* ACCOUNT~SERVER: `~` is in no name of a server. */
static void file_name(const char *account, const char *server,
		      char ret[static 400])
{
	snprintf(ret, 400, "%.200s~%s.json", account, server);
}

static json_t *read_file(const struct pins *pins, const char *name)
{
	CLEANUP(fd_close)
	int fd = openat(pins->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP_FREE char *text = NULL;
	json_error_t error;
	size_t length;
	json_t *tools;

	if (fd < 0)
		return errno == ENOENT ? json_object() : NULL;
	if (fd_read_all(fd, PINS_BYTES_MAX, &text, &length))
		return NULL;
	tools = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(tools)) {
		json_decref(tools);
		return NULL;
	}
	return tools;
}

static int save(const struct pins *pins, const struct server_pins *server)
{
	char name[400], new_name[410];
	char *text;
	int fd, r;

	if (pins->folder < 0)
		return 0;
	text = json_dumps(server->tools, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return -ENOMEM;
	if (strlen(text) > PINS_BYTES_MAX) {
		free(text);
		return -EFBIG;
	}
	file_name(server->account, server->name, name);
	snprintf(new_name, sizeof(new_name), "%s" NEW_FILE, name);
	fd = openat(pins->folder, new_name,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
	if (!r && fsync(fd) < 0)
		r = -errno;
	fd_close(fd);
	if (!r && renameat(pins->folder, new_name, pins->folder, name) < 0)
		r = -errno;
	free(text);
	return r;
}

/* That server's pins, read if need be; NULL: they cannot be had. */
static struct server_pins *find(struct pins *pins, const char *account,
				const char *name)
{
	struct server_pins *server;
	char file[400];

	if (!pins_is_name(name))
		return NULL;
	for (size_t i = 0; i < pins->count; i++)
		if (!strcmp(pins->servers[i].account, account) &&
		    !strcmp(pins->servers[i].name, name))
			return &pins->servers[i];
	if (pins->count == PINS_SERVERS_MAX) /* all is on disk */
		forget(&pins->servers[--pins->count]);
	server = &pins->servers[pins->count];
	file_name(account, name, file);
	server->account = strdup(account);
	server->name = strdup(name);
	server->tools =
		pins->folder < 0 ? json_object() : read_file(pins, file);
	if (!server->account || !server->name || !server->tools) {
		log_error("the pinned definitions of %s cannot be read; none "
			  "of its tools is shown",
			  name);
		forget(server);
		return NULL;
	}
	pins->count++;
	return server;
}

/* Another server's tool of the same name: calls could go to the wrong one. */
static bool is_shadow(const struct pins *pins, const struct server_pins *own,
		      const char *tool)
{
	static const char *const builtin[] = {
		"Bash", "Read", "Write",    "Edit",	 "MultiEdit",	 "Glob",
		"Grep", "Task", "WebFetch", "WebSearch", "NotebookEdit", NULL};

	for (const char *const *name = builtin; *name; name++)
		if (!strcmp(*name, tool))
			return true;
	for (size_t i = 0; i < pins->count; i++)
		if (&pins->servers[i] != own &&
		    !strcmp(pins->servers[i].account, own->account) &&
		    json_object_get(pins->servers[i].tools, tool))
			return true;
	return false;
}

/* Keep a definition; yields why it is withheld, NULL if it is not. */
static const char *compare(const struct pins *pins, struct server_pins *server,
			   const json_t *tool, bool *changed)
{
	const char *name = json_string_value(json_object_get(tool, "name"));
	const char *why = definitions_suspect(pins->definitions, tool);
	json_t *entry, *pinned;

	if (!name)
		return why;
	entry = json_object_get(server->tools, name);
	pinned = json_object_get(entry, "pinned");
	if (json_is_object(pinned) && json_equal(pinned, tool)) {
		/* Back to what it was, or an administrator trusts it. */
		if (json_object_get(entry, "pending")) {
			json_object_del(entry, "pending");
			json_object_del(entry, "why");
			*changed = true;
		}
		return NULL;
	}
	if (json_object_size(server->tools) >= PINS_TOOLS_MAX && !entry)
		return "the server has too many tools";
	if (!entry) {
		entry = json_object();
		json_object_set_new(server->tools, name, entry);
		json_object_set_new(entry, "pinned", json_null());
		pinned = NULL;
	}
	if (!why && json_is_object(pinned))
		why = "it has changed since it was first seen";
	if (!why && is_shadow(pins, server, name))
		why = "another tool has the same name";
	/* Withheld once, it stays so until it is trusted. */
	if (!why && json_object_get(entry, "pending"))
		why = "it has changed, and an earlier form of it was withheld";
	*changed = *changed || !why ||
		   !json_equal(json_object_get(entry, "pending"), tool);
	if (!why) {
		json_object_set_new(entry, "pinned", json_deep_copy(tool));
		return NULL;
	}
	json_object_set_new(entry, "pending", json_deep_copy(tool));
	json_object_set_new(entry, "why", json_string(why));
	return why;
}

int pins_define(struct pins *pins, const char *account, const char *name,
		const json_t *tools, json_t **ret_why)
{
	struct server_pins *server = find(pins, account, name);
	json_t *reasons, *tool;
	bool changed = false;
	size_t index;
	int r = 0;

	if (!server)
		return -ENOENT;
	reasons = json_array();
	if (!reasons)
		return -ENOMEM;
	json_array_foreach(tools, index, tool)
	{
		const char *why = compare(pins, server, tool, &changed);

		if (json_array_append_new(reasons, why ? json_string(why)
						       : json_null())) {
			json_decref(reasons);
			return -ENOMEM;
		}
	}
	if (changed)
		r = save(pins, server);
	if (r) {
		errno = -r;
		log_error("the definitions of %s cannot be kept: %m", name);
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

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Have all files of the account read, up to what memory holds. */
static void read_all(struct pins *pins, const char *account)
{
	int fd = pins->folder < 0 ? -1
				  : openat(pins->folder, ".",
					   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	const struct dirent *file;
	size_t length = strlen(account);

	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return;
	}
	while ((file = readdir(dir))) {
		char server[NAME_MAX_BYTES + 1];
		const char *name = file->d_name;
		size_t size = strlen(name);

		if (strncmp(name, account, length) || name[length] != '~' ||
		    size < length + 7 || strcmp(name + size - 5, ".json") ||
		    size - length - 6 > NAME_MAX_BYTES)
			continue;
		memcpy(server, name + length + 1, size - length - 6);
		server[size - length - 6] = '\0';
		(void)find(pins, account, server);
	}
}

json_t *pins_pending(struct pins *pins, const char *account)
{
	json_t *list = json_array();

	read_all(pins, account);
	for (size_t i = 0; i < pins->count; i++)
		if (!strcmp(pins->servers[i].account, account))
			list_server(&pins->servers[i], list);
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
	json_object_set(entry, "pinned", pending);
	json_object_del(entry, "pending");
	json_object_del(entry, "why");
	return save(pins, server);
}
