#pragma once

/*
 * image - the compiled policy: one flat piece of memory without pointers
 *
 * gatekeeper compiles leash.conf into an image in a sealed memfd and hands the
 * same one to every gate.  policy_map() checks all of it, once: afterwards
 * every index in it is within its table, every list ends, every text is
 * NUL-terminated, and nothing need be checked again.
 *
 * Layout: this header, then the tables it points to, each 8-byte aligned.
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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/vocabulary.h"

#define POLICY_IMAGE_MAGIC   UINT64_C(0x6c656173682d7031) /* leash-p1 */
#define POLICY_IMAGE_VERSION 4

struct policy_span {
	uint32_t offset; /* bytes from the start of the image */
	uint32_t count;	 /* entries */
};

struct policy_text {
	uint32_t offset; /* bytes from the start of the strings */
	uint32_t length; /* without the NUL that follows */
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
	struct policy_text database;
	struct policy_text user; /* whom the helpers run as */
	uint32_t user_uid;
	uint32_t user_gid;
	uint32_t keep_days;
	uint32_t max_mb;
	/* How long a name looked up stands for its address; at least, and */
	/* beyond what the answer says. */
	uint32_t names_floor_s;
	uint32_t names_grace_s;
	/* How much an account may say by the names that it asks for. */
	uint32_t names_label_max;  /* bytes below what a rule names */
	uint32_t names_per_minute; /* different ones below one rule's name */
	uint32_t follows_system;   /* some resolvers are resolv.conf's */
	uint32_t zero;
};

struct policy_uid_range {
	uint32_t first;
	uint32_t last;
	uint32_t account;
	uint32_t zero;
};

struct policy_account {
	struct policy_text name;
	uint32_t uid;
	uint32_t mode;		/* enum policy_mode */
	uint32_t files;		/* node */
	uint32_t programs;	/* node */
	uint32_t files_default; /* enum policy_verdict: ALLOW or DENY */
	uint32_t programs_default;
	uint32_t network_default;
	uint32_t inbound;	 /* enum policy_inbound */
	uint64_t net_lengths[3]; /* bit n: it has nets of n bits */
	struct policy_text home;
	uint32_t tools; /* first of its list, or POLICY_NONE */
	uint32_t tools_default;
	/* enum policy_inspect, of what is called and of what comes of it */
	uint8_t inspect_calls[POLICY_INSPECT_ROOM];
	uint8_t inspect_results[POLICY_INSPECT_ROOM];
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

struct policy_rule {
	struct policy_text name;   /* given, or FILE:LINE */
	struct policy_text origin; /* FILE:LINE */
	struct policy_text reason; /* the administrator's words, or empty */
	int64_t until_s;	   /* realtime; 0: for good */
	uint32_t next;		   /* a smaller index, or POLICY_NONE */
	uint32_t digest;	   /* or POLICY_NONE */
	uint8_t effect;		   /* enum policy_effect */
	uint8_t is_pattern;
	uint8_t observe; /* its denials are only noted */
	uint8_t quiet;	 /* what it allows is not logged */
	uint32_t zero;
};

struct policy_inode {
	uint64_t device;
	uint64_t inode;
	uint32_t account;
	uint32_t rule;
};

struct policy_digest {
	uint64_t device;
	uint64_t inode;
	uint64_t size;
	int64_t changed_ns; /* ctime: only root can set it back */
};

/* IPv4 is ::ffff:a.b.c.d, and its prefixes are 96 bits longer. */
struct policy_address {
	uint8_t bytes[16];
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

struct policy_tool {
	struct policy_text pattern; /* of the whole name */
	uint32_t rule;
	uint32_t next;	     /* a smaller index, or POLICY_NONE */
	uint32_t conditions; /* the first, if it has any */
	uint32_t condition_count;
	uint32_t max; /* calls in per_s; 0: no limit */
	uint32_t per_s;
	uint32_t by_name_only; /* files, hosts, programs do not matter */
	uint32_t zero;
};

struct policy_condition {
	struct policy_text field; /* `a.b.0`; `*` is each */
	struct policy_text value;
	uint32_t compare; /* enum policy_operator */
	uint8_t negated;  /* of all its alternatives together */
	uint8_t case_sensitive;
	uint8_t or_next; /* the next one is an alternative to it */
	uint8_t zero;
};

struct policy;

/* Expected outcome of policy_map(). */
enum {
	POLICY_BAD_IMAGE = 1, /* not an image, or one that lies */
};

/*
 * Map the image in fd, which must be a memfd sealed against every change,
 * and check it.  fd stays the caller's.
 */
MUST_CHECK int policy_map(int fd, struct policy **ret);
struct policy *policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_free)

/* Check an image in plain memory, borrowed.  For tests and fuzzing. */
MUST_CHECK int policy_view(const void *image, size_t size, struct policy **ret);

const struct policy_header *policy_header(const struct policy *policy);
const char *policy_text(const struct policy *policy, struct policy_text text);
const struct policy_account *policy_account(const struct policy *policy,
					    uint32_t account);
const struct policy_rule *policy_rule(const struct policy *policy,
				      uint32_t rule);

/* The i-th path to watch; header->watch.count of them, none: all. */
const char *policy_watch(const struct policy *policy, uint32_t i);

/* The account that uid belongs to, or POLICY_NONE. */
uint32_t policy_account_of(const struct policy *policy, uint32_t uid);

/* Whether nothing is refused to the account, only written down. */
bool policy_is_observed(const struct policy *policy, uint32_t account);

/* The hash of an edge's key; builder and reader must agree on it. */
uint64_t policy_edge_hash(uint64_t seed, uint32_t from, uint32_t kind,
			  const char *bytes, size_t length);

/* That edge, or NULL. */
const struct policy_edge *policy_edge_find(const struct policy *policy,
					   uint32_t from,
					   enum policy_edge_kind kind,
					   const char *bytes, size_t length);

/* May the account ask that resolver? */
bool policy_is_resolver(const struct policy *policy, uint32_t account,
			const struct policy_address *address);

/* Address with only its first length bits kept. */
struct policy_address
policy_address_prefix(const struct policy_address *address, uint32_t length);
uint64_t policy_net_hash(uint64_t seed, uint32_t account,
			 const struct policy_address *prefix, uint32_t length);

/* The tables, for policy/decide.c and decide_flow.c. */
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
