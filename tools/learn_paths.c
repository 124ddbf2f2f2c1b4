#include "tools/learn_paths.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

struct node {
	char *path; /* owned */
	struct node *children;
	struct node *next;
	uint64_t uses; /* of this one, or, once joined, of all below */
	bool used;
	bool folder; /* a rule for all below */
};

struct learn_paths {
	struct node root;
	char *home; /* owned, or NULL */
};

int learn_paths_new(const char *home, struct learn_paths **ret)
{
	CLEANUP(learn_paths_free)
	struct learn_paths *paths = calloc(1, sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	paths->root.path = strdup("/");
	paths->home = home ? strdup(home) : NULL;
	if (!paths->root.path || (home && !paths->home))
		return -ENOMEM;
	*ret = STEAL(paths);
	return 0;
}

static void free_below(struct node *node)
{
	while (node->children) {
		struct node *child = node->children;

		node->children = child->next;
		free_below(child);
		free(child->path);
		free(child);
	}
}

struct learn_paths *learn_paths_free(struct learn_paths *paths)
{
	if (!paths)
		return NULL;
	free_below(&paths->root);
	free(paths->root.path);
	free(paths->home);
	free(paths);
	return NULL;
}

bool learn_paths_is_secret(const char *path)
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

/* May a rule open all below?  Not where different things live together. */
static bool may_be_folder(const struct learn_paths *paths, const char *path)
{
	static const char *const shared[] = {
		"/",	      "/home/*",    "/etc",
		"/usr",	      "/var",	    "/var/lib",
		"/opt",	      "/srv",	    "/mnt",
		"/media",     "/run",	    "/run/user",
		"/dev",	      "/sys",	    "/proc",
		"/boot",      "/home",	    "/usr/local",
		"/root",      "/usr/bin",   "/usr/sbin",
		"/bin",	      "/sbin",	    "/usr/local/bin",
		"/lib",	      "/usr/share", "/var/log",
		"/var/spool", "/var/cache", "/usr/local/sbin",
	};

	if (paths->home && !strcmp(path, paths->home))
		return true;
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (!fnmatch(shared[i], path, FNM_PATHNAME))
			return false;
	return true;
}

/* The child of that path, made if need be, in order. */
static struct node *child_of(struct node *node, const char *path, size_t length)
{
	struct node **at = &node->children, *child;

	/* Of equal beginnings, the shorter comes first. */
	while (*at && strncmp((*at)->path, path, length) < 0)
		at = &(*at)->next;
	if (*at && !strncmp((*at)->path, path, length) && !(*at)->path[length])
		return *at;
	child = calloc(1, sizeof(*child));
	if (!child)
		return NULL;
	child->path = strndup(path, length);
	if (!child->path) {
		free(child);
		return NULL;
	}
	child->next = *at;
	*at = child;
	return child;
}

int learn_paths_add(struct learn_paths *paths, const char *path, bool listed,
		    uint64_t uses)
{
	struct node *node = &paths->root;

	if (!may_be_folder(paths, path))
		return LEARN_PATHS_SHARED;
	for (const char *at = path; *at;) {
		at += strspn(at, "/");
		if (!*at)
			break; /* the root, or a / at the end */
		at += strcspn(at, "/");
		node = child_of(node, path, (size_t)(at - path));
		if (!node)
			return -ENOMEM;
	}
	node->used = true;
	node->folder |= listed;
	node->uses += uses;
	return 0;
}

/* What a rule for node would be about: all that is used below it. */
static uint64_t uses_below(const struct node *node)
{
	uint64_t uses = node->uses;

	for (const struct node *child = node->children; child;
	     child = child->next)
		uses += uses_below(child);
	return uses;
}

static void make_folder(struct node *node)
{
	node->uses = uses_below(node);
	free_below(node);
	node->used = true;
	node->folder = true;
}

static size_t count_rules(const struct node *node)
{
	size_t count = node->used ? 1 : 0;

	for (const struct node *child = node->children; child;
	     child = child->next)
		count += count_rules(child);
	return count;
}

/* From the leaves up: a folder with so many entries becomes one. */
static void join(const struct learn_paths *paths, struct node *node,
		 size_t entries)
{
	size_t count = 0;

	for (struct node *child = node->children; child; child = child->next) {
		join(paths, child, entries);
		count += count_rules(child) ? 1 : 0;
	}
	if (may_be_folder(paths, node->path) &&
	    (count >= entries || (node->folder && node->children)))
		make_folder(node);
}

size_t learn_paths_join(struct learn_paths *paths, size_t entries)
{
	join(paths, &paths->root, entries);
	return count_rules(&paths->root);
}

static void visit_below(const struct node *node,
			void (*visit)(const struct learn_path *path,
				      void *context),
			void *context)
{
	const struct learn_path found = {
		.path = node->path,
		.folder = node->folder,
		.uses = node->uses,
	};

	if (node->used)
		visit(&found, context);
	for (const struct node *child = node->children; child;
	     child = child->next)
		visit_below(child, visit, context);
}

void learn_paths_visit(const struct learn_paths *paths,
		       void (*visit)(const struct learn_path *path,
				     void *context),
		       void *context)
{
	visit_below(&paths->root, visit, context);
}
