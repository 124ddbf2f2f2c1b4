/*
 * The tables grow as plain arrays and are written out one behind the other.
 * Equal texts share their bytes: a rule's path exists once, as the names on
 * its edges, however many rules lie below the same folder.
 */

#include "gatekeeper/policy/build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/policy/build/builder.h"
#include "gatekeeper/policy/glob.h"

int policy_builder_new(struct policy_builder **ret)
{
	CLEANUP(policy_builder_free)
	struct policy_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return -ENOMEM;
	if (getrandom(&builder->header.hash_seed,
		      sizeof(builder->header.hash_seed), 0) < 0)
		return -errno;
	if (texts_init(&builder->texts, builder->header.hash_seed) ||
	    net_table_init(&builder->nets, builder->header.hash_seed) ||
	    edge_table_init(&builder->edges, &builder->texts,
			    builder->header.hash_seed))
		return -ENOMEM;
	*ret = STEAL(builder);
	return 0;
}

struct policy_builder *policy_builder_free(struct policy_builder *builder)
{
	if (!builder)
		return NULL;
	free(builder->uids.entries);
	free(builder->accounts.entries);
	free(builder->nodes.entries);
	edge_table_done(&builder->edges);
	free(builder->globs.entries);
	free(builder->rules.entries);
	free(builder->inodes.entries);
	free(builder->digests.entries);
	free(builder->watch.entries);
	free(builder->resolvers.entries);
	free(builder->tools.entries);
	free(builder->conditions.entries);
	net_table_done(&builder->nets);
	texts_done(&builder->texts);
	free(builder);
	return NULL;
}

static int node_new(struct policy_builder *builder, uint32_t flags,
		    uint32_t *ret)
{
	struct policy_node node = {
		.rules = POLICY_NONE,
		.globs = POLICY_NONE,
		.any_depth = POLICY_NONE,
		.flags = flags,
	};

	return array_add(&builder->nodes, &node, sizeof(node), ret);
}

int policy_builder_account(struct policy_builder *builder, const char *name,
			   uint32_t uid, uint32_t *ret)
{
	struct policy_account account = {
		.uid = uid,
		.mode = POLICY_MODE_ENFORCE,
		.files_default = POLICY_DENY,
		.programs_default = POLICY_DENY,
		.network_default = POLICY_DENY,
		.inbound = POLICY_INBOUND_LOOPBACK,
		.tools = POLICY_NONE,
		.tools_default = POLICY_DENY,
	};

	if (builder_text(builder, name, &account.name) ||
	    builder_text(builder, "", &account.home) ||
	    node_new(builder, 0, &account.files) ||
	    node_new(builder, 0, &account.programs))
		return -ENOMEM;
	return array_add(&builder->accounts, &account, sizeof(account), ret);
}

int policy_builder_home(struct policy_builder *builder, uint32_t account,
			const char *home)
{
	struct policy_text text;

	if (builder_text(builder, home, &text))
		return -ENOMEM;
	ARRAY_AT(builder->accounts, struct policy_account, account)->home =
		text;
	return 0;
}

void policy_builder_account_mode(struct policy_builder *builder,
				 uint32_t account, enum policy_mode mode)
{
	ARRAY_AT(builder->accounts, struct policy_account, account)->mode =
		mode;
}

void policy_builder_account_default(struct policy_builder *builder,
				    uint32_t account, enum policy_class class,
				    enum policy_verdict verdict)
{
	struct policy_account *entry =
		ARRAY_AT(builder->accounts, struct policy_account, account);

	switch (class) {
	case POLICY_CLASS_FILES:
		entry->files_default = verdict;
		break;
	case POLICY_CLASS_PROGRAMS:
		entry->programs_default = verdict;
		break;
	case POLICY_CLASS_NETWORK:
		entry->network_default = verdict;
		break;
	case POLICY_CLASS_TOOLS:
		entry->tools_default = verdict;
		break;
	}
}

void policy_builder_inbound(struct policy_builder *builder, uint32_t account,
			    enum policy_inbound inbound)
{
	ARRAY_AT(builder->accounts, struct policy_account, account)->inbound =
		inbound;
}

int policy_builder_uids(struct policy_builder *builder, uint32_t account,
			uint32_t first, uint32_t last)
{
	struct policy_uid_range range = {first, last, account, 0};

	for (uint32_t i = 0; i < builder->uids.count; i++) {
		const struct policy_uid_range *other =
			ARRAY_AT(builder->uids, struct policy_uid_range, i);

		if (first <= other->last && other->first <= last)
			return POLICY_BUILD_UID_TAKEN;
	}
	return array_add(&builder->uids, &range, sizeof(range), NULL);
}

