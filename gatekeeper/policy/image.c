#include "gatekeeper/policy/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "gatekeeper/base/hash.h"
#include "gatekeeper/policy/image_format.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static bool span_fits(const struct policy *policy, struct policy_span span,
		      size_t entry)
{
	return span.offset % 8 == 0 && span.offset <= policy->size &&
	       span.count <= (policy->size - span.offset) / entry;
}

static bool text_fits(const struct policy *policy, struct policy_text text)
{
	uint32_t room = policy->header->strings.count;

	return text.offset < room && text.length < room - text.offset &&
	       policy->strings[text.offset + text.length] == '\0' &&
	       !memchr(policy->strings + text.offset, '\0', text.length);
}

static bool index_fits(uint32_t index, struct policy_span span)
{
	return index == POLICY_NONE || index < span.count;
}

/* Lists run towards smaller indices, so they end. */
static bool list_fits(uint32_t next, uint32_t here)
{
	return next == POLICY_NONE || next < here;
}

static bool verdict_fits(uint32_t verdict)
{
	return verdict == POLICY_ALLOW || verdict == POLICY_DENY;
}

static bool mode_fits(uint32_t mode)
{
	return mode == POLICY_MODE_ENFORCE || mode == POLICY_MODE_OBSERVE;
}

static bool inspect_fits(const uint8_t *actions)
{
	for (int i = 0; i < POLICY_INSPECT_ROOM; i++)
		if (actions[i] > POLICY_INSPECT_DENY)
			return false;
	return true;
}

static bool find_tables(struct policy *policy)
{
	const struct policy_header *h = (const void *)policy->base;

	policy->header = h;
	if (policy->size < sizeof(*h) || h->magic != POLICY_IMAGE_MAGIC ||
	    h->version != POLICY_IMAGE_VERSION ||
	    h->size_bytes != policy->size || !mode_fits(h->mode))
		return false;

#define TABLE(name)                                                            \
	if (!span_fits(policy, h->name, sizeof(*policy->name)))                \
		return false;                                                  \
	policy->name = (const void *)(policy->base + h->name.offset)
	TABLE(uids);
	TABLE(accounts);
	TABLE(nodes);
	TABLE(edges);
	TABLE(globs);
	TABLE(rules);
	TABLE(inodes);
	TABLE(digests);
	TABLE(nets);
	TABLE(reaches);
	TABLE(resolvers);
	TABLE(tools);
	TABLE(conditions);
	TABLE(strings);
	TABLE(watch);
#undef TABLE
	return h->edges.count && !(h->edges.count & (h->edges.count - 1)) &&
	       h->nets.count && !(h->nets.count & (h->nets.count - 1)) &&
	       text_fits(policy, h->general.database) &&
	       text_fits(policy, h->general.user);
}

static bool accounts_fit(const struct policy *policy)
{
	const struct policy_header *h = policy->header;

	for (uint32_t i = 0; i < h->uids.count; i++) {
		const struct policy_uid_range *range = &policy->uids[i];

		if (range->account >= h->accounts.count ||
		    range->last < range->first ||
		    (i && range->first <= range[-1].last))
			return false;
	}
	for (uint32_t i = 0; i < h->accounts.count; i++) {
		const struct policy_account *account = &policy->accounts[i];

		if (!text_fits(policy, account->name) ||
		    !mode_fits(account->mode) ||
		    account->files >= h->nodes.count ||
		    account->programs >= h->nodes.count ||
		    !verdict_fits(account->files_default) ||
		    !verdict_fits(account->programs_default) ||
		    !verdict_fits(account->network_default) ||
		    account->inbound < POLICY_INBOUND_DENY ||
		    account->inbound > POLICY_INBOUND_ANY ||
		    !text_fits(policy, account->home) ||
		    !index_fits(account->tools, h->tools) ||
		    !verdict_fits(account->tools_default) ||
		    !inspect_fits(account->inspect_calls) ||
		    !inspect_fits(account->inspect_results))
			return false;
	}
	for (uint32_t i = 0; i < h->watch.count; i++)
		if (!text_fits(policy, policy->watch[i]))
			return false;
	return true;
}

static bool trie_fits(const struct policy *policy)
{
	const struct policy_header *h = policy->header;
	bool empty_slot = false;

	for (uint32_t i = 0; i < h->nodes.count; i++) {
		const struct policy_node *node = &policy->nodes[i];

		if (!index_fits(node->rules, h->rules) ||
		    !index_fits(node->globs, h->globs) ||
		    !index_fits(node->any_depth, h->nodes))
			return false;
		/*
		 * Behind a `**` there is no other: decide.c takes one such step
		 * at a time.
		 */
		if (node->any_depth != POLICY_NONE &&
		    policy->nodes[node->any_depth].any_depth != POLICY_NONE)
			return false;
	}
	for (uint32_t i = 0; i < h->edges.count; i++) {
		const struct policy_edge *edge = &policy->edges[i];

		if (edge->kind == POLICY_EDGE_NONE) {
			empty_slot = true;
			continue;
		}
		if (edge->kind > POLICY_EDGE_DOMAIN ||
		    edge->to >= (edge->kind < POLICY_EDGE_HOST
					 ? h->nodes.count
					 : h->reaches.count) ||
		    !text_fits(policy, edge->text))
			return false;
	}
	for (uint32_t i = 0; i < h->globs.count; i++)
		if (!text_fits(policy, policy->globs[i].pattern) ||
		    policy->globs[i].to >= h->nodes.count ||
		    !list_fits(policy->globs[i].next, i))
			return false;
	return empty_slot; /* so that every search of the table ends */
}

