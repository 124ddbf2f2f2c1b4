#pragma once

/*
 * image - the compiled policy, and what everybody may ask of it
 *
 * gatekeeper compiles leash.conf into an image, one flat piece of memory
 * without pointers, in a sealed memfd, and hands the same one to every gate.
 * policy_map() checks all of it, once: afterwards every index in it is within
 * its table, every list ends, every text is NUL-terminated, and nothing need
 * be checked again.  How it is laid out is known to policy/ alone
 * (image_format.h); what it means, say decide.h and its siblings.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/vocabulary.h"

struct policy_text {
	uint32_t offset; /* bytes from the start of the strings */
	uint32_t length; /* without the NUL that follows */
};

/* What is said once, for all accounts. */
struct policy_general {
	struct policy_text database;
	struct policy_text user; /* whom the helpers run as */
	uint32_t user_uid;
	uint32_t user_gid;
	uint32_t keep_days;
	uint32_t max_mb;
	/* How long a name that was looked up stands for its address. */
	uint32_t names_floor_s; /* at least */
	uint32_t names_grace_s; /* longer than the answer says */
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

uint64_t policy_generation(const struct policy *policy);
enum policy_mode policy_mode_of(const struct policy *policy);
size_t policy_size(const struct policy *policy); /* bytes */
const struct policy_general *policy_general(const struct policy *policy);
const char *policy_text(const struct policy *policy, struct policy_text text);

/* Tables: how many there are, and one of them, from 0 on. */
uint32_t policy_account_count(const struct policy *policy);
const struct policy_account *policy_account(const struct policy *policy,
					    uint32_t account);
uint32_t policy_rule_count(const struct policy *policy);
const struct policy_rule *policy_rule(const struct policy *policy,
				      uint32_t rule);
uint32_t policy_tool_count(const struct policy *policy);
const struct policy_tool *policy_tool(const struct policy *policy,
				      uint32_t tool);
uint32_t policy_condition_count(const struct policy *policy);
const struct policy_condition *policy_condition(const struct policy *policy,
						uint32_t condition);

/* Sorted by uid. */
uint32_t policy_uid_range_count(const struct policy *policy);
const struct policy_uid_range *policy_uid_range(const struct policy *policy,
						uint32_t i);

/* Paths to watch; none: all. */
uint32_t policy_watch_count(const struct policy *policy);
const char *policy_watch(const struct policy *policy, uint32_t i);

/* The account that uid belongs to, or POLICY_NONE. */
uint32_t policy_account_of(const struct policy *policy, uint32_t uid);

/*
 * The account that is meant by name, or by NULL where there is only one.
 * POLICY_NONE, with a sentence in problem: none is, or several are.
 */
uint32_t policy_account_meant(const struct policy *policy, const char *name,
			      char *problem, size_t size);

/*
 * Rules that do not count, as if they had ended: who asks again without the one
 * that decided learns which would have.
 */
#define POLICY_PASSED_MAX 8

struct policy_passed {
	uint32_t rules[POLICY_PASSED_MAX];
	uint32_t count;
};

/* Whether a rule counts: it has not ended, and is not passed over. */
bool policy_rule_counts(const struct policy *policy, uint32_t rule,
			int64_t now_s, const struct policy_passed *passed);

/* Whether nothing is refused to the account, only written down. */
bool policy_is_observed(const struct policy *policy, uint32_t account);

/* May the account ask that resolver? */
bool policy_is_resolver(const struct policy *policy, uint32_t account,
			const struct policy_address *address);

/* Address with only its first length bits kept. */
struct policy_address
policy_address_prefix(const struct policy_address *address, uint32_t length);
