#include "gatekeeper/config/rules/rule_path.h"

#include <stdio.h>
#include <string.h>

#include "gatekeeper/policy/glob.h"

static void rule_error(struct compiler *compiler,
		       const struct rule_entry *entry, const char *what)
{
	compiler_error(compiler, entry->setting, "\"%s\" %s", entry->path,
		       what);
}

bool rule_path_complete(struct compiler *compiler,
			const struct rule_entry *entry,
			const struct account_entry *account,
			char ret[static RESOLVE_PATH_MAX])
{
	bool is_pattern = glob_is_pattern(entry->path, strlen(entry->path));
	const char *home = "", *path = entry->path;
	int length;

	if (path[0] == '~' && path[1] != '/' && path[1] != '\0') {
		rule_error(compiler, entry,
			   "names another user's home; write its path");
		return false;
	}
	if (path[0] == '~') {
		home = account->home;
		path++;
		if (home[0] != '/' || !home[1]) {
			rule_error(compiler, entry,
				   "needs a home folder, and the account has "
				   "none; write the path");
			return false;
		}
	} else if (path[0] != '/' && !is_pattern) {
		rule_error(compiler, entry,
			   "is not absolute; begin it with / or ~/, or with "
			   "**/ for any depth");
		return false;
	}
	length = snprintf(ret, RESOLVE_PATH_MAX, "%s%s", home, path);
	if (length >= RESOLVE_PATH_MAX) {
		rule_error(compiler, entry, "is longer than 4095 bytes");
		return false;
	}
	while (length > 1 && ret[length - 1] == '/')
		ret[--length] = '\0';
	for (const char *name = ret; *name;) {
		size_t n;

		name += strspn(name, "/");
		n = strcspn(name, "/");
		if ((n == 1 && name[0] == '.') ||
		    (n == 2 && name[0] == '.' && name[1] == '.')) {
			rule_error(compiler, entry,
				   "has a . or .. in it; write the path "
				   "without");
			return false;
		}
		if (n > 255 && !is_pattern) {
			rule_error(compiler, entry,
				   "has a name of over 255 bytes, which no "
				   "file can have");
			return false;
		}
		name += n;
	}
	return true;
}

/* A pattern from its first name with a wildcard on, cut off path. */
static void cut_tail(char *path, char *tail)
{
	size_t magic = strcspn(path, "*?[\\");

	tail[0] = '\0';
	if (!glob_is_pattern(path, strlen(path)))
		return;
	while (magic && path[magic - 1] != '/')
		magic--;
	strcpy(tail, path + magic);
	path[magic] = '\0';
}

static int put_tail(struct resolved *resolved, const char *tail)
{
	size_t n = strlen(resolved->path);

	if (!tail[0])
		return 0;
	if (n + strlen(tail) + 1 >= RESOLVE_PATH_MAX)
		return RESOLVE_TOO_LONG;
	if (n > 1)
		resolved->path[n++] = '/';
	strcpy(resolved->path + n, tail);
	resolved->exists = false;
	return 0;
}

/* Follow the symlinks in path, or in a pattern's part without wildcards. */
static int resolve(struct compiler *compiler, const char *whole, bool now,
		   struct resolved *ret)
{
	char path[RESOLVE_PATH_MAX], tail[RESOLVE_PATH_MAX];
	int r;

	strcpy(path, whole);
	cut_tail(path, tail);
	if (!path[0]) { /* at any depth: nothing to follow */
		strcpy(ret->path, tail);
		ret->link[0] = '\0';
		ret->changeable = ret->exists = false;
		ret->fd = -1;
		return 0;
	}
	r = now ? resolve_now(&compiler->resolver, path, ret)
		: resolve_path(&compiler->resolver, path, ret);
	if (r)
		return r;
	r = put_tail(ret, tail);
	if (r)
		resolved_done(ret);
	return r;
}

int rule_path_resolve_now(struct compiler *compiler, const char *path,
			  struct resolved *ret)
{
	return resolve(compiler, path, true, ret);
}

int rule_path_resolve(struct compiler *compiler, const struct rule_entry *entry,
		      const char *path, struct resolved *ret)
{
	int r = resolve(compiler, path, false, ret);

	if (r <= 0)
		return r;
	if (r == RESOLVE_LOOP)
		compiler_error(compiler, entry->setting,
			       "\"%s\" leads into a loop of symlinks at %s; "
			       "remove that one, or name another path",
			       entry->path, ret->link);
	else
		rule_error(compiler, entry, "leads to a path too long");
	return CONFIG_WRONG;
}
