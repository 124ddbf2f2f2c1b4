#include "toolcall/commands/sql.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* What may make quotes mean something else, or run what is in them. */
static bool is_plain(const char *text)
{
	static const char *const strange[] = {
		"\\",  "--",	    "/*",	  "#",	    "$",   "`",
		"{",   "exec",	    "prepare",	  "dblink", "xp_", "query_to",
		"do ", "openquery", "openrowset", NULL};

	for (const char *const *at = strange; *at; at++)
		if (strcasestr(text, *at))
			return false;
	return true;
}

/* Behind the quote that ends it; '' is one in it.  NULL: it does not end. */
static char *end_of_text(char *at)
{
	for (at = strchr(at, '\''); at && at[1] == '\'';
	     at = strchr(at + 2, '\''))
		;
	return at ? at + 1 : NULL;
}

char *sql_without_texts(const char *text)
{
	char *copy = strdup(text);
	char *at = copy;

	if (!copy || !is_plain(text))
		return copy;
	while ((at = strchr(at, '\''))) {
		char *end = end_of_text(at + 1);

		if (!end) { /* who knows what it is */
			strcpy(copy, text);
			return copy;
		}
		memset(at + 1, ' ', (size_t)(end - at) - 2);
		at = end;
	}
	return copy;
}

bool sql_begins(const char *text)
{
	static const char *const verbs[] = {
		"select",  "insert", "update", "delete",  "drop",  "truncate",
		"alter",   "create", "with",   "replace", "merge", "grant",
		"revoke",  "begin",  "call",   "exec",	  "do",	   "set",
		"explain", "copy",   "pragma", "use",	  NULL};
	size_t length;

	text += strspn(text, " \t\r\n(;");
	if (!strncmp(text, "--", 2) || !strncmp(text, "/*", 2) || *text == '#')
		return true;
	for (length = 0; isalpha((unsigned char)text[length]); length++)
		;
	for (const char *const *verb = verbs; *verb; verb++)
		if (strlen(*verb) == length &&
		    !strncasecmp(text, *verb, length))
			return true;
	return false;
}
