/*
 * The walk holds a descriptor of the folder that it has come to, so what is
 * moved or replaced meanwhile changes nothing of what was seen before.
 */

#include "gatekeeper/system/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

#define LINKS_MAX 40

struct walk {
	struct resolver *resolver;
	char done[RESOLVE_PATH_MAX]; /* resolved so far; "" is the root */
	char rest[RESOLVE_PATH_MAX];
	int fd;	   /* of done; -1 once nothing is there */
	int above; /* of its folder, or -1 */
	int links;
	bool all;    /* follow whosoever they are */
	bool others; /* one that was followed is not root's */
	struct resolved *ret;
};

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

static bool has_acl(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

/* Could somebody not trusted swap what stands in this folder? */
static bool is_changeable(const struct resolver *resolver, int fd,
			  const struct stat *st)
{
	if (resolver->distrusts_user(resolver->context, st->st_uid))
		return true;
	/* With a sticky bit, only what is its own: links show their owner. */
	if (st->st_mode & S_ISVTX)
		return false;
	if (st->st_mode & S_IWOTH)
		return true;
	/* Where there is an ACL, these bits are the most that it may give. */
	return (st->st_mode & S_IWGRP) &&
	       (resolver->distrusts_group(resolver->context, st->st_gid) ||
		has_acl(fd));
}

/* Below /proc, by a descriptor of it: not everybody may open by a path. */
static FILE *open_proc(const char *path)
{
	CLEANUP(fd_close)
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd_close)
	int fd = proc < 0 ? -1 : openat(proc, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (file)
		(void)STEAL_FD(fd);
	return file;
}

/* The number of the mount that fd is on, asking the kernel alone; or -1. */
static int mount_of(int fd)
{
	char path[64], line[128];
	FILE *in;
	int id = -1;

	snprintf(path, sizeof(path), "self/fdinfo/%d", fd);
	in = open_proc(path);
	while (in && id < 0 && fgets(line, sizeof(line), in))
		if (sscanf(line, "mnt_id: %d", &id) != 1)
			id = -1;
	if (in)
		fclose(in);
	return id;
}

/* "ID ... - fuse.sshfs SOURCE rw,user_id=1000,...": is the user not root? */
static bool is_users_fuse(const char *line)
{
	const char *type = strstr(line, " - fuse"), *user;

	user = type ? strstr(type, "user_id=") : NULL;
	return user && strtoul(user + strlen("user_id="), NULL, 10) != 0;
}

static bool is_served_by_user(int fd)
{
	CLEANUP_FREE char *line = NULL;
	int id = mount_of(fd), one;
	size_t size = 0;
	bool served = true, found = false;
	FILE *in = open_proc("self/mountinfo");

	if (!in)
		return true;
	while (!found && getline(&line, &size, in) > 0)
		if (sscanf(line, "%d ", &one) == 1 && one == id) {
			found = true;
			served = is_users_fuse(line);
		}
	fclose(in);
	return served;
}

/* The name in the folder that the walk has come to; -1: nothing is there. */
static int open_name(const struct walk *walk, const char *name, bool more)
{
	/* What is passed through is a folder, or will be mounted as one. */
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC |
			 (more ? O_DIRECTORY : 0),
		.resolve = RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, walk->fd, name, &how, sizeof(how));

	if (fd < 0 && errno == ENOTDIR && more)
		return open_name(walk, name, false);
	if (fd >= 0 || (errno != EXDEV && errno != ENOSYS))
		return fd;
	/* O_PATH does not ask a filesystem for its root. */
	fd = openat(walk->fd, name, (int)how.flags);
	if (fd < 0 || !is_served_by_user(fd))
		return fd;
	walk->ret->changeable = true;
	strcpy(walk->ret->changeable_at, walk->done[0] ? walk->done : "/");
	return fd_close(fd);
}

static void come_to(struct walk *walk, int fd)
{
	fd_close(walk->above);
	walk->above = walk->fd;
	walk->fd = fd;
}

/* Note whether others can change what is in the folder come to. */
static void look_at_folder(struct walk *walk)
{
	struct resolved *ret = walk->ret;

	if (ret->changeable || walk->fd < 0 || !S_ISDIR(ret->st.st_mode) ||
	    !is_changeable(walk->resolver, walk->fd, &ret->st))
		return;
	ret->changeable = true;
	strcpy(ret->changeable_at, walk->done[0] ? walk->done : "/");
}

/* Go to the root. */
static int go_up_all(struct walk *walk)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	come_to(walk, fd);
	walk->done[0] = '\0';
	if (fstat(fd, &walk->ret->st) < 0)
		return -errno;
	look_at_folder(walk);
	return 0;
}

static void go_up_one(struct walk *walk)
{
	char *slash = strrchr(walk->done, '/');
	int fd;

	if (!slash)
		return;
	*slash = '\0';
	if (walk->fd < 0)
		return;
	fd = openat(walk->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	come_to(walk, fd);
	if (fd >= 0 && fstat(fd, &walk->ret->st) == 0)
		look_at_folder(walk);
}

/* At a link that is not to be followed: as written from here on. */
static int stop_at(struct walk *walk, const char *link)
{
	struct resolved *ret = walk->ret;
	char whole[RESOLVE_PATH_MAX];
	int r;

	strcpy(ret->link, link);
	ret->link_owner = ret->st.st_uid;
	r = join(whole, link, walk->rest);
	if (r)
		return r;
	strcpy(walk->done, whole);
	walk->rest[0] = '\0';
	come_to(walk, -1);
	return 0;
}

static int follow(struct walk *walk, int fd, const char *link)
{
	const struct resolver *resolver = walk->resolver;
	uid_t owner = walk->ret->st.st_uid;
	char target[RESOLVE_PATH_MAX], rest[RESOLVE_PATH_MAX];
	ssize_t n;
	int r;

	if (!walk->all && (walk->ret->changeable ||
			   resolver->distrusts_user(resolver->context, owner)))
		return stop_at(walk, link);
	if (owner != 0 && owner != geteuid())
		walk->others = true;
	if (++walk->links > LINKS_MAX) {
		strcpy(walk->ret->link, link);
		walk->ret->link_owner = owner;
		return RESOLVE_LOOP;
	}
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n <= 0) {
		strcpy(walk->done, link);
		come_to(walk, -1);
		return 0;
	}
	target[n] = '\0';
	r = join(rest, target, walk->rest);
	if (r) {
		strcpy(walk->ret->link, link);
		return r;
	}
	strcpy(walk->rest, rest);
	return target[0] == '/' ? go_up_all(walk) : 0;
}

