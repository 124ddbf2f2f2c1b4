/*
 * A rule is a text, the path, or a group with a path and more.  Paths are
 * completed (~), checked, resolved and handed to the builder.
 */

#include "gatekeeper/config/rules/rules.h"

#include <stdio.h>
#include <string.h>

#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/config/rules/digest.h"
#include "gatekeeper/config/rules/rule_links.h"
#include "gatekeeper/config/rules/rule_meta.h"
#include "gatekeeper/config/rules/rule_path.h"
#include "gatekeeper/policy/glob.h"

static int read_path(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct rule_entry *entry = context;

	schema_string(compiler, setting, &entry->path);
	return 0;
}

static int read_sha256(struct compiler *compiler,
		       const config_setting_t *setting, void *context)
{
	struct rule_entry *entry = context;

	schema_string(compiler, setting, &entry->sha256);
	return 0;
}

static const struct schema_key rule_keys[] = {
	{"path", read_path},
	RULE_META_KEYS,
	{NULL, NULL},
};

static const struct schema_key hash_keys[] = {
	{"path", read_path},
	{"sha256", read_sha256},
	RULE_META_KEYS,
	{NULL, NULL},
};

static int add_at(struct compiler *compiler, struct rule_entry *entry,
		  const char *path)
{
	struct report_place place = compiler_place(compiler, entry->setting);
	const char *other;
	char origin[4200];
	int r;

	snprintf(origin, sizeof(origin), "%s:%u", place.file, place.line);
	entry->spec.path = path;
	entry->spec.meta = entry->meta;
	entry->spec.meta.origin = origin;
	r = policy_builder_rule(compiler->builder, &entry->spec, &other);
	if (r == POLICY_BUILD_CONFLICT) {
		compiler_error(
			compiler, entry->setting,
			"\"%s\" is %s here and %s at %s; remove one", path,
			entry->spec.effect == POLICY_EFFECT_DENY ? "denied"
								 : "allowed",
			entry->spec.effect == POLICY_EFFECT_DENY ? "allowed"
								 : "denied",
			other);
		return 0;
	}
	return r;
}

/* What is there, if it is a file and so has other names, maybe. */
static bool take_inode(const struct resolved *resolved,
		       struct policy_inode *ret)
{
	if (!resolved->exists || !S_ISREG(resolved->st.st_mode))
		return false;
	*ret = (struct policy_inode){
		.device = resolved->st.st_dev,
		.inode = resolved->st.st_ino,
	};
	return true;
}

static int add_resolved(struct compiler *compiler, struct rule_entry *entry,
			struct account_entry *account, const char *path,
			const struct resolved *resolved)
{
	struct policy_digest digest;
	struct policy_inode inode;
	bool denies = entry->spec.effect == POLICY_EFFECT_DENY;
	int r;

	entry->spec.account = account->index;
	if (resolved->link[0]) {
		r = rule_links_add(compiler, entry, account, path, resolved);
		if (r)
			return r;
	}
	if (entry->wants_sha256) {
		digest = resolved->link[0] ? (struct policy_digest){0}
					   : digest_take(compiler, entry,
							 account, resolved);
		entry->spec.digest = &digest;
	}
	if (denies && take_inode(resolved, &inode))
		entry->spec.inode = &inode;
	r = add_at(compiler, entry, resolved->path);
	if (r)
		return r;
	/* Denied under the name as written, too, should it become a file. */
	if (denies && !glob_is_pattern(entry->path, strlen(entry->path)) &&
	    strcmp(path, resolved->path)) {
		entry->spec.inode = NULL;
		return add_at(compiler, entry, path);
	}
	return 0;
}

static int add_rule(struct compiler *compiler, struct rule_entry *entry,
		    struct account_entry *account)
{
	char path[RESOLVE_PATH_MAX];
	struct resolved resolved;
	int r;

	if (!rule_path_complete(compiler, entry, account, path))
		return 0;
	r = rule_path_resolve(compiler, entry, path, &resolved);
	if (r)
		return r < 0 ? r : 0;
	r = add_resolved(compiler, entry, account, path, &resolved);
	resolved_done(&resolved);
	return r;
}

static bool read_entry(struct compiler *compiler,
		       const config_setting_t *setting,
		       struct rule_entry *entry, int *ret)
{
	int errors = compiler->report->errors;

