#include "toolcall/subjects.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "toolcall/commands/sql.h"

struct walk {
	const char *tool; /* mcp__SERVER__TOOL */
	const char *own;  /* its own name, without the server's */
	bool patches;	  /* its command is a patch, and no command */
	bool writes;
	bool runs;
	bool no_command;
	subject_fn each;
	void *context;
};

static bool is_among(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcasecmp(word, *list))
			return true;
	return false;
}

static const char *own_name(const char *tool)
{
	const char *name = tool;

	if (!strncmp(tool, "mcp__", 5)) {
		const char *second = strstr(tool + 5, "__");

		name = second ? second + 2 : tool;
	}
	return name;
}

static bool is_shell_tool(const char *name)
{
	static const char *const names[] = {"bash",
					    "shell",
					    "powershell",
					    "exec",
					    "execute",
					    "run",
					    "run_command",
					    "run_terminal_cmd",
					    "exec_command",
					    "execute_command",
					    "local_shell",
					    "container.exec",
					    "run_shell_command",
					    "terminal",
					    "beforeshellexecution",
					    "run_in_terminal",
					    "start_process",
					    NULL};

	return is_among(name, names);
}

/* write_file, createDirectory, str_replace_editor, MultiEdit... */
static bool is_writing_tool(const char *name)
{
	static const char *const parts[] = {
		"write", "edit",    "create", "delete", "remove",
		"move",	 "rename",  "append", "update", "save",
		"patch", "replace", "insert", "upload", "mkdir",
		"touch", "copy",    "put",    NULL};
	char lower[128];
	size_t i = 0;

	for (; name[i] && i < sizeof(lower) - 1; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	lower[i] = '\0';
	for (const char *const *part = parts; *part; part++)
		if (strstr(lower, *part))
			return true;
	return false;
}

static bool is_path_key(const char *key)
{
	static const char *const keys[] = {
		"path",	       "paths",		"file_path",
		"filepath",    "file_paths",	"filename",
		"file",	       "files",		"notebook_path",
		"target_file", "absolute_path", "source",
		"destination", "directory",	"dir",
		"folder",      "old_path",	"new_path",
		"src",	       "dst",		"repo_path",
		"output_path", "input_path",	"root",
		"workdir",     "cwd",		"target_directory",
		NULL};

	return is_among(key, keys);
}

static bool is_address_key(const char *key)
{
	static const char *const keys[] = {
		"url",	  "urls",	"uri",	   "href",     "endpoint",
		"host",	  "hostname",	"link",	   "base_url", "website",
		"domain", "server_url", "webhook", NULL};

	return is_among(key, keys);
}

static bool is_command_key(const char *key)
{
	static const char *const keys[] = {
		"command",	"cmd",		"commands", "shell_command",
		"bash_command", "command_line", NULL};

	return is_among(key, keys);
}

/* Does the tool's name hold any of them, in any case? */
static bool is_named(const char *tool, const char *const *parts)
{
	for (; *parts; parts++)
		if (strcasestr(tool, *parts))
			return true;
	return false;
}

/*
 * A database's "query" is SQL; that of a tool that searches is not, even if it
 * is about SQL, unless that searches a database with it.
 */
static bool is_sql(const struct walk *walk, const char *key, const char *text)
{
	static const char *const always[] = {"sql", "statement", "statements",
					     NULL};
	static const char *const often[] = {"query", "queries", NULL};
	static const char *const databases[] = {
		"sql",	   "postgres",	 "database", "duckdb",	  "snowflake",
		"mariadb", "clickhouse", "supabase", "cockroach", "redshift",
		"db_",	   "_db",	 "oracle",   "warehouse", NULL};
	static const char *const searches[] = {
		"search", "find", "lookup", "browse", "fetch",
		"web",	  "docs", "grep",   "ask",    NULL};
	bool database = is_named(walk->tool, databases) ||
			is_named(walk->own, databases);

	if (is_among(key, always))
		return true;
	if (!is_among(key, often))
		return false;
	if (is_named(walk->own, searches))
		return database && sql_begins(text);
	return database || sql_begins(text) || is_named(walk->own, often);
}

static bool is_address(const char *text)
{
	const char *at = text;

	if (!isalpha((unsigned char)*at))
		return false;
	while (isalnum((unsigned char)*at) || *at == '+' || *at == '.' ||
	       *at == '-')
		at++;
	return !strncmp(at, "://", 3) && strncmp(text, "file:", 5);
}

/* Absolute, or plainly relative: an API's "path" may be anything. */
static bool looks_like_path(const char *text)
{
	return text[0] == '/' || text[0] == '~' || text[0] == '.' ||
	       !strncmp(text, "file://", 7) || strchr(text, '/');
}

static int tell(struct walk *walk, enum subject_kind kind, const char *key,
		const char *text)
{
	const struct subject subject = {kind, text, key};

	return walk->each(walk->context, &subject);
}

static const char *const patchers[] = {"apply_patch", "applypatch", NULL};

/*
 * A tool that applies patches is given one by whatever name; it runs nothing,
 * and what its text looks like to a shell means nothing.  Other tools have one
 * where it begins as one.
 */
static bool is_patch(const struct walk *walk, const char *key, const char *text)
{
	static const char *const keys[] = {"command",	"input",      "patch",
					   "patchText", "patch_text", "diff",
					   NULL};
	size_t blank = strspn(text, " \t\r\n");

	return (walk->patches && is_among(key, keys)) ||
	       (!is_command_key(key) &&
		!strncmp(text + blank, "*** Begin Patch", 15));
}

/* The path that a line of a patch names, not ended; NULL: none. */
static const char *patched_path(const char *line, size_t length, bool diff,
				size_t *ret_length)
{
	static const char *const patch[] = {
		"*** Add File:", "*** Update File:", "*** Delete File:",
		"*** Move to:",	 "*** Move File:",   NULL};
	static const char *const others[] = {
		"+++ ", "--- ", "rename to ", "rename from ", "copy to ", NULL};

	for (const char *const *mark = diff ? others : patch; *mark; mark++) {
		size_t size = strlen(*mark);

		if (length <= size || strncmp(line, *mark, size))
			continue;
		while (size < length && strchr(" \t", line[size]))
			size++;
		while (length > size && strchr(" \t\r", line[length - 1]))
			length--;
		*ret_length = length - size;
		return length > size ? line + size : NULL;
	}
	return NULL;
}

/* As it stands, and without the a/ or b/ that diff puts before it. */
static int tell_patched(struct walk *walk, const char *key, const char *path,
			bool diff)
{
	int r;

	if (diff && !strcmp(path, "/dev/null"))
		return 0;
	r = tell(walk, SUBJECT_FILE_WRITE, key, path);
	return r || !diff || (strncmp(path, "a/", 2) && strncmp(path, "b/", 2))
		       ? r
		       : tell(walk, SUBJECT_FILE_WRITE, key, path + 2);
}

/*
 * `*** Update File: PATH` and its like, indented or not, or those of a unified
 * diff: what is added, changed, removed, moved.
 */
static int each_patched(struct walk *walk, const char *key, const char *text)
{
	bool diff = !strstr(text, "*** Begin Patch");
	int r = 0;

	while (!r && *text) {
		size_t length = strcspn(text, "\n"), size;
		size_t blank = diff ? 0 : strspn(text, " \t");
		const char *from = blank < length ? patched_path(text + blank,
								 length - blank,
								 diff, &size)
						  : NULL;
		CLEANUP_FREE char *path = from ? strndup(from, size) : NULL;

		if (from && !path)
			return -ENOMEM;
		if (path)
			r = tell_patched(walk, key, path, diff);
		text += length + (text[length] == '\n');
	}
	return r;
}

int subjects_patch(const char *key, const char *text, subject_fn each,
		   void *context)
{
	struct walk walk = {.each = each, .context = context};

	return each_patched(&walk, key, text);
}

bool subjects_is_patcher(const char *program)
{
	return is_among(program, patchers);
}

static int tell_path(struct walk *walk, const char *key, const char *text)
{
	bool folder = !strcasecmp(key, "cwd") || !strcasecmp(key, "workdir");

	if (!strncmp(text, "file://", 7))
		text += 7;
	return tell(walk,
		    walk->writes && !folder ? SUBJECT_FILE_WRITE
					    : SUBJECT_FILE_READ,
		    key, text);
}

static int walk_string(struct walk *walk, const char *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!*text && !json_string_length(value))
		return 0;
	/* Others would stop at the NUL, or not. */
	if (strlen(text) != json_string_length(value))
		return is_command_key(key) || is_path_key(key) ||
				       is_address_key(key)
			       ? tell(walk, SUBJECT_GARBLED, key, text)
			       : 0;
	if (is_patch(walk, key, text))
		return each_patched(walk, key, text);
	if (is_command_key(key) && !walk->no_command)
		return tell(walk, SUBJECT_COMMAND, key, text);
	if (walk->runs &&
	    (!strcasecmp(key, "script") || !strcasecmp(key, "input")))
		return tell(walk, SUBJECT_COMMAND, key, text);
	if (is_address(text))
		return tell(walk, SUBJECT_ADDRESS, key, text);
	if (is_sql(walk, key, text))
		return tell(walk, SUBJECT_SQL, key, text);
	if (is_path_key(key) ||
	    (is_address_key(key) && !strncmp(text, "file://", 7)))
		return looks_like_path(text) || walk->writes
			       ? tell_path(walk, key, text)
			       : 0;
	if (is_address_key(key))
		return tell(walk, SUBJECT_ADDRESS, key, text);
	return 0;
}

