/*
 * Two passes: first who is leashed, since what a path may lead through
 * depends on it; then the rules.  An account may appear in several files, the
 * main one and drop-ins: its rules add up.
 */

#include "gatekeeper/config/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/compile/config_file.h"
#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/config/rules/network.h"
#include "gatekeeper/config/rules/rules.h"
#include "gatekeeper/config/rules/tools.h"

#define SUBUID_PATH	 "/etc/subuid"
#define SUBUID_MAX_BYTES ((size_t)1 << 20)
#define GROUPS_AT_FIRST	 64

static struct account_entry *find_account(struct compiler *compiler,
					  const char *name)
{
	for (size_t i = 0; i < compiler->account_count; i++)
		if (!strcmp(compiler->accounts[i].name, name))
			return &compiler->accounts[i];
	return NULL;
}

/* `programs.mode` of an account's group: wanted before its list is read. */
static void read_programs_mode(struct compiler *compiler,
			       const config_setting_t *group,
			       struct account_entry *entry)
{
	config_setting_t *programs, *mode;
	const char *word;

	programs = config_setting_get_member(group, "programs");
	if (!programs || !config_setting_is_group(programs))
		return;
	mode = config_setting_get_member(programs, "mode");
	if (!mode || !schema_string(compiler, mode, &word))
		return;
	if (strcmp(word, "allow") && strcmp(word, "ban")) {
		compiler_error(compiler, mode,
			       "is \"%s\"; it must be \"allow\" (only what is "
			       "listed) or \"ban\" (all but what is listed)",
			       word);
		return;
	}
	entry->ban = !strcmp(word, "ban");
	policy_builder_account_default(compiler->builder, entry->index,
				       POLICY_CLASS_PROGRAMS,
				       entry->ban ? POLICY_ALLOW : POLICY_DENY);
}

