#include "tools/lib/narrow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libpsl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/resolve.h"

#define ENTRIES_MAX 200000 /* looked at for secrets below one folder */
#define DEPTH_MAX   40

bool narrow_is_secret(const char *path)
{
	static const char *const patterns[] = {
		"*/.ssh/*",
		"*/.gnupg/*",
		"*/.aws/*",
		"*/.azure/*",
		"*/.config/gcloud/*",
		"*/.kube/*",
		"*/.docker/config.json",
		"*/.password-store/*",
		"*/.mozilla/*",
		"*/.config/google-chrome/*",
		"*/.config/chromium/*",
		"*/.local/share/keyrings/*",
		"*/.netrc",
		"*/.pgpass",
		"*/.my.cnf",
		"*/.npmrc",
		"*/.pypirc",
		"*/.git-credentials",
		"*/.config/gh/hosts.yml",
		"*/.env",
		"*/.env.*",
		"*/.*_history",
		"*/id_rsa*",
		"*/id_ed25519*",
		"*/id_ecdsa*",
		"*.pem",
		"*.key",
		"*.p12",
		"*.pfx",
		"*.kdbx",
		"*.keytab",
		"*/credentials",
		"*/credentials.json",
		"*/secrets",
		"*/secrets/*",
		"*/secrets.*",
		"/etc/shadow*",
		"/etc/gshadow*",
		"/etc/sudoers*",
		"/etc/ssh/*",
		"/etc/ssl/private/*",
		"/root/*",
		"/run/leash/*",
		"/etc/leash*",
		"/var/lib/leash/*",
	};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (!fnmatch(patterns[i], path, FNM_CASEFOLD))
			return true;
	return false;
}

bool narrow_is_folder(const char *path, const char *home)
{
	static const char *const shared[] = {
		"/home/*",	"/var/lib",	"/var/log",
		"/var/spool",	"/var/cache",	"/var/mail",
		"/var/www",	"/run/user",	"/run/user/*",
		"/usr/bin",	"/usr/sbin",	"/usr/lib",
		"/usr/libexec", "/usr/share",	"/usr/lib/*-linux-gnu*",
		"/usr/local",	"/usr/local/*", "/sys/*",
		"/var/backups",
	};
	const char *second = strchr(path + 1, '/');

	/* The root, and what lies in it, but for where all may put things. */
	if (!second || !second[1])
		return !strcmp(path, "/tmp");
	if (home && !strcmp(path, home))
		return false;
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (!fnmatch(shared[i], path, FNM_PATHNAME))
			return false;
	return true;
}

bool narrow_is_suffix(const char *name)
{
	/* Without its data nothing is known: the careful mistake. */
	return !psl_builtin() ||
	       psl_is_public_suffix2(psl_builtin(), name,
				     PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE);
}

struct search {
	char path[PATH_MAX];
	size_t entries;
	size_t count;
	size_t max;
	void (*visit)(const char *path, void *context);
	void *context;
};

static bool is_full(const struct search *search)
{
	return search->count >= search->max;
}

static void look_in(struct search *search, int folder, int depth);

/* What is mounted below is not entered: it might be anybody's. */
static void look_below(struct search *search, int folder, const char *name,
		       int depth)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC |
			 O_NONBLOCK,
		.resolve = RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));

	if (fd >= 0)
		look_in(search, fd, depth + 1);
	else if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
		search->count = search->max; /* who knows */
}

static void look_at(struct search *search, int folder,
		    const struct dirent *entry, int depth)
{
	size_t length = strlen(search->path);
	int n = snprintf(search->path + length, sizeof(search->path) - length,
			 "/%s", entry->d_name);
	bool kept;

	if (++search->entries > ENTRIES_MAX ||
	    n >= (int)(sizeof(search->path) - length)) {
		search->count = search->max; /* too much */
	} else {
		/* A folder of secrets is known by what would be in it. */
		strcat(search->path, "/");
		kept = narrow_is_secret(search->path);
		search->path[length + (size_t)n] = '\0';
		if (kept || narrow_is_secret(search->path)) {
			search->count++;
			if (search->visit && !is_full(search))
				search->visit(search->path, search->context);
		} else if (entry->d_type == DT_DIR ||
			   entry->d_type == DT_UNKNOWN) {
			look_below(search, folder, entry->d_name, depth);
		}
	}
	search->path[length] = '\0';
}

/* folder is closed. */
static void look_in(struct search *search, int folder, int depth)
{
	DIR *dir = depth < DEPTH_MAX ? fdopendir(folder) : NULL;
	struct dirent *entry;

	if (!dir) {
		fd_close(folder);
		search->count = search->max;
		return;
	}
	while (!is_full(search) && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			look_at(search, folder, entry, depth);
	closedir(dir);
}

static bool is_anybody(void *context, uid_t uid)
{
	(void)context;
	(void)uid;
	return true;
}

static bool is_any(void *context, gid_t gid)
{
	(void)context;
	(void)gid;
	return true;
}

/*
 * A path of the log led through no link then.  Where the account serves what
 * is there now, it would be waited for: so resolve looks first.  -1: no folder
 * is there.  False: who knows.
 */
static bool open_folder(const char *path, int *ret)
{
	struct resolver resolver = {
		.distrusts_user = is_anybody,
		.distrusts_group = is_any,
	};
	struct resolved found;
	char link[64];
	int r = resolve_path(&resolver, path, &found);

	resolver_done(&resolver);
	if (r)
		return false;
	*ret = -1;
	if (found.exists && S_ISDIR(found.st.st_mode)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", found.fd);
		*ret = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = *ret < 0;
	}
	resolved_done(&found);
	return !r;
}

size_t narrow_secrets_below(const char *folder, size_t max,
			    void (*visit)(const char *path, void *context),
			    void *context)
{
	struct search search = {
		.max = max,
		.visit = visit,
		.context = context,
	};

	int fd;

	if (!open_folder(folder, &fd))
		return max;
	if (fd < 0)
		return 0;
	if (snprintf(search.path, sizeof(search.path), "%s", folder) >=
	    (int)sizeof(search.path)) {
		fd_close(fd);
		return max;
	}
	look_in(&search, fd, 0);
	return search.count;
}

char *narrow_literal(const char *path)
{
	char *text = malloc(2 * strlen(path) + 1), *to = text;
	bool pattern = path[strcspn(path, "*?[")] != '\0';

	if (!text)
		return NULL;
	for (const char *at = path; *at; at++) {
		/* In a pattern, and there alone, it takes the next byte. */
		if (pattern && strchr("*?[\\", *at))
			*to++ = '\\';
		*to++ = *at;
	}
	*to = '\0';
	return text;
}
