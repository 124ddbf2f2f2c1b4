#pragma once

/*
 * build - compile rules into a policy image
 *
 * Whoever reads a configuration adds accounts and rules here, in any order,
 * and at the end gets the image in a sealed memfd.  Paths must be absolute
 * and resolved by the caller; a text with *, ? or [ is a pattern.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/build/rule_meta.h"
#include "gatekeeper/policy/image.h"

struct policy_builder;

enum policy_class {
	POLICY_CLASS_FILES,
	POLICY_CLASS_PROGRAMS,
	POLICY_CLASS_NETWORK,
	POLICY_CLASS_TOOLS,
};

struct policy_rule_spec {
	uint32_t account;
	enum policy_class class;
	enum policy_effect effect;
	const char *path;
	struct policy_rule_meta meta;
	const struct policy_digest *digest; /* NULL: any content */
	const struct policy_inode *inode;   /* a single file denied; NULL */
};

struct policy_net_spec {
	uint32_t account;
	enum policy_effect effect; /* DENY or REACH */
	const char *host; /* as of host_name_read(); NULL: by address */
	bool below;	  /* the names below host, and not host itself */
	struct policy_address address;
	uint32_t length;     /* of the prefix, in bits, of 128 */
	uint32_t protocols;  /* enum policy_protocol, any of them */
	uint16_t port_first; /* 0 to 65535: any port, or none */
	uint16_t port_last;
	const char *program; /* NULL: any */
	struct policy_rule_meta meta;
};

struct policy_settings {
	enum policy_mode mode;
	const char *database;
	const char *user;
	uint32_t user_uid;
	uint32_t user_gid;
	uint32_t keep_days;
	uint32_t max_mb;
	uint32_t names_floor_s;
	uint32_t names_grace_s;
	uint32_t names_label_max;
	uint32_t names_per_minute;
	bool follows_system; /* resolvers are those of resolv.conf */
};

/* Expected outcomes. */
enum {
	POLICY_BUILD_CONFLICT = 1, /* the same path, allowed and denied */
	POLICY_BUILD_UID_TAKEN,	   /* the uid belongs to another account */
};

MUST_CHECK int policy_builder_new(struct policy_builder **ret);
struct policy_builder *policy_builder_free(struct policy_builder *builder);
DEFINE_CLEANUP(struct policy_builder *, policy_builder_free)

/* Add an account whose defaults are to deny; yields its number. */
MUST_CHECK int policy_builder_account(struct policy_builder *builder,
				      const char *name, uint32_t uid,
				      uint32_t *ret);
MUST_CHECK int policy_builder_home(struct policy_builder *builder,
				   uint32_t account, const char *home);
void policy_builder_account_mode(struct policy_builder *builder,
				 uint32_t account, enum policy_mode mode);
void policy_builder_account_default(struct policy_builder *builder,
				    uint32_t account, enum policy_class class,
				    enum policy_verdict verdict);

/* Give uids first..last to account.  0 or POLICY_BUILD_UID_TAKEN. */
MUST_CHECK int policy_builder_uids(struct policy_builder *builder,
				   uint32_t account, uint32_t first,
				   uint32_t last);

/*
 * Add a rule.  On POLICY_BUILD_CONFLICT, *ret_origin is where the other one
 * stands, valid until the next call.
 */
MUST_CHECK int policy_builder_rule(struct policy_builder *builder,
				   const struct policy_rule_spec *spec,
				   const char **ret_origin);

/*
 * Add a network rule.  One rule with several ranges of ports is added once for
 * each, *rule POLICY_NONE at first and then passed back.
 */
MUST_CHECK int policy_builder_net(struct policy_builder *builder,
				  const struct policy_net_spec *spec,
				  uint32_t *rule);
void policy_builder_inbound(struct policy_builder *builder, uint32_t account,
			    enum policy_inbound inbound);

MUST_CHECK int policy_builder_resolver(struct policy_builder *builder,
				       uint32_t account,
				       const struct policy_address *address);

MUST_CHECK int policy_builder_watch(struct policy_builder *builder,
				    const char *path);
MUST_CHECK int policy_builder_settings(struct policy_builder *builder,
				       const struct policy_settings *settings);

/* Write the image of this generation; the descriptor is the caller's. */
MUST_CHECK int policy_builder_finish(struct policy_builder *builder,
				     uint64_t generation, int *ret_fd);