static int edge_child(struct policy_builder *builder, uint32_t from,
		      enum policy_edge_kind kind, const char *bytes,
		      size_t length, uint32_t *ret)
{
	struct policy_edge *slot;

	if (edge_table_make(&builder->edges, from, kind, bytes, length, &slot))
		return -ENOMEM;
	if (slot->to == POLICY_NONE) {
		struct policy_node *node;

		if (node_new(builder, 0, &slot->to))
			return -ENOMEM;
		node = ARRAY_AT(builder->nodes, struct policy_node, from);
		if (kind == POLICY_EDGE_PREFIX)
			node->prefix_lengths |= UINT64_C(1) << length;
		if (kind == POLICY_EDGE_SUFFIX)
			node->suffix_lengths |= UINT64_C(1) << length;
	}
	*ret = slot->to;
	return 0;
}

static int glob_child(struct policy_builder *builder, uint32_t from,
		      const char *bytes, size_t length, uint32_t *ret)
{
	struct policy_glob glob;
	uint32_t index;

	if (texts_add(&builder->texts, bytes, length, &glob.pattern))
		return -ENOMEM;
	glob.next = ARRAY_AT(builder->nodes, struct policy_node, from)->globs;
	for (uint32_t g = glob.next; g != POLICY_NONE;) {
		const struct policy_glob *other =
			ARRAY_AT(builder->globs, struct policy_glob, g);

		if (other->pattern.offset == glob.pattern.offset &&
		    other->pattern.length == length) {
			*ret = other->to;
			return 0;
		}
		g = other->next;
	}
	if (node_new(builder, 0, &glob.to) ||
	    array_add(&builder->globs, &glob, sizeof(glob), &index))
		return -ENOMEM;
	ARRAY_AT(builder->nodes, struct policy_node, from)->globs = index;
	*ret = glob.to;
	return 0;
}

static int any_depth_child(struct policy_builder *builder, uint32_t from,
			   uint32_t *ret)
{
	struct policy_node *node =
		ARRAY_AT(builder->nodes, struct policy_node, from);
	uint32_t index = node->any_depth;

	if (node->flags & POLICY_NODE_ANY_DEPTH) {
		*ret = from; /* a chain of ** is one */
		return 0;
	}
	if (index == POLICY_NONE) {
		if (node_new(builder, POLICY_NODE_ANY_DEPTH, &index))
			return -ENOMEM;
		ARRAY_AT(builder->nodes, struct policy_node, from)->any_depth =
			index;
	}
	*ret = index;
	return 0;
}

static bool has_magic(const char *bytes, size_t length)
{
	return glob_is_pattern(bytes, length) || memchr(bytes, '\\', length);
}

/* The child of from for one component of a pattern. */
static int pattern_child(struct policy_builder *builder, uint32_t from,
			 const char *bytes, size_t length, uint32_t *ret)
{
	if (length == 2 && bytes[0] == '*' && bytes[1] == '*')
		return any_depth_child(builder, from, ret);
	if (!has_magic(bytes, length))
		return edge_child(builder, from, POLICY_EDGE_NAME, bytes,
				  length, ret);
	if (bytes[0] == '*' && length > 1 && length - 1 <= POLICY_AFFIX_MAX &&
	    !has_magic(bytes + 1, length - 1))
		return edge_child(builder, from, POLICY_EDGE_SUFFIX, bytes + 1,
				  length - 1, ret);
	if (bytes[length - 1] == '*' && length > 1 &&
	    length - 1 <= POLICY_AFFIX_MAX && !has_magic(bytes, length - 1))
		return edge_child(builder, from, POLICY_EDGE_PREFIX, bytes,
				  length - 1, ret);
	return glob_child(builder, from, bytes, length, ret);
}

/* Walk path from node, making what is missing; yields its last node. */
static int path_node(struct policy_builder *builder, uint32_t node,
		     const char *path, bool is_pattern, uint32_t *ret)
{
	int r = 0;

	if (is_pattern && path[0] != '/')
		r = any_depth_child(builder, node, &node);
	while (!r) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (!length)
			break;
		r = is_pattern
			    ? pattern_child(builder, node, path, length, &node)
			    : edge_child(builder, node, POLICY_EDGE_NAME, path,
					 length, &node);
		path += length;
	}
	/* `x/` and then `**`: what is below x, not x itself. */
	if (!r && ARRAY_AT(builder->nodes, struct policy_node, node)->flags &
			  POLICY_NODE_ANY_DEPTH)
		r = glob_child(builder, node, "*", 1, &node);
	if (!r)
		*ret = node;
	return r;
}

