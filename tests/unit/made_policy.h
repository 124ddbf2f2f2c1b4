#pragma once

/* made_policy - policies that tests make up; a mistake in one fails the test */

#include "gatekeeper/policy/build/build.h"

#define MADE_POLICY_UID 1000 /* puppy's; also 2000 to 2009 are */

struct made_policy {
	struct policy_builder *builder;
	struct policy *policy; /* once made; to be freed by the test */
	uint32_t puppy;
};

/* One account, to which all is denied. */
void made_policy_begin(struct made_policy *made);

/* Another account of uid, to which all is denied. */
uint32_t made_policy_account(struct made_policy *made, const char *name,
			     uint32_t uid);

/* Rules of puppy's for paths; quiet ones are not logged. */
void made_policy_file(struct made_policy *made, enum policy_effect effect,
		      const char *path);
void made_policy_quiet_file(struct made_policy *made, uint32_t account,
			    enum policy_effect effect, const char *path);
void made_policy_program(struct made_policy *made, enum policy_effect effect,
			 const char *path);

/* Rules of puppy's for any port, of an IPv4 address or of a host. */
void made_policy_net(struct made_policy *made, enum policy_effect effect,
		     const char *address, const char *program);
void made_policy_host(struct made_policy *made, enum policy_effect effect,
		      const char *host);

struct policy_address made_policy_address(const char *ipv4);

/* A policy of this generation, that enforces. */
void made_policy_end(struct made_policy *made, uint64_t generation);

/* The same, as the descriptor that is sent to a gate. */
int made_policy_end_fd(struct made_policy *made, uint64_t generation);
