#include "tools/leash/dialog/arguments.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/lib/complaint.h"

/* One slash between two names, as the kernel tells paths. */
static void squeeze_slashes(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from++)
		if (from[0] != '/' || from[1] != '/')
			*to++ = *from;
	*to = '\0';
}

/* Below the working folder, unless it says where.  False: reported. */
static bool make_absolute(const char *path, char ret[static PATH_MAX])
{
	char folder[PATH_MAX] = "";

	if (!path[0]) {
		complaint_print("a path is wanted, and the word is empty");
		return false;
	}
	if (path[0] != '/' && !getcwd(folder, sizeof(folder))) {
		complaint_print("%s: %s", path, strerror(errno));
		return false;
	}
	if (snprintf(ret, PATH_MAX, path[0] == '/' ? "%s%s" : "%s/%s", folder,
		     path) >= PATH_MAX) {
		complaint_print("%s: the path is too long", path);
		return false;
	}
	squeeze_slashes(ret);
	return true;
}

/* The name in path that is . or .., or NULL. */
static char *find_dots(char *path)
{
	for (char *name = path; *name; name += strcspn(name, "/")) {
		size_t n;

		name += strspn(name, "/");
		n = strcspn(name, "/");
		if ((n == 1 || n == 2) && !strncmp(name, "..", n))
			return name;
	}
	return NULL;
}

char *argument_path_written(const char *path)
{
	char whole[PATH_MAX], *dots;

	if (path[0] == '~' || strpbrk(path, "*?["))
		return strdup(path);
	if (!make_absolute(path, whole))
		return NULL;
	while ((dots = find_dots(whole))) {
		size_t n = strcspn(dots, "/");
		char rest[PATH_MAX], *real;

		strcpy(rest, dots + n + (n == 1 && dots[n] == '/'));
		dots[n == 1 ? 0 : n] = '\0';
		real = n == 1 ? NULL : realpath(whole, NULL);
		if (n == 2 && !real) {
			complaint_print("%s: %s", path, strerror(errno));
			return NULL;
		}
		n = real ? strlen(real) : strlen(whole);
		if (n + strlen(rest) >= sizeof(whole)) {
			free(real);
			complaint_print("%s: the path is too long", path);
			return NULL;
		}
		if (real)
			memcpy(whole, real, n);
		strcpy(whole + n, rest);
		squeeze_slashes(whole);
		free(real);
	}
	return strdup(whole);
}

char *argument_path(const char *path)
{
	char joined[PATH_MAX];
	char *real, *last, *whole = NULL;

	if (path[0] == '~' || strpbrk(path, "*?["))
		return strdup(path);
	if (!make_absolute(path, joined))
		return NULL;
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
	else
		squeeze_slashes(whole);
	free(real);
	return whole;
}

bool argument_split_host(char *text, const char **ret_host,
			 const char **ret_ports)
{
	char *colon = strrchr(text, ':');

	if (strstr(text, "://")) {
		complaint_print("%s: a host is a name or an address, no URL",
				text);
		return false;
	}
	*ret_host = text;
	*ret_ports = NULL;
	if (text[0] == '[' && strchr(text, ']')) {
		char *end = strchr(text, ']');

		if (end[1] && end[1] != ':') {
			complaint_print("%s: behind ] comes a colon, and "
					"ports",
					text);
			return false;
		}
		*ret_host = text + 1;
		*end = '\0';
		if (end[1] == ':')
			*ret_ports = end + 2;
	} else if (colon && colon == strchr(text, ':')) {
		*colon = '\0';
		*ret_ports = colon + 1;
	}
	return true;
}
