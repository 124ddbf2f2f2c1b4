#include "tools/leash/log/learn_paths.h"

#include <errno.h>
#include <string.h>

#include "tools/lib/narrow.h"

struct node {
	char *path; /* owned */
	struct node *children;
	struct node *next;
	uint64_t uses; /* of this one, or, once joined, of all below */
	bool used;
	bool folder; /* a rule for all below */
	bool asked;  /* whether it may be one, */
	bool closed; /* and it may not */
};

struct learn_paths {
	struct node root;
	char *home; /* owned, or NULL */
	learn_paths_keeps_fn keeps;
};

int learn_paths_new(const char *home, learn_paths_keeps_fn keeps,
		    struct learn_paths **ret)
{
	CLEANUP(learn_paths_free)
	struct learn_paths *paths = calloc(1, sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	paths->root.path = strdup("/");
	paths->home = home ? strdup(home) : NULL;
	paths->keeps = keeps;
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

	if (!narrow_is_folder(path, paths->home))
		return LEARN_PATHS_SHARED;
	/* An open of a folder, too, becomes a rule for all below. */
	if (paths->keeps && paths->keeps(path))
		return LEARN_PATHS_SECRETS;
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

/* May a rule open all below node?  Its files are looked at once. */
static bool may_open(const struct learn_paths *paths, struct node *node)
{
	if (!node->asked) {
		node->asked = true;
		node->closed = !narrow_is_folder(node->path, paths->home) ||
			       (paths->keeps && paths->keeps(node->path));
	}
	return !node->closed;
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
	if ((count >= entries || (node->folder && node->children)) &&
	    may_open(paths, node))
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