	entry->setting = setting;
	*ret = 0;
	if (config_setting_type(setting) == CONFIG_TYPE_STRING &&
	    !entry->wants_sha256)
		return schema_string(compiler, setting, &entry->path);
	if (!config_setting_is_group(setting)) {
		compiler_error(
			compiler, setting,
			entry->wants_sha256
				? "each entry must be { path = ...; "
				  "sha256 = ...; }"
				: "each entry must be a path in quotes or "
				  "{ path = ...; ... }");
		return false;
	}
	*ret = schema_read(compiler, setting,
			   entry->wants_sha256 ? hash_keys : rule_keys, entry);
	if (*ret || compiler->report->errors != errors)
		return false;
	if (!entry->path || (entry->wants_sha256 && !entry->sha256)) {
		compiler_error(compiler, setting, "%s is missing",
			       entry->path ? "sha256" : "path");
		return false;
	}
	if (entry->sha256 &&
	    (strlen(entry->sha256) != 64 ||
	     entry->sha256[strspn(entry->sha256, "0123456789abcdefABCDEF")])) {
		compiler_error(compiler, setting,
			       "sha256 must be 64 hexadecimal digits, as "
			       "sha256sum prints them");
		return false;
	}
	return true;
}

static int read_rules(struct compiler *compiler,
		      const config_setting_t *setting,
		      struct account_entry *account,
		      const struct rule_entry *kind)
{
	int count, r = 0;

	if (!schema_list(compiler, setting))
		return 0;
	count = config_setting_length(setting);
	for (int i = 0; !r && i < count; i++) {
		struct rule_entry entry = *kind;

		if (read_entry(
			    compiler,
			    config_setting_get_elem(setting, (unsigned int)i),
			    &entry, &r) &&
		    !r)
			r = add_rule(compiler, &entry, account);
	}
	return r;
}

static int read_files(struct compiler *compiler,
		      const config_setting_t *setting, void *account,
		      enum policy_effect effect)
{
	const struct rule_entry kind = {
		.spec = {.class = POLICY_CLASS_FILES, .effect = effect},
	};

	return read_rules(compiler, setting, account, &kind);
}

static int read_read(struct compiler *compiler, const config_setting_t *setting,
		     void *account)
{
	return read_files(compiler, setting, account, POLICY_EFFECT_READ);
}

static int read_write(struct compiler *compiler,
		      const config_setting_t *setting, void *account)
{
	return read_files(compiler, setting, account, POLICY_EFFECT_WRITE);
}

static int read_deny(struct compiler *compiler, const config_setting_t *setting,
		     void *account)
{
	return read_files(compiler, setting, account, POLICY_EFFECT_DENY);
}

static int read_default(struct compiler *compiler,
			const config_setting_t *setting, void *account)
{
	return schema_default(compiler, setting, account, POLICY_CLASS_FILES);
}

int rules_files(struct compiler *compiler, const config_setting_t *setting,
		void *account)
{
	static const struct schema_key keys[] = {
		{"read", read_read}, {"write", read_write},
		{"deny", read_deny}, {"default", read_default},
		{NULL, NULL},
	};

	return schema_read(compiler, setting, keys, account);
}

static int read_list(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct account_entry *account = context;
	const struct rule_entry kind = {
		.spec =
			{
				.class = POLICY_CLASS_PROGRAMS,
				.effect = account->ban ? POLICY_EFFECT_DENY
						       : POLICY_EFFECT_RUN,
			},
	};

	account->has_programs = true;
	return read_rules(compiler, setting, account, &kind);
}

static int read_hash(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct account_entry *account = context;
	const struct rule_entry kind = {
		.wants_sha256 = true,
		.spec =
			{
				.class = POLICY_CLASS_PROGRAMS,
				.effect = POLICY_EFFECT_RUN,
			},
	};

	if (account->ban) {
		compiler_error(compiler, setting,
			       "allows programs by content, but mode = \"ban\" "
			       "allows all but those listed; use mode = "
			       "\"allow\"");
		return 0;
	}
	account->has_programs = true;
	return read_rules(compiler, setting, account, &kind);
}

int rules_programs(struct compiler *compiler, const config_setting_t *setting,
		   void *account)
{
	/* mode is read before, by accounts.c: it decides what list means. */
	static const struct schema_key keys[] = {
		{"mode", NULL},
		{"list", read_list},
		{"hash", read_hash},
		{NULL, NULL},
	};

	return schema_read(compiler, setting, keys, account);
}
