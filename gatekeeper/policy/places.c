/*
 * The trie leads from a path to its node.  Here it is walked the other way: for
 * each node the edge that leads to it, so that a path is put together from its
 * end.  Where an edge comes from, and whose a net or a host is, no decision
 * asks; so policy_map() has not checked it, and this does.
 */

#include "gatekeeper/policy/places.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "gatekeeper/policy/image_format.h"

#define PATH_SIZE 4096

struct visit {
	const struct policy *policy;
	policy_place_fn each;
	void *context;
	uint32_t *parents; /* one for each node: its edge, or NONE */
};

/*
 * The path that leads to node by names alone, written to the end of buffer;
 * *root is where it starts.  NULL: a pattern leads there.
 */
static char *path_to(const struct visit *visit, uint32_t node,
		     char buffer[static PATH_SIZE], uint32_t *root)
{
	const struct policy *policy = visit->policy;
	char *start = buffer + PATH_SIZE - 1;

	*start = '\0';
	while (visit->parents[node] != POLICY_NONE) {
		const struct policy_edge *edge =
			&policy->edges[visit->parents[node]];

		if (start - buffer <= (ptrdiff_t)edge->text.length ||
		    edge->from >= policy->header->nodes.count)
			return NULL;
		start -= edge->text.length;
		memcpy(start, policy_text(policy, edge->text),
		       edge->text.length);
		*--start = '/';
		node = edge->from;
	}
	*root = node;
	if (!*start)
		*--start = '/';
	return start;
}

/* All below the node from, which is the account's. */
static void visit_tree(const struct visit *visit, uint32_t account,
		       uint32_t from, enum policy_place_kind kind)
{
	const struct policy *policy = visit->policy;
	char buffer[PATH_SIZE];

	for (uint32_t node = 0; node < policy->header->nodes.count; node++) {
		struct policy_place place = {.kind = kind, .account = account};
		uint32_t root;

		if (policy->nodes[node].rules == POLICY_NONE)
			continue;
		place.text = path_to(visit, node, buffer, &root);
		if (!place.text || root != from)
			continue;
		for (uint32_t i = policy->nodes[node].rules; i != POLICY_NONE;
		     i = policy->rules[i].next) {
			place.rule = i;
			if (!policy->rules[i].is_pattern)
				visit->each(visit->context, &place);
		}
	}
}

static void visit_reaches(const struct visit *visit, uint32_t first,
			  struct policy_place *place)
{
	if (place->account >= visit->policy->header->accounts.count)
		return;
	for (uint32_t i = first; i != POLICY_NONE;
	     i = visit->policy->reaches[i].next) {
		const struct policy_reach *reach = &visit->policy->reaches[i];

		place->rule = reach->rule;
		place->program = policy_text(visit->policy, reach->program);
		place->protocols = reach->protocols;
		place->port_first = reach->port_first;
		place->port_last = reach->port_last;
		visit->each(visit->context, place);
	}
}

static void visit_net(const struct visit *visit, const struct policy_net *net)
{
	struct policy_place place = {
		.kind = POLICY_PLACE_NET,
		.account = net->account,
		.first = net->address,
		.last = net->address,
	};

	for (uint32_t bit = net->length; bit < 128; bit++)
		place.last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	visit_reaches(visit, net->reaches, &place);
}

static void visit_host(const struct visit *visit,
		       const struct policy_edge *edge)
{
	struct policy_place place = {
		.kind = edge->kind == POLICY_EDGE_HOST ? POLICY_PLACE_HOST
						       : POLICY_PLACE_DOMAIN,
		.account = edge->from,
		.text = policy_text(visit->policy, edge->text),
	};

	visit_reaches(visit, edge->to, &place);
}

static void visit_all(const struct visit *visit)
{
	const struct policy *policy = visit->policy;
	const struct policy_header *header = policy->header;

	for (uint32_t i = 0; i < header->accounts.count; i++) {
		visit_tree(visit, i, policy->accounts[i].files,
			   POLICY_PLACE_FILE);
		visit_tree(visit, i, policy->accounts[i].programs,
			   POLICY_PLACE_PROGRAM);
	}
	for (uint32_t i = 0; i < header->nets.count; i++)
		if (policy->nets[i].reaches != POLICY_NONE)
			visit_net(visit, &policy->nets[i]);
	for (uint32_t i = 0; i < header->edges.count; i++)
		if (policy->edges[i].kind == POLICY_EDGE_HOST ||
		    policy->edges[i].kind == POLICY_EDGE_DOMAIN)
			visit_host(visit, &policy->edges[i]);
}

int policy_places(const struct policy *policy, policy_place_fn each,
		  void *context)
{
	const struct policy_header *header = policy->header;
	CLEANUP_FREE uint32_t *parents =
		malloc((header->nodes.count + 1) * sizeof(*parents));
	const struct visit visit = {policy, each, context, parents};

	if (!parents)
		return -ENOMEM;
	for (uint32_t i = 0; i < header->nodes.count; i++)
		parents[i] = POLICY_NONE;
	for (uint32_t i = 0; i < header->edges.count; i++)
		if (policy->edges[i].kind == POLICY_EDGE_NAME)
			parents[policy->edges[i].to] = i;
	visit_all(&visit);
	return 0;
}