static bool rules_fit(const struct policy *policy)
{
	const struct policy_header *h = policy->header;

	for (uint32_t i = 0; i < h->rules.count; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		if (!text_fits(policy, rule->name) ||
		    !text_fits(policy, rule->origin) ||
		    !text_fits(policy, rule->reason) ||
		    !list_fits(rule->next, i) ||
		    !index_fits(rule->digest, h->digests) ||
		    rule->effect < POLICY_EFFECT_DENY ||
		    rule->effect > POLICY_EFFECT_CALL)
			return false;
	}
	for (uint32_t i = 0; i < h->inodes.count; i++)
		if (policy->inodes[i].rule >= h->rules.count)
			return false;
	return true;
}

static bool nets_fit(const struct policy *policy)
{
	const struct policy_header *h = policy->header;
	bool empty_slot = false;

	for (uint32_t i = 0; i < h->nets.count; i++) {
		if (policy->nets[i].reaches == POLICY_NONE)
			empty_slot = true;
		else if (policy->nets[i].reaches >= h->reaches.count)
			return false;
	}
	for (uint32_t i = 0; i < h->reaches.count; i++)
		if (!text_fits(policy, policy->reaches[i].program) ||
		    policy->reaches[i].rule >= h->rules.count ||
		    !list_fits(policy->reaches[i].next, i))
			return false;
	for (uint32_t i = 0; i < h->resolvers.count; i++)
		if (policy->resolvers[i].account >= h->accounts.count)
			return false;
	return empty_slot;
}

static bool tools_fit(const struct policy *policy)
{
	const struct policy_header *h = policy->header;

	for (uint32_t i = 0; i < h->tools.count; i++) {
		const struct policy_tool *tool = &policy->tools[i];

		if (!text_fits(policy, tool->pattern) ||
		    tool->rule >= h->rules.count || !list_fits(tool->next, i) ||
		    tool->conditions > h->conditions.count ||
		    tool->condition_count >
			    h->conditions.count - tool->conditions ||
		    (tool->max && !tool->per_s))
			return false;
	}
	for (uint32_t i = 0; i < h->conditions.count; i++) {
		const struct policy_condition *condition =
			&policy->conditions[i];

		if (!text_fits(policy, condition->field) ||
		    !text_fits(policy, condition->value) ||
		    condition->compare < POLICY_OPERATOR_EQUALS ||
		    condition->compare > POLICY_OPERATOR_GLOB)
			return false;
	}
	return true;
}

static int check(struct policy *policy)
{
	return find_tables(policy) && accounts_fit(policy) &&
			       trie_fits(policy) && rules_fit(policy) &&
			       nets_fit(policy) && tools_fit(policy)
		       ? 0
		       : POLICY_BAD_IMAGE;
}

int policy_view(const void *image, size_t size, struct policy **ret)
{
	CLEANUP(policy_free) struct policy *policy = calloc(1, sizeof(*policy));
	int r;

	if (!policy)
		return -ENOMEM;
	policy->base = image;
	policy->size = size;
	if (size < sizeof(struct policy_header))
		return POLICY_BAD_IMAGE;
	r = check(policy);
	if (r)
		return r;
	*ret = STEAL(policy);
	return 0;
}

int policy_map(int fd, struct policy **ret)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	struct stat st;
	void *memory;
	int seals, r;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return POLICY_BAD_IMAGE;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(struct policy_header))
		return POLICY_BAD_IMAGE;

	policy = calloc(1, sizeof(*policy));
	if (!policy)
		return -ENOMEM;
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	policy->base = memory;
	policy->size = (size_t)st.st_size;
	policy->mapped = true;
	r = check(policy);
	if (r)
		return r;
	*ret = STEAL(policy);
	return 0;
}

struct policy *policy_free(struct policy *policy)
{
	if (policy && policy->mapped)
		munmap((void *)(uintptr_t)policy->base, policy->size);
	free(policy);
	return NULL;
}

uint64_t policy_generation(const struct policy *policy)
{
	return policy->header->generation;
}

enum policy_mode policy_mode_of(const struct policy *policy)
{
	return (enum policy_mode)policy->header->mode;
}

size_t policy_size(const struct policy *policy)
{
	return policy->size;
}

const struct policy_general *policy_general(const struct policy *policy)
{
	return &policy->header->general;
}

const char *policy_text(const struct policy *policy, struct policy_text text)
{
	return policy->strings + text.offset;
}

uint32_t policy_account_count(const struct policy *policy)
{
	return policy->header->accounts.count;
}