static bool disagree(enum policy_effect one, enum policy_effect other)
{
	return (one == POLICY_EFFECT_DENY) != (other == POLICY_EFFECT_DENY);
}

static bool conflicts(const struct policy_builder *builder, uint32_t node,
		      const struct policy_rule_spec *spec, bool is_pattern,
		      const char **ret_origin)
{
	uint32_t i = ARRAY_AT(builder->nodes, struct policy_node, node)->rules;

	while (i != POLICY_NONE) {
		const struct policy_rule *rule =
			ARRAY_AT(builder->rules, struct policy_rule, i);

		/* A denial with an end may stand beside what it suspends. */
		int64_t denied_until_s = spec->effect == POLICY_EFFECT_DENY
						 ? spec->meta.until_s
						 : rule->until_s;

		if (!is_pattern && !rule->is_pattern && !denied_until_s &&
		    disagree((enum policy_effect)rule->effect, spec->effect)) {
			*ret_origin = (char *)builder->texts.bytes.entries +
				      rule->origin.offset;
			return true;
		}
		i = rule->next;
	}
	return false;
}

int policy_builder_rule(struct policy_builder *builder,
			const struct policy_rule_spec *spec,
			const char **ret_origin)
{
	const struct policy_account *account = ARRAY_AT(
		builder->accounts, struct policy_account, spec->account);
	bool is_pattern = glob_is_pattern(spec->path, strlen(spec->path));
	struct policy_rule rule = {
		.digest = POLICY_NONE,
		.effect = (uint8_t)spec->effect,
		.is_pattern = is_pattern,
	};
	uint32_t node, index;
	int r;

	r = path_node(builder,
		      spec->class == POLICY_CLASS_FILES ? account->files
							: account->programs,
		      spec->path, is_pattern, &node);
	if (r)
		return r;
	if (conflicts(builder, node, spec, is_pattern, ret_origin))
		return POLICY_BUILD_CONFLICT;

	if (spec->digest && array_add(&builder->digests, spec->digest,
				      sizeof(*spec->digest), &rule.digest))
		return -ENOMEM;
	rule.next = ARRAY_AT(builder->nodes, struct policy_node, node)->rules;
	if (builder_rule(builder, &spec->meta, &rule, &index))
		return -ENOMEM;
	ARRAY_AT(builder->nodes, struct policy_node, node)->rules = index;

	if (spec->inode) {
		struct policy_inode inode = *spec->inode;

		inode.account = spec->account;
		inode.rule = index;
		return array_add(&builder->inodes, &inode, sizeof(inode), NULL);
	}
	return 0;
}

static int add_to_host(struct policy_builder *builder,
		       const struct policy_net_spec *spec,
		       const struct policy_reach *reach)
{
	struct policy_edge *edge;
	int r = edge_table_make(&builder->edges, spec->account,
				spec->below ? POLICY_EDGE_DOMAIN
					    : POLICY_EDGE_HOST,
				spec->host, strlen(spec->host), &edge);

	return r ? r : net_table_push(&builder->nets, reach, &edge->to);
}

int policy_builder_net(struct policy_builder *builder,
		       const struct policy_net_spec *spec, uint32_t *rule)
{
	struct policy_account *account = ARRAY_AT(
		builder->accounts, struct policy_account, spec->account);
	const struct policy_net net = {
		.address = policy_address_prefix(&spec->address, spec->length),
		.account = spec->account,
		.length = spec->length,
	};
	struct policy_reach reach = {
		.protocols = spec->protocols,
		.port_first = spec->port_first,
		.port_last = spec->port_last,
	};

	if (*rule == POLICY_NONE) {
		struct policy_rule entry = {
			.next = POLICY_NONE,
			.digest = POLICY_NONE,
			.effect = (uint8_t)spec->effect,
		};

		if (builder_rule(builder, &spec->meta, &entry, rule))
			return -ENOMEM;
	}
	reach.rule = *rule;
	if (builder_text(builder, spec->program, &reach.program))
		return -ENOMEM;
	if (spec->host)
		return add_to_host(builder, spec, &reach);
	account->net_lengths[spec->length / 64] |= UINT64_C(1)
						   << spec->length % 64;
	return net_table_add(&builder->nets, &net, &reach);
}

int policy_builder_resolver(struct policy_builder *builder, uint32_t account,
			    const struct policy_address *address)
{
	const struct policy_resolver resolver = {
		.address = *address,
		.account = account,
	};

	return array_add(&builder->resolvers, &resolver, sizeof(resolver),
			 NULL);
}

