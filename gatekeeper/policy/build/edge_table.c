#include "gatekeeper/policy/build/edge_table.h"

#include <errno.h>

#define SLOTS_FIRST 64

int edge_table_init(struct edge_table *edges, struct texts *texts,
		    uint64_t seed)
{
	edges->texts = texts;
	edges->seed = seed;
	return array_zeroed(&edges->slots, SLOTS_FIRST,
			    sizeof(struct policy_edge));
}

void edge_table_done(struct edge_table *edges)
{
	free(edges->slots.entries);
}

/* The slot of an edge, or the empty one where it belongs. */
static struct policy_edge *edge_slot(const struct edge_table *edges,
				     const struct policy_edge *key,
				     uint64_t hash)
{
	uint32_t mask = edges->slots.count - 1;

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		struct policy_edge *edge =
			ARRAY_AT(edges->slots, struct policy_edge, i);

		/* Texts are interned: the same text, the same place. */
		if (edge->kind == POLICY_EDGE_NONE ||
		    (edge->from == key->from && edge->kind == key->kind &&
		     edge->text.offset == key->text.offset &&
		     edge->text.length == key->text.length))
			return edge;
	}
}

static uint64_t edge_hash(const struct edge_table *edges,
			  const struct policy_edge *edge)
{
	return policy_edge_hash(edges->seed, edge->from, edge->kind,
				(char *)edges->texts->bytes.entries +
					edge->text.offset,
				edge->text.length);
}

static int edges_grow(struct edge_table *edges)
{
	struct array old = edges->slots;

	if (edges->used < old.count / 2)
		return 0;
	if (array_zeroed(&edges->slots, old.count * 2,
			 sizeof(struct policy_edge))) {
		edges->slots = old;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < old.count; i++) {
		struct policy_edge *edge = ARRAY_AT(old, struct policy_edge, i);

		if (edge->kind != POLICY_EDGE_NONE)
			*edge_slot(edges, edge, edge_hash(edges, edge)) = *edge;
	}
	free(old.entries);
	return 0;
}

int edge_table_make(struct edge_table *edges, uint32_t from,
		    enum policy_edge_kind kind, const char *bytes,
		    size_t length, struct policy_edge **ret)
{
	struct policy_edge key = {
		.from = from,
		.to = POLICY_NONE,
		.kind = kind,
	};
	struct policy_edge *slot;
	uint64_t hash;

	if (texts_add(edges->texts, bytes, length, &key.text) ||
	    edges_grow(edges))
		return -ENOMEM;
	hash = edge_hash(edges, &key);
	slot = edge_slot(edges, &key, hash);
	if (slot->kind == POLICY_EDGE_NONE) {
		key.tag = (uint32_t)(hash >> 32);
		*slot = key;
		edges->used++;
	}
	*ret = slot;
	return 0;
}