static int quote_word(char **ret, size_t *length, const char *word)
{
	char *grown = realloc(*ret, *length + strlen(word) * 4 + 4);

	if (!grown)
		return -ENOMEM;
	*ret = grown;
	if (*length)
		grown[(*length)++] = ' ';
	grown[(*length)++] = '\'';
	for (; *word; word++) {
		if (*word == '\'') {
			memcpy(grown + *length, "'\\''", 4);
			*length += 4;
		} else {
			grown[(*length)++] = *word;
		}
	}
	grown[(*length)++] = '\'';
	grown[*length] = '\0';
	return 0;
}

/* ["apply_patch", "*** Begin Patch..."] is a patch. */
static int walk_patches(struct walk *walk, const char *key, const json_t *array)
{
	const json_t *value;
	size_t index;
	int r = 0;

	json_array_foreach((json_t *)(uintptr_t)array, index, value)
	{
		const char *text = json_string_value(value);

		if (text && strlen(text) != json_string_length(value))
			r = tell(walk, SUBJECT_GARBLED, key, text);
		else if (text && (index || !is_among(text, patchers)))
			r = each_patched(walk, key, text);
		if (r)
			return r;
	}
	return 0;
}

/* ["bash", "-c", "..."] is one command. */
static int walk_words(struct walk *walk, const char *key, const json_t *array)
{
	CLEANUP_FREE char *line = NULL;
	size_t length = 0, index;
	const json_t *value;
	int r = 0;

	json_array_foreach((json_t *)(uintptr_t)array, index, value)
	{
		const char *word = json_string_value(value);

		if (!word)
			return 0;
		r = quote_word(&line, &length, word);
		if (r)
			return r;
	}
	return line ? tell(walk, SUBJECT_COMMAND, key, line) : 0;
}

