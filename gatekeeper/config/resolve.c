#include "gatekeeper/config/resolve.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40

/* Put two pieces together: head, then tail behind a slash if need be. */
static int join(char *ret, const char *head, const char *tail)
{
	size_t head_length = strlen(head), tail_length = strlen(tail);
	bool slash = tail_length && tail[0] != '/' &&
		     (!head_length || head[head_length - 1] != '/');

	if (head_length + slash + tail_length >= RESOLVE_PATH_MAX)
		return RESOLVE_TOO_LONG;
	memmove(ret, head, head_length);
	if (slash)
		ret[head_length] = '/';
	memcpy(ret + head_length + slash, tail, tail_length + 1);
	return 0;
}

/* Could an account swap what stands at path in folder? */
static bool changeable(struct resolver *resolver, const struct stat *link,
		       const char *folder)
{
	struct stat st;

	if (resolver->leashed(resolver->context, link->st_uid))
		return true;
	if (stat(*folder ? folder : "/", &st) < 0)
		return true;
	return resolver->leashed(resolver->context, st.st_uid) ||
	       ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX));
}

/* Take "." and ".." of a link's target out of done, one name at a time. */
static void step_up(char *done)
{
	char *slash = strrchr(done, '/');

	if (slash)
		*slash = '\0';
}

struct walk {
	char done[RESOLVE_PATH_MAX]; /* resolved so far; "" is the root */
	char rest[RESOLVE_PATH_MAX];
	int links;
	bool missing;
};

static int follow(struct resolver *resolver, struct walk *walk,
		  const char *link, const struct stat *st)
{
	char target[RESOLVE_PATH_MAX], rest[RESOLVE_PATH_MAX];
	ssize_t n;
	int r;

	if (changeable(resolver, st, walk->done))
		return RESOLVE_LEASHED_LINK;
	if (++walk->links > LINKS_MAX)
		return RESOLVE_LOOP;
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	r = join(rest, target, walk->rest);
	if (r)
		return r;
	if (target[0] == '/')
		walk->done[0] = '\0';
	strcpy(walk->rest, rest);
	return 0;
}

/* Resolve the next name of rest. */
static int step(struct resolver *resolver, struct walk *walk,
		struct resolved *ret)
{
	char *name = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(name, "/");
	char next[RESOLVE_PATH_MAX], piece[RESOLVE_PATH_MAX];
	int r;

	memcpy(piece, name, length);
	piece[length] = '\0';
	memmove(walk->rest, name + length, strlen(name + length) + 1);
	if (!strcmp(piece, "."))
		return 0;
	if (!strcmp(piece, "..")) {
		step_up(walk->done);
		return 0;
	}
	strcpy(next, walk->done);
	r = join(next, next, "/");
	if (!r && length)
		r = join(next, next, piece);
	if (r)
		return r;
	if (!walk->missing && lstat(next, &ret->st) < 0)
		walk->missing = true;
	if (!walk->missing && S_ISLNK(ret->st.st_mode)) {
		r = follow(resolver, walk, next, &ret->st);
		if (r == RESOLVE_LEASHED_LINK)
			strcpy(ret->path, next);
		return r;
	}
	strcpy(walk->done, next);
	return 0;
}

static int walk_path(struct resolver *resolver, struct walk *walk,
		     struct resolved *ret)
{
	while (walk->rest[strspn(walk->rest, "/")]) {
		int r = step(resolver, walk, ret);

		if (r)
			return r;
	}
	return 0;
}

/* Begin where the last path's folder ended, if this one shares it. */
static void begin(const struct resolver *resolver, const char *path,
		  struct walk *walk)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	if (length && length == strlen(resolver->folder) &&
	    !memcmp(path, resolver->folder, length)) {
		strcpy(walk->done, resolver->resolved);
		strcpy(walk->rest, slash);
	} else {
		strcpy(walk->rest, path);
	}
}

static void remember(struct resolver *resolver, const char *path,
		     const struct walk *walk)
{
	const char *slash = strrchr(path, '/');

	/* Only where the last name was no link is its folder known. */
	if (walk->links || walk->missing || !slash || !slash[1])
		return;
	memcpy(resolver->folder, path, (size_t)(slash - path));
	resolver->folder[slash - path] = '\0';
	strcpy(resolver->resolved, walk->done);
	step_up(resolver->resolved);
}

int resolve_path(struct resolver *resolver, const char *path,
		 struct resolved *ret)
{
	struct walk walk; /* 8 KiB, not worth clearing for every rule */
	int r;

	walk.links = 0;
	walk.missing = false;
	walk.done[0] = '\0';

	if (strlen(path) >= RESOLVE_PATH_MAX)
		return RESOLVE_TOO_LONG;
	begin(resolver, path, &walk);
	r = walk_path(resolver, &walk, ret);
	if (r)
		return r;
	remember(resolver, path, &walk);
	strcpy(ret->path, walk.done[0] ? walk.done : "/");
	ret->exists = !walk.missing;
	if (!walk.done[0])
		ret->exists = stat("/", &ret->st) == 0;
	return 0;
}
