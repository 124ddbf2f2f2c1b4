#pragma once

/*
 * image_format - how an image lies in memory
 *
 * For policy/ and policy/build/ alone; what everybody may ask is in image.h.
 *
 * Layout: the header, then the tables it points to, each 8-byte aligned.
 *
 *   uids      sorted ranges of uids that belong to an account
 *   accounts  name, defaults, and the roots of its two tries
 *   nodes     a trie over path components, for all accounts together
 *   edges     one open-addressed hash table: (node, kind, bytes) -> node, and
 *             (account, kind, name of a host) -> reaches
 *   globs     component patterns that no hash can find, listed by node
 *   rules     what is allowed or denied, listed by node
 *   inodes    sorted (device, inode, account) of single files denied
 *   digests   what a program allowed by content looked like when hashed
 *   nets      one open-addressed hash table: (account, prefix) -> reaches
 *   reaches   ports, protocols and program of a network rule, listed by net
 *             or name
 *   resolvers whom accounts may ask for names
 *   tools     patterns of tools' names, listed by account
 *   conditions on a call's arguments, of one tool one behind the other
 *   strings   all text
 */

#include "gatekeeper/policy/image.h"

#define POLICY_IMAGE_MAGIC   UINT64_C(0x6c656173682d7031) /* leash-p1 */
#define POLICY_IMAGE_VERSION 4

struct policy_span {
	uint32_t offset; /* bytes from the start of the image */
	uint32_t count;	 /* entries */
};

struct policy_header {
	uint64_t magic;
	uint32_t version;
	uint32_t mode; /* enum policy_mode */
	uint64_t size_bytes;
	uint64_t generation;
	uint64_t hash_seed;
	struct policy_span uids;
	struct policy_span accounts;
	struct policy_span nodes;
	struct policy_span edges; /* a power of two */
	struct policy_span globs;
	struct policy_span rules;
	struct policy_span inodes;
	struct policy_span digests;
	struct policy_span nets; /* a power of two */
	struct policy_span reaches;
	struct policy_span resolvers;
	struct policy_span tools;
	struct policy_span conditions;
	struct policy_span strings;
	struct policy_span watch; /* policy_text: mount points */
	struct policy_general general;
};

struct policy_node {
	uint32_t rules;	    /* first rule here, or POLICY_NONE */
	uint32_t globs;	    /* first glob edge from here, or POLICY_NONE */
	uint32_t any_depth; /* the node of `**` behind this, or POLICY_NONE */
	uint32_t flags;
	uint64_t prefix_lengths; /* bit n: edges for names starting so */
	uint64_t suffix_lengths; /* bit n: edges for names ending so */
};

#define POLICY_NODE_ANY_DEPTH 1u /* this is a `**`: stays for every name */

enum policy_edge_kind {
	POLICY_EDGE_NONE, /* an empty slot */
	POLICY_EDGE_NAME,
	POLICY_EDGE_PREFIX, /* `lib*` */
	POLICY_EDGE_SUFFIX, /* `*.pem` */
	POLICY_EDGE_HOST,   /* a name; leads to reaches, from is an account */
	POLICY_EDGE_DOMAIN, /* `*.` a name; `*` alone is that of "" */
};

#define POLICY_AFFIX_MAX 63 /* longest prefix or suffix found by hash */

struct policy_edge {
	uint32_t from;
	uint32_t to;
	uint32_t kind;
	uint32_t tag; /* of the hash, so that texts are rarely compared */
	struct policy_text text;
};

struct policy_glob {
	struct policy_text pattern;
	uint32_t to;
	uint32_t next; /* a smaller index, or POLICY_NONE */
};

struct policy_net {
	struct policy_address address; /* bits beyond length are zero */
	uint32_t account;
	uint32_t length;
	uint32_t reaches; /* first of its list; POLICY_NONE: an empty slot */
	uint32_t zero;
};

struct policy_reach {
	struct policy_text program; /* path; empty: any */
	uint32_t rule;
	uint32_t next;	    /* a smaller index, or POLICY_NONE */
	uint32_t protocols; /* enum policy_protocol, any of them */
	uint16_t port_first;
	uint16_t port_last;
};

struct policy_resolver {
	struct policy_address address;
	uint32_t account;
	uint32_t zero;
};

struct policy {
	const unsigned char *base;
	size_t size;
	bool mapped;
	const struct policy_header *header;
	const struct policy_uid_range *uids;
	const struct policy_account *accounts;
	const struct policy_node *nodes;
	const struct policy_edge *edges;
	const struct policy_glob *globs;
	const struct policy_rule *rules;
	const struct policy_inode *inodes;
	const struct policy_digest *digests;
	const struct policy_net *nets;
	const struct policy_reach *reaches;
	const struct policy_resolver *resolvers;
	const struct policy_tool *tools;
	const struct policy_condition *conditions;
	const char *strings;
	const struct policy_text *watch;
};

/* The hash of an edge's key; builder and reader must agree on it. */
uint64_t policy_edge_hash(uint64_t seed, uint32_t from,
			  enum policy_edge_kind kind, const char *bytes,
			  size_t length);

/* The edge of that key, or NULL. */
const struct policy_edge *policy_edge_find(const struct policy *policy,
					   uint32_t from,
					   enum policy_edge_kind kind,
					   const char *bytes, size_t length);

uint64_t policy_net_hash(uint64_t seed, uint32_t account,
			 const struct policy_address *prefix, uint32_t length);