/* Take the next name off rest; "" where there is none. */
static void take_name(struct walk *walk, char ret[static RESOLVE_PATH_MAX])
{
	char *name = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(name, "/");

	memcpy(ret, name, length);
	ret[length] = '\0';
	memmove(walk->rest, name + length, strlen(name + length) + 1);
}

static bool has_more(const struct walk *walk)
{
	return walk->rest[strspn(walk->rest, "/")] != '\0';
}

static int step(struct walk *walk)
{
	char name[RESOLVE_PATH_MAX], next[RESOLVE_PATH_MAX];
	int fd, r;

	take_name(walk, name);
	if (!strcmp(name, "."))
		return 0;
	if (!strcmp(name, "..")) {
		go_up_one(walk);
		return 0;
	}
	r = join(next, walk->done, "/");
	if (!r)
		r = join(next, next, name);
	if (r)
		return r;
	fd = walk->fd < 0 ? -1 : open_name(walk, name, has_more(walk));
	if (fd >= 0 && fstat(fd, &walk->ret->st) < 0)
		fd = fd_close(fd);
	if (fd >= 0 && S_ISLNK(walk->ret->st.st_mode)) {
		r = follow(walk, fd, next);
		fd_close(fd);
		return r;
	}
	strcpy(walk->done, next);
	come_to(walk, fd);
	look_at_folder(walk);
	return 0;
}

/* Begin where the last path's folder ended, if this one shares it. */
static int begin(struct walk *walk, const char *path)
{
	const struct resolver *resolver = walk->resolver;
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	if (length && !walk->all && length == strlen(resolver->folder) &&
	    !memcmp(path, resolver->folder, length)) {
		walk->fd = fcntl(resolver->fd, F_DUPFD_CLOEXEC, 0);
		if (walk->fd < 0)
			return -errno;
		strcpy(walk->done, resolver->resolved);
		strcpy(walk->rest, slash);
		walk->ret->changeable = resolver->changeable;
		strcpy(walk->ret->changeable_at, walk->done);
		return 0;
	}
	strcpy(walk->rest, path);
	return go_up_all(walk);
}

static void remember(struct walk *walk, const char *path)
{
	struct resolver *resolver = walk->resolver;
	const char *slash = strrchr(path, '/');
	char *end;

	/* Only where the last name was no link is its folder known. */
	if (walk->links || walk->ret->link[0] || walk->fd < 0 ||
	    walk->above < 0 || !slash || slash == path || !slash[1])
		return;
	/* The last one itself may be what others can change. */
	if (walk->ret->changeable &&
	    !strcmp(walk->ret->changeable_at, walk->done))
		return;
	if (resolver->folder[0])
		fd_close(resolver->fd);
	memcpy(resolver->folder, path, (size_t)(slash - path));
	resolver->folder[slash - path] = '\0';
	strcpy(resolver->resolved, walk->done);
	end = strrchr(resolver->resolved, '/');
	if (end)
		*end = '\0';
	resolver->fd = walk->above;
	resolver->changeable = walk->ret->changeable;
	walk->above = -1;
}

static int walk_path(struct walk *walk, const char *path)
{
	int r = begin(walk, path);

	while (!r && has_more(walk))
		r = step(walk);
	if (!r) {
		remember(walk, path);
		return 0;
	}
	/* Made by somebody else than who wrote the rule: no mistake in it. */
	if (r < 0 || !walk->others || walk->all)
		return r;
	strcpy(walk->done, path);
	come_to(walk, -1);
	return 0;
}

static int resolve(struct resolver *resolver, const char *path, bool all,
		   struct resolved *ret)
{
	struct walk walk; /* 8 KiB, not worth clearing for every rule */
	int r;

	if (strlen(path) >= RESOLVE_PATH_MAX)
		return RESOLVE_TOO_LONG;
	walk.resolver = resolver;
	walk.done[0] = '\0';
	walk.fd = walk.above = -1;
	walk.links = 0;
	walk.all = all;
	walk.others = false;
	walk.ret = ret;
	ret->link[0] = '\0';
	ret->changeable = false;
	r = walk_path(&walk, path);
	fd_close(walk.above);
	if (r) {
		fd_close(walk.fd);
		return r;
	}
	strcpy(ret->path, walk.done[0] ? walk.done : "/");
	ret->fd = walk.fd;
	ret->exists = walk.fd >= 0;
	return 0;
}

int resolve_path(struct resolver *resolver, const char *path,
		 struct resolved *ret)
{
	return resolve(resolver, path, false, ret);
}

int resolve_now(struct resolver *resolver, const char *path,
		struct resolved *ret)
{
	return resolve(resolver, path, true, ret);
}

void resolved_done(struct resolved *resolved)
{
	resolved->fd = fd_close(resolved->fd);
}

void resolver_done(struct resolver *resolver)
{
	if (resolver->folder[0])
		fd_close(resolver->fd);
	resolver->folder[0] = '\0';
}
