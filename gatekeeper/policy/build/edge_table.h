#pragma once

/*
 * edge_table - the hash table of edges while an image grows
 */

#include <stddef.h>

#include "gatekeeper/base/array.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/build/texts.h"
#include "gatekeeper/policy/image_format.h"

struct edge_table {
	struct array slots;  /* struct policy_edge, open addressing */
	struct texts *texts; /* borrowed; where their texts are */
	uint32_t used;
	uint64_t seed;
};

MUST_CHECK int edge_table_init(struct edge_table *edges, struct texts *texts,
			       uint64_t seed);
void edge_table_done(struct edge_table *edges);

/*
 * The edge of that kind and text, valid until the next call; made if it was
 * not there, and then leading to POLICY_NONE.
 */
MUST_CHECK int edge_table_make(struct edge_table *edges, uint32_t from,
			       enum policy_edge_kind kind, const char *bytes,
			       size_t length, struct policy_edge **ret);