static int walk_value(struct walk *walk, const char *key, const json_t *value)
{
	const char *name;
	json_t *inner;
	size_t index;
	int r = 0;

	if (json_is_string(value))
		return walk_string(walk, key, value);
	if (json_is_array(value) && is_command_key(key)) {
		r = walk->patches ? walk_patches(walk, key, value)
				  : walk_words(walk, key, value);
		if (r)
			return r;
	}
	if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, name, inner)
		{
			r = walk_value(walk, name, inner);
			if (r)
				return r;
		}
	}
	json_array_foreach(value, index, inner)
	{
		if (is_command_key(key) && json_is_string(inner))
			continue; /* a word of the command above */
		r = walk_value(walk, key, inner);
		if (r)
			return r;
	}
	return 0;
}

int subjects_each(const char *tool, const json_t *arguments, subject_fn each,
		  void *context)
{
	struct walk walk = {
		.tool = tool,
		.own = own_name(tool),
		.each = each,
		.context = context,
	};
	const char *command =
		json_string_value(json_object_get(arguments, "command"));

	walk.writes = is_writing_tool(walk.own);
	walk.runs = is_shell_tool(walk.own);
	walk.patches = is_among(walk.own, patchers);
	/* An editor that is told to look only looks. */
	if (walk.writes && command && !strcmp(command, "view"))
		walk.writes = false;
	if (!walk.writes && !walk.runs && json_is_object(arguments) &&
	    (json_object_get(arguments, "content") ||
	     json_object_get(arguments, "new_string")))
		walk.writes = true;
	/* str_replace_editor's command is a word of its own. */
	walk.no_command = command && !walk.runs && !strchr(command, ' ') &&
			  json_object_get(arguments, "path");
	return arguments ? walk_value(&walk, "", arguments) : 0;
}
