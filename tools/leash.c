/*
 * leash - set up, adjust, watch, understand; see leash(1)
 */

#include <jansson.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/escape.h"
#include "tools/leash_parts.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage; /* its lines, each behind the command's name */
} commands[] = {
	{"init", leash_init,
	 "[--account A] [--workspace DIR] [--profiles base,git,...]\n"
	 "             [--observe] [--yes] [--json]"},
	{"status", leash_status, "[--json]"},
	{"watch", leash_watch,
	 "[--denied] [--account A] [--kind KIND]\n"
	 "             [--path GLOB] [--program GLOB] [--top | --json]"},
	{"explain", leash_explain,
	 "file|exec|host WHAT [--write] [--account A] [--json]\n"
	 "       leash explain tool NAME [ARGUMENTS] [--account A] [--json]"},
	{"allow", leash_allow,
	 "file|program|host|tool WHAT [--account A] [--for 1h]\n"
	 "             [--why TEXT] [--write] [--protocol P] [--program FILE] "
	 "[--dry-run]\n"
	 "             [--json]\n"
	 "       leash allow --last [--account A] [--for 1h] [--why TEXT]\n"
	 "             [--yes] [--json]"},
	{"deny", leash_allow,
	 "file|program|host|tool WHAT [--account A] [--for 1h]\n"
	 "             [--why TEXT] [--protocol P] [--program FILE]\n"
	 "             [--dry-run] [--json]"},
	{"undo", leash_undo, "[CHANGE] [--dry-run] [--json]"},
	{"mode", leash_mode,
	 "observe|enforce [--account A] [--why TEXT] [--json]"},
	{"learn", leash_learn,
	 "[--account A] [--since 1h] [--refused] [--apply] [--json]"},
	{"reload", leash_reload, "[--json]"},
	{"check", leash_check, "[--hosts] [FILE] [--json]"},
	{"tools", leash_tools,
	 "install claude|codex|copilot|cursor [--undo] [--account A]\n"
	 "             [--file FILE] [--dry-run]\n"
	 "       leash tools list [--account A] [--json]\n"
	 "       leash tools trust [SERVER [TOOL]] [--account A] [--yes]"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_all(FILE *out)
{
	fputs("Usage:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "       leash %s %s\n", commands[i].name,
			commands[i].usage);
	fputs("       leash --version | --help\n", out);
}

int leash_usage(const char *command)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, command))
			fprintf(stderr, "Usage: leash %s %s\n", command,
				commands[i].usage);
	return EXIT_ERROR;
}

const char *leash_shown(const char *text)
{
	static char buffers[8][8192];
	static unsigned int next;
	char *buffer = buffers[next++ % 8];

	escape_text(buffer, sizeof(buffers[0]), text, strlen(text));
	return buffer;
}

char *leash_path(const char *path)
{
	char joined[PATH_MAX], folder[PATH_MAX];
	char *real, *last, *whole = NULL;

	if (path[0] == '~' || strpbrk(path, "*?["))
		return strdup(path);
	if (path[0] == '/')
		snprintf(joined, sizeof(joined), "%s", path);
	else if (getcwd(folder, sizeof(folder)) &&
		 snprintf(joined, sizeof(joined), "%s/%s", folder, path) >=
			 (int)sizeof(joined)) {
		talk_error("%s: the path is too long", path);
		return NULL;
	}
	real = realpath(joined, NULL);
	if (real)
		return real;
	/* What is not there yet may still have a folder that is. */
	last = strrchr(joined, '/');
	if (last == joined || !last[1])
		return strdup(joined);
	*last = '\0';
	real = realpath(joined, NULL);
	if (asprintf(&whole, "%s/%s", real ? real : joined, last + 1) < 0)
		whole = NULL;
	free(real);
	return whole;
}

void leash_split_host(char *text, const char **ret_host, const char **ret_ports)
{
	char *colon = strrchr(text, ':');

	*ret_host = text;
	*ret_ports = NULL;
	if (text[0] == '[' && strchr(text, ']')) {
		char *end = strchr(text, ']');

		*ret_host = text + 1;
		*end = '\0';
		if (end[1] == ':')
			*ret_ports = end + 2;
	} else if (colon && colon == strchr(text, ':')) {
		*colon = '\0';
		*ret_ports = colon + 1;
	}
}

static json_t *json_text(const char *text)
{
	return json_string(
		escape_is_utf8(text, strlen(text)) ? text : leash_shown(text));
}

static bool is_among(const char *key, const char *const *keys)
{
	for (; *keys; keys++)
		if (!strcmp(key, *keys))
			return true;
	return false;
}

static json_t *json_words(const char *const *members, const char *value,
			  const char *const *numbers)
{
	json_t *object = json_object();
	char word[4200];

	for (int i = 0; i < 4 && members[i]; i++) {
		bool last = i == 3 || !members[i + 1];
		size_t length = last ? strlen(value) : strcspn(value, " ");

		snprintf(word, sizeof(word), "%.*s", (int)length, value);
		json_object_set_new(object, members[i],
				    is_among(members[i], numbers)
					    ? json_integer(atoll(word))
					    : json_text(word));
		value += length + (value[length] == ' ');
	}
	return object;
}

void leash_print_json(const struct fields *fields,
		      const struct leash_list *lists,
		      const char *const *numbers)
{
	json_t *object = json_object();
	struct fields_cursor cursor = {0};

	for (const struct leash_list *list = lists; list->key; list++)
		json_object_set_new(object, list->key, json_array());
	while (fields_next(fields, &cursor)) {
		const struct leash_list *list = lists;
		char key[64];
		json_t *value;

		snprintf(key, sizeof(key), "%.*s", (int)cursor.key_length,
			 cursor.key);
		while (list->key && strcmp(list->key, key))
			list++;
		if (list->key && list->members[0])
			value = json_words(list->members, cursor.value,
					   numbers);
		else if (is_among(key, numbers))
			value = json_integer(atoll(cursor.value));
		else
			value = json_text(cursor.value);
		if (list->key)
			json_array_append_new(json_object_get(object, key),
					      value);
		else
			json_object_set_new(object, key, value);
	}
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}

int main(int argc, char **argv)
{
	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("leash " LEASH_VERSION);
		return EXIT_DONE;
	}
	if (argc > 1 &&
	    (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		print_all(stdout);
		return EXIT_DONE;
	}
	for (size_t i = 0; argc > 1 && i < COMMANDS; i++)
		if (!strcmp(commands[i].name, argv[1]))
			return commands[i].run(argc - 1, argv + 1);
	if (argc > 1)
		talk_error("there is no command \"%s\"", argv[1]);
	print_all(stderr);
	return EXIT_ERROR;
}