static int give_uids(struct compiler *compiler, struct account_entry *entry,
		     uint32_t first, uint32_t last)
{
	struct uid_range *grown;
	int r = policy_builder_uids(compiler->builder, entry->index, first,
				    last);

	if (r == POLICY_BUILD_UID_TAKEN) {
		compiler_error(
			compiler, entry->setting,
			"uids %u to %u of \"%s\" (account or " SUBUID_PATH
			") belong to another account here",
			first, last, entry->name);
		return 0;
	}
	if (r)
		return r;
	grown = realloc(compiler->uids,
			(compiler->uid_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	compiler->uids = grown;
	grown[compiler->uid_count++] =
		(struct uid_range){first, last, entry->index};
	return 0;
}

/* What the account becomes inside its own user namespaces is still it. */
static int give_subordinate_uids(struct compiler *compiler,
				 struct account_entry *entry)
{
	CLEANUP(fd_close) int fd = open(SUBUID_PATH, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *text = NULL;
	char *line, *save = NULL;
	size_t length;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = fd_read_all(fd, SUBUID_MAX_BYTES, &text, &length);
	if (r)
		return r;
	for (line = strtok_r(text, "\n", &save); line && !r;
	     line = strtok_r(NULL, "\n", &save)) {
		char owner[256];
		unsigned long first, count;
		char *end;

		if (sscanf(line, "%255[^:]:%lu:%lu", owner, &first, &count) !=
			    3 ||
		    !count || first > UINT32_MAX - 1 ||
		    count > UINT32_MAX - first)
			continue;
		if (strcmp(owner, entry->name) &&
		    (strtoul(owner, &end, 10) != entry->uid || *end))
			continue;
		r = give_uids(compiler, entry, (uint32_t)first,
			      (uint32_t)(first + count - 1));
	}
	return r;
}

/* All that it is a member of, whoever of them may write somewhere. */
static int take_groups(struct account_entry *entry, gid_t own)
{
	int count = GROUPS_AT_FIRST;

	entry->groups = NULL;
	for (int tries = 0; tries < 3; tries++) {
		gid_t *grown =
			realloc(entry->groups, (size_t)count * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		entry->groups = grown;
		entry->group_count = count;
		if (getgrouplist(entry->name, own, entry->groups, &count) >= 0)
			break;
	}
	if (count < entry->group_count)
		entry->group_count = count;
	return 0;
}

/* NULL: reported. */
static const struct passwd *find_user(struct compiler *compiler,
				      const config_setting_t *setting,
				      const char *name)
{
	const struct passwd *passwd;

	errno = 0;
	passwd = getpwnam(name);
	/* Not known is not gone: it would be let off its leash. */
	if (!passwd && errno) {
		compiler_error(compiler, setting,
			       "whether account \"%s\" exists cannot be told: "
			       "%s",
			       name, strerror(errno));
	} else if (!passwd) {
		compiler->missing = setting;
		compiler_note(compiler, setting,
			      "account \"%s\" does not exist on this system, "
			      "so its rules are for nobody; make it (useradd "
			      "%s) and reload, or take them out",
			      name, name);
	} else if (passwd->pw_uid == 0) {
		compiler_error(compiler, setting,
			       "root cannot be leashed; give the agent an "
			       "account of its own");
	}
	return passwd && passwd->pw_uid ? passwd : NULL;
}

static int add_account(struct compiler *compiler,
		       const config_setting_t *setting, const char *name,
		       struct account_entry **ret)
{
	struct account_entry *grown, *entry;
	const struct passwd *passwd = find_user(compiler, setting, name);
	int r;

	if (!passwd)
		return CONFIG_WRONG;
	grown = realloc(compiler->accounts,
			(compiler->account_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	compiler->accounts = grown;
	entry = &grown[compiler->account_count];
	*entry = (struct account_entry){
		.name = name,
		.setting = setting,
		.uid = passwd->pw_uid,
		.home = strdup(passwd->pw_dir),
	};
	if (!entry->home)
		return -ENOMEM;
	compiler->account_count++;
	r = take_groups(entry, passwd->pw_gid);
	if (!r)
		r = policy_builder_account(compiler->builder, name, entry->uid,
					   &entry->index);
	if (!r)
		r = policy_builder_home(compiler->builder, entry->index,
					entry->home);
	if (!r)
		r = give_uids(compiler, entry, entry->uid, entry->uid);
	if (!r)
		r = give_subordinate_uids(compiler, entry);
	*ret = entry;
	return r;
}

static const char *account_name(struct compiler *compiler,
				const config_setting_t *group)
{
	config_setting_t *name_setting;
	const char *name;

	if (!config_setting_is_group(group)) {
		compiler_error(compiler, group,
			       "each entry must be a group { account = ...; "
			       "... }");
		return NULL;
	}
	name_setting = config_setting_get_member(group, "account");
	if (!name_setting) {
		compiler_error(compiler, group,
			       "account is missing: the name of the Unix "
			       "account these rules are for");
		return NULL;
	}
	return schema_string(compiler, name_setting, &name) ? name : NULL;
}

static int collect_one(struct compiler *compiler, const config_setting_t *group)
{
	const char *name = account_name(compiler, group);
	struct account_entry *entry;

	if (!name)
		return 0;
	entry = find_account(compiler, name);
	if (entry && entry->seen_in_this_file) {
		compiler_error(
			compiler, config_setting_get_member(group, "account"),
			"\"%s\" has rules at line %u of this file "
			"already; join them",
			name, config_setting_source_line(entry->setting));
		return 0;
	}
	if (!entry) {
		int r = add_account(compiler,
				    config_setting_get_member(group, "account"),
				    name, &entry);

		if (r)
			return r < 0 ? r : 0;
	}
	entry->seen_in_this_file = true;
	read_programs_mode(compiler, group, entry);
	return 0;
}

int accounts_collect(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	int r = 0;

	(void)context;
	if (!schema_list(compiler, setting))
		return 0;
	for (size_t i = 0; i < compiler->account_count; i++)
		compiler->accounts[i].seen_in_this_file = false;
	for (int i = 0; !r && i < config_setting_length(setting); i++)
		r = collect_one(compiler, config_setting_get_elem(
						  setting, (unsigned int)i));
	return r;
}

/* Profiles allow by list; where all but a list may run, that says nothing. */
static int profile_programs(struct compiler *compiler,
			    const config_setting_t *setting, void *context)
{
	struct account_entry *account = context;
	config_setting_t *mode =
		config_setting_is_group(setting)
			? config_setting_get_member(setting, "mode")
			: NULL;

	if (mode) {
		compiler_error(compiler, mode,
			       "a profile cannot set it; it is the account's");
		return 0;
	}
	return account->ban ? 0 : rules_programs(compiler, setting, context);
}

static int read_profile(struct compiler *compiler,
			const config_setting_t *setting,
			struct account_entry *account)
{
	static const struct schema_key keys[] = {
		{"files", rules_files},
		{"programs", profile_programs},
		{"network", network_rules},
		{"tools", tools_rules},
		{NULL, NULL},
	};
	const struct config_file *before = compiler->file, *file;
	const char *name;
	char path[4200];
	int r;

	if (!schema_string(compiler, setting, &name))
		return 0;
	if (strchr(name, '/') || name[0] == '.') {
		compiler_error(compiler, setting,
			       "\"%s\" is no profile's name; they are the "
			       "files in %s",
			       name, compiler->source->profiles_dir);
		return 0;
	}
	snprintf(path, sizeof(path), "%s/%s", compiler->source->profiles_dir,
		 name);
	if (access(path, F_OK) < 0) {
		compiler_error(compiler, setting,
			       "there is no profile \"%s\"; they are the files "
			       "in %s",
			       name, compiler->source->profiles_dir);
		return 0;
	}
	file = config_file_read(compiler, path);
	if (!file)
		return 0;
	compiler->file = file;
	compiler->in_profile = true;
	r = schema_read(compiler, config_root_setting(&file->config), keys,
			account);
	compiler->in_profile = false;
	compiler->file = before;
	return r;
}

static int read_profiles(struct compiler *compiler,
			 const config_setting_t *setting, void *account)
{
	int r = 0;

	if (!schema_list(compiler, setting))
		return 0;
	for (int i = 0; !r && i < config_setting_length(setting); i++)
		r = read_profile(
			compiler,
			config_setting_get_elem(setting, (unsigned int)i),
			account);
	return r;
}

static int read_account_mode(struct compiler *compiler,
			     const config_setting_t *setting, void *context)
{
	const struct account_entry *account = context;
	enum policy_mode mode;

	if (schema_mode(compiler, setting, &mode))
		policy_builder_account_mode(compiler->builder, account->index,
					    mode);
	return 0;
}

int accounts_compile(struct compiler *compiler, const config_setting_t *setting)
{
	static const struct schema_key keys[] = {
		{"account", NULL},
		{"profiles", read_profiles},
		{"mode", read_account_mode},
		{"files", rules_files},
		{"programs", rules_programs},
		{"network", network_rules},
		{"tools", tools_rules},
		{NULL, NULL},
	};
	int r = 0;

	if (config_setting_type(setting) != CONFIG_TYPE_LIST)
		return 0; /* reported when collected */
	for (int i = 0; !r && i < config_setting_length(setting); i++) {
		const config_setting_t *group =
			config_setting_get_elem(setting, (unsigned int)i);
		struct account_entry *account = NULL;
		const char *name = NULL;

		if (config_setting_is_group(group) &&
		    config_setting_lookup_string(group, "account", &name))
			account = find_account(compiler, name);
		if (account)
			r = schema_read(compiler, group, keys, account);
	}
	return r;
}

int accounts_check(struct compiler *compiler)
{
	/* That some are gone must not hurt the others; here there are none. */
	if (compiler->missing && !compiler->account_count)
		compiler_error(compiler, compiler->missing,
			       "no account that is named exists, so nobody "
			       "would be on a leash; write their names right");
	for (size_t i = 0; i < compiler->account_count; i++) {
		struct account_entry *account = &compiler->accounts[i];
		struct report_place place =
			compiler_place(compiler, account->setting);

		if (account->uid == compiler->settings.user_uid)
			compiler_error(compiler, account->setting,
				       "\"%s\" is whom the helpers run as "
				       "(user); it cannot be leashed",
				       account->name);
		if (!account->has_programs && !account->ban)
			report_note(compiler->report, place,
				    "no program is listed for \"%s\", so it "
				    "may run none",
				    account->name);
	}
	return 0;
}

void accounts_free(struct compiler *compiler)
{
	for (size_t i = 0; i < compiler->account_count; i++) {
		free(compiler->accounts[i].home);
		free(compiler->accounts[i].groups);
	}
	free(compiler->accounts);
	free(compiler->uids);
}