const struct policy_account *policy_account(const struct policy *policy,
					    uint32_t account)
{
	return &policy->accounts[account];
}

uint32_t policy_rule_count(const struct policy *policy)
{
	return policy->header->rules.count;
}

const struct policy_rule *policy_rule(const struct policy *policy,
				      uint32_t rule)
{
	return &policy->rules[rule];
}

uint32_t policy_tool_count(const struct policy *policy)
{
	return policy->header->tools.count;
}

const struct policy_tool *policy_tool(const struct policy *policy,
				      uint32_t tool)
{
	return &policy->tools[tool];
}

uint32_t policy_condition_count(const struct policy *policy)
{
	return policy->header->conditions.count;
}

const struct policy_condition *policy_condition(const struct policy *policy,
						uint32_t condition)
{
	return &policy->conditions[condition];
}

uint32_t policy_uid_range_count(const struct policy *policy)
{
	return policy->header->uids.count;
}

const struct policy_uid_range *policy_uid_range(const struct policy *policy,
						uint32_t i)
{
	return &policy->uids[i];
}

uint32_t policy_watch_count(const struct policy *policy)
{
	return policy->header->watch.count;
}

const char *policy_watch(const struct policy *policy, uint32_t i)
{
	return policy_text(policy, policy->watch[i]);
}

uint32_t policy_account_of(const struct policy *policy, uint32_t uid)
{
	uint32_t low = 0, high = policy->header->uids.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct policy_uid_range *range = &policy->uids[middle];

		if (uid < range->first)
			high = middle;
		else if (uid > range->last)
			low = middle + 1;
		else
			return range->account;
	}
	return POLICY_NONE;
}

uint32_t policy_account_meant(const struct policy *policy, const char *name,
			      char *problem, size_t size)
{
	uint32_t count = policy->header->accounts.count;
	char known[512] = "";

	if (!name && count == 1)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		const char *own = policy_text(policy, policy->accounts[i].name);
		size_t length = strlen(known);

		if (name && !strcmp(name, own))
			return i;
		snprintf(known + length, sizeof(known) - length, "%s%s",
			 i ? ", " : "", own);
	}
	if (!count)
		snprintf(problem, size, "no account is leashed");
	else
		snprintf(problem, size,
			 name ? "\"%s\" is not leashed; these are: %s"
			      : "%sthere are several; name one by "
				"--account: %s",
			 name ? name : "", known);
	return POLICY_NONE;
}

bool policy_rule_counts(const struct policy *policy, uint32_t rule,
			int64_t now_s, const struct policy_passed *passed)
{
	int64_t until_s = policy->rules[rule].until_s;

	if (until_s && until_s <= now_s)
		return false;
	for (uint32_t i = 0; passed && i < passed->count; i++)
		if (passed->rules[i] == rule)
			return false;
	return true;
}

bool policy_is_observed(const struct policy *policy, uint32_t account)
{
	return policy->header->mode == POLICY_MODE_OBSERVE ||
	       policy->accounts[account].mode == POLICY_MODE_OBSERVE;
}

uint64_t policy_edge_hash(uint64_t seed, uint32_t from,
			  enum policy_edge_kind kind, const char *bytes,
			  size_t length)
{
	return hash_bytes(hash_seed(seed, from, kind), bytes, length);
}

const struct policy_edge *policy_edge_find(const struct policy *policy,
					   uint32_t from,
					   enum policy_edge_kind kind,
					   const char *bytes, size_t length)
{
	uint64_t hash = policy_edge_hash(policy->header->hash_seed, from, kind,
					 bytes, length);
	uint32_t mask = policy->header->edges.count - 1;

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		const struct policy_edge *edge = &policy->edges[i];

		if (edge->kind == POLICY_EDGE_NONE)
			return NULL;
		if (edge->tag == (uint32_t)(hash >> 32) && edge->from == from &&
		    edge->kind == kind && edge->text.length == length &&
		    !memcmp(policy_text(policy, edge->text), bytes, length))
			return edge;
	}
}

bool policy_is_resolver(const struct policy *policy, uint32_t account,
			const struct policy_address *address)
{
	for (uint32_t i = 0; i < policy->header->resolvers.count; i++)
		if (policy->resolvers[i].account == account &&
		    !memcmp(&policy->resolvers[i].address, address,
			    sizeof(*address)))
			return true;
	return false;
}

struct policy_address
policy_address_prefix(const struct policy_address *address, uint32_t length)
{
	struct policy_address prefix = {{0}};

	if (length > 128)
		length = 128;
	memcpy(prefix.bytes, address->bytes, (length + 7) / 8);
	if (length % 8)
		prefix.bytes[length / 8] &= (uint8_t)(0xff00 >> length % 8);
	return prefix;
}

uint64_t policy_net_hash(uint64_t seed, uint32_t account,
			 const struct policy_address *prefix, uint32_t length)
{
	return hash_bytes(hash_seed(seed, account, length), prefix->bytes,
			  sizeof(prefix->bytes));
}