int policy_builder_watch(struct policy_builder *builder, const char *path)
{
	struct policy_text text;

	if (builder_text(builder, path, &text))
		return -ENOMEM;
	return array_add(&builder->watch, &text, sizeof(text), NULL);
}

int policy_builder_settings(struct policy_builder *builder,
			    const struct policy_settings *settings)
{
	struct policy_general *general = &builder->header.general;

	builder->header.mode = settings->mode;
	general->user_uid = settings->user_uid;
	general->user_gid = settings->user_gid;
	general->keep_days = settings->keep_days;
	general->max_mb = settings->max_mb;
	general->names_floor_s = settings->names_floor_s;
	general->names_grace_s = settings->names_grace_s;
	general->names_label_max = settings->names_label_max;
	general->names_per_minute = settings->names_per_minute;
	general->follows_system = settings->follows_system;
	if (builder_text(builder, settings->database, &general->database) ||
	    builder_text(builder, settings->user, &general->user))
		return -ENOMEM;
	return 0;
}

static int by_first_uid(const void *a, const void *b)
{
	const struct policy_uid_range *one = a, *other = b;

	return (one->first > other->first) - (one->first < other->first);
}

static int by_inode(const void *a, const void *b)
{
	const struct policy_inode *one = a, *other = b;

	if (one->device != other->device)
		return one->device < other->device ? -1 : 1;
	if (one->inode != other->inode)
		return one->inode < other->inode ? -1 : 1;
	return (one->account > other->account) -
	       (one->account < other->account);
}

static void sort_array(struct array *array, size_t size,
		       int (*compare)(const void *, const void *))
{
	if (array->count)
		qsort(array->entries, array->count, size, compare);
}

static int write_tables(struct policy_builder *builder, int fd)
{
	static const char padding[8];
	struct policy_header *h = &builder->header;
	const struct {
		const struct array *table;
		struct policy_span *span;
		size_t entry;
	} tables[] = {
		{&builder->uids, &h->uids, sizeof(struct policy_uid_range)},
		{&builder->accounts, &h->accounts,
		 sizeof(struct policy_account)},
		{&builder->nodes, &h->nodes, sizeof(struct policy_node)},
		{&builder->edges.slots, &h->edges, sizeof(struct policy_edge)},
		{&builder->globs, &h->globs, sizeof(struct policy_glob)},
		{&builder->rules, &h->rules, sizeof(struct policy_rule)},
		{&builder->inodes, &h->inodes, sizeof(struct policy_inode)},
		{&builder->digests, &h->digests, sizeof(struct policy_digest)},
		{&builder->nets.slots, &h->nets, sizeof(struct policy_net)},
		{&builder->nets.reaches, &h->reaches,
		 sizeof(struct policy_reach)},
		{&builder->resolvers, &h->resolvers,
		 sizeof(struct policy_resolver)},
		{&builder->tools, &h->tools, sizeof(struct policy_tool)},
		{&builder->conditions, &h->conditions,
		 sizeof(struct policy_condition)},
		{&builder->texts.bytes, &h->strings, 1},
		{&builder->watch, &h->watch, sizeof(struct policy_text)},
	};
	const size_t count = sizeof(tables) / sizeof(tables[0]);
	uint64_t at = sizeof(*h);
	int r;

	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = tables[i].table->count * tables[i].entry;

		if (at > UINT32_MAX)
			return -EFBIG;
		tables[i].span->offset = (uint32_t)at;
		tables[i].span->count = tables[i].table->count;
		at = (at + bytes + 7) & ~UINT64_C(7);
	}
	h->size_bytes = at;

	r = fd_write_all(fd, h, sizeof(*h));
	for (size_t i = 0; !r && i < count; i++) {
		size_t bytes = tables[i].table->count * tables[i].entry;

		r = fd_write_all(fd, tables[i].table->entries, bytes);
		if (!r)
			r = fd_write_all(fd, padding, (0 - bytes) & 7);
	}
	return r;
}

int policy_builder_finish(struct policy_builder *builder, uint64_t generation,
			  int *ret_fd)
{
	CLEANUP(fd_close) int fd = -1;
	int r;

	sort_array(&builder->uids, sizeof(struct policy_uid_range),
		   by_first_uid);
	sort_array(&builder->inodes, sizeof(struct policy_inode), by_inode);
	builder->header.magic = POLICY_IMAGE_MAGIC;
	builder->header.version = POLICY_IMAGE_VERSION;
	builder->header.generation = generation;

	fd = memfd_create("leash-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = write_tables(builder, fd);
	if (r)
		return r;
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
		return -errno;
	*ret_fd = STEAL_FD(fd);
	return 0;
}
