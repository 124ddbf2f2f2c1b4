#pragma once

/*
 * build - compile rules into a policy image
 *
 * Whoever reads a configuration adds accounts and rules here, in any order,
 * and at the end gets the image in a sealed memfd.  Paths must be absolute
 * and resolved by the caller; a text with *, ? or [ is a pattern.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

struct policy_builder;

enum policy_class {
	POLICY_CLASS_FILES,
	POLICY_CLASS_PROGRAMS,
};

struct policy_rule_spec {
	uint32_t account;
	enum policy_class class;
	enum policy_effect effect;
	const char *path;   /* borrowed, as are all texts here */
	const char *origin; /* FILE:LINE */
	const char *name;   /* NULL: the origin */
	const char *reason; /* NULL: none */
	int64_t until_s;
	bool observe;
	bool quiet;
	const struct policy_digest *digest; /* NULL: any content */
	const struct policy_inode *inode;   /* a single file denied; NULL */
};

struct policy_settings {
	enum policy_mode mode;
	const char *database;
	const char *user;
	uint32_t user_uid;
	uint32_t user_gid;
	uint32_t keep_days;
	uint32_t max_mb;
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

MUST_CHECK int policy_builder_watch(struct policy_builder *builder,
				    const char *path);
MUST_CHECK int policy_builder_settings(struct policy_builder *builder,
				       const struct policy_settings *settings);

/* Write the image of this generation; the descriptor is the caller's. */
MUST_CHECK int policy_builder_finish(struct policy_builder *builder,
				     uint64_t generation, int *ret_fd);
