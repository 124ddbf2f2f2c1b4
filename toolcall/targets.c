#include "toolcall/targets.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gatekeeper/base/clock.h"

/* Take `.`, `..` and double slashes out of an absolute path, in place. */
static void straighten(char *path)
{
	char *to = path;
	const char *from = path;

	while (*from) {
		size_t length;

		while (*from == '/')
			from++;
		length = strcspn(from, "/");
		if (!length)
			break;
		if (length == 1 && from[0] == '.') {
			from += length;
			continue;
		}
		if (length == 2 && from[0] == '.' && from[1] == '.') {
			while (to > path && *--to != '/')
				;
			from += length;
			continue;
		}
		*to++ = '/';
		memmove(to, from, length);
		to += length;
		from += length;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

/* The longest part that exists and that we may follow, followed. */
static void follow(char path[static TARGETS_PATH_MAX])
{
	char head[TARGETS_PATH_MAX], real[PATH_MAX], whole[TARGETS_PATH_MAX];
	size_t length = strlen(path);

	snprintf(head, sizeof(head), "%s", path);
	while (length > 1) {
		head[length] = '\0';
		if (realpath(head, real)) {
			if (snprintf(whole, sizeof(whole), "%s%s",
				     strcmp(real, "/") ? real : "",
				     path + length) < (int)sizeof(whole))
				memcpy(path, whole, strlen(whole) + 1);
			return;
		}
		while (length > 1 && head[--length] != '/')
			;
	}
}

int targets_path(const char *text, const char *cwd, const char *home,
		 char ret[static TARGETS_PATH_MAX])
{
	const char *base = cwd ? cwd : *home ? home : "/";
	int length;

	if (text[0] == '/')
		length = snprintf(ret, TARGETS_PATH_MAX, "%s", text);
	else if (text[0] == '~' && (!text[1] || text[1] == '/'))
		length =
			snprintf(ret, TARGETS_PATH_MAX, "%s%s", home, text + 1);
	else
		length = snprintf(ret, TARGETS_PATH_MAX, "%s/%s", base, text);
	if (length >= TARGETS_PATH_MAX)
		return -ENAMETOOLONG;
	straighten(ret);
	follow(ret);
	return 0;
}

bool targets_program(const char *word, const char *cwd, const char *home,
		     char ret[static TARGETS_PATH_MAX])
{
	static const char *const folders[] = {
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
		"/usr/bin",	   "/sbin",	     "/bin",
	};
	struct stat st;

	if (strchr(word, '/'))
		return !targets_path(word, cwd, home, ret) &&
		       stat(ret, &st) == 0 && S_ISREG(st.st_mode);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char path[TARGETS_PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/%s", folders[i], word) >=
		    (int)sizeof(path))
			return false;
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			return !targets_path(path, cwd, home, ret);
	}
	return false;
}

void targets_identify(const char *path, struct policy_question *question)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return;
	question->device = st.st_dev;
	question->inode = st.st_ino;
	question->size = (uint64_t)st.st_size;
	question->changed_ns =
		st.st_ctim.tv_sec * CLOCK_NS_PER_S + st.st_ctim.tv_nsec;
}

static uint16_t port_of(const char *scheme, size_t length)
{
	static const struct {
		const char *scheme;
		uint16_t port;
	} known[] = {
		{"http", 80},	    {"https", 443},	  {"ws", 80},
		{"wss", 443},	    {"ssh", 22},	  {"git", 9418},
		{"ftp", 21},	    {"ftps", 990},	  {"sftp", 22},
		{"postgres", 5432}, {"postgresql", 5432}, {"mysql", 3306},
		{"redis", 6379},    {"rediss", 6379},	  {"mongodb", 27017},
		{"ldap", 389},	    {"ldaps", 636},	  {"amqp", 5672},
		{"smtp", 25},	    {"imap", 143},	  {"telnet", 23},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].scheme) == length &&
		    !strncmp(known[i].scheme, scheme, length))
			return known[i].port;
	return 443;
}

bool targets_host(const char *text, char ret[static TARGETS_HOST_MAX],
		  uint16_t *ret_port)
{
	const char *mark = strstr(text, "://");
	const char *from = mark ? mark + 3 : text;
	const char *at, *colon = NULL;
	size_t length = strcspn(from, "/?#\\ \t\r\n");
	long port;

	*ret_port = mark ? port_of(text, (size_t)(mark - text)) : 443;
	at = memrchr(from, '@', length);
	if (at) {
		length -= (size_t)(at + 1 - from);
		from = at + 1;
	}
	if (length && from[0] == '[') { /* an IPv6 address */
		const char *end = memchr(from, ']', length);

		if (!end)
			return false;
		if (end + 1 < from + length && end[1] == ':')
			colon = end + 1;
		from++;
		length = (size_t)(end - from);
	} else {
		colon = memchr(from, ':', length);
		/* More than one: an IPv6 address without brackets. */
		if (colon &&
		    memchr(colon + 1, ':', length - (size_t)(colon + 1 - from)))
			colon = NULL;
		if (colon)
			length = (size_t)(colon - from);
	}
	if (colon) {
		port = strtol(colon + 1, NULL, 10);
		if (port > 0 && port <= UINT16_MAX)
			*ret_port = (uint16_t)port;
	}
	if (!length || length >= TARGETS_HOST_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		ret[i] = (char)tolower((unsigned char)from[i]);
	ret[length] = '\0';
	return true;
}
