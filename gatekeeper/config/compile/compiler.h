#pragma once

/*
 * compiler - what is known while a configuration is compiled
 *
 * The files that were read, who is leashed, the links that rules lead through,
 * and the builder that all of it goes into; and how a mistake is reported.
 */

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/config/compile/config_source.h"
#include "gatekeeper/config/compile/report.h"
#include "gatekeeper/policy/build/build.h"
#include "gatekeeper/system/resolve.h"

struct config_file {
	config_t config;
	char *path; /* owned */
};

struct account_entry {
	const char *name; /* borrowed from its file */
	const config_setting_t *setting;
	uid_t uid;
	char *home; /* owned */
	uint32_t index;
	bool ban; /* programs.mode */
	bool has_programs;
	bool has_resolvers;
	bool seen_in_this_file;
	size_t tool_count;
	uint32_t inspects; /* bits: what it has said itself, no profile */
	gid_t *groups;	   /* owned */
	int group_count;
	int64_t hashing_ns; /* spent on its programs so far */
};

/* Uids that belong to a leashed account. */
struct uid_range {
	uint32_t first;
	uint32_t last;
	uint32_t account;
};

struct rule_link;

struct compiler {
	const struct config_source *source;
	struct report *report;
	struct policy_builder *builder;
	struct resolver resolver;

	struct config_file *files; /* main, drop-ins, then profiles */
	size_t file_count;
	const struct config_file *file; /* the one being read */
	bool in_profile;

	struct account_entry *accounts;
	size_t account_count;
	const config_setting_t *missing; /* an account that is none; or NULL */
	struct uid_range *uids;		 /* owned */
	size_t uid_count;

	struct rule_link *links; /* owned; rules/rule_links.h */
	size_t link_count;

	struct policy_settings settings; /* texts borrowed from files */
	bool has_watch;
};

/* Where setting stands, for a report. */
struct report_place compiler_place(const struct compiler *compiler,
				   const config_setting_t *setting);

__attribute__((format(printf, 3, 4))) void
compiler_error(struct compiler *compiler, const config_setting_t *setting,
	       const char *format, ...);

/* The same for what is no mistake of whoever wrote it. */
__attribute__((format(printf, 3, 4))) void
compiler_note(struct compiler *compiler, const config_setting_t *setting,
	      const char *format, ...);
