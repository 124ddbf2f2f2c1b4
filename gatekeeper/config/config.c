#include "gatekeeper/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/accounts.h"
#include "gatekeeper/config/compile/config_file.h"
#include "gatekeeper/config/compile/leashed.h"
#include "gatekeeper/config/compile/schema.h"
#include "gatekeeper/config/compile/trust.h"
#include "gatekeeper/config/rules/names.h"
#include "gatekeeper/config/rules/rule_links.h"

#define DATABASE_DEFAULT  "/var/lib/leash/verdicts.db"
#define USER_DEFAULT	  "_leash"
#define KEEP_DAYS_DEFAULT 90
#define MAX_MB_DEFAULT	  2048

/* Clients keep an address longer than its TTL says; browsers a minute. */
#define NAMES_FLOOR_S_DEFAULT 60
#define NAMES_GRACE_S_DEFAULT 60
/* Below a `*.`: what CDNs and registries need, and tunnels find too little. */
#define NAMES_LONGEST_DEFAULT	 64
#define NAMES_PER_MINUTE_DEFAULT 60

static int read_mode(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	(void)context;
	schema_mode(compiler, setting, &compiler->settings.mode);
	return 0;
}

static int read_scope(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	const char *word;

	(void)context;
	if (!schema_string(compiler, setting, &word) ||
	    !strcmp(word, "everywhere"))
		return 0;
	if (!strcmp(word, "session"))
		compiler_error(compiler, setting,
			       "\"session\" is not in this version; use "
			       "\"everywhere\"");
	else
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be \"everywhere\"", word);
	return 0;
}

static int read_user(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	(void)context;
	schema_string(compiler, setting, &compiler->settings.user);
	return 0;
}

static int read_database(struct compiler *compiler,
			 const config_setting_t *setting, void *context)
{
	const char *path;

	(void)context;
	if (!schema_string(compiler, setting, &path))
		return 0;
	if (path[0] != '/' || !strrchr(path, '/')[1])
		compiler_error(compiler, setting,
			       "\"%s\" is not the absolute path of a file",
			       path);
	else
		compiler->settings.database = path;
	return 0;
}

static int read_keep_days(struct compiler *compiler,
			  const config_setting_t *setting, void *context)
{
	long long value;

	(void)context;
	if (schema_integer(compiler, setting, 1, 36500, &value))
		compiler->settings.keep_days = (uint32_t)value;
	return 0;
}

static int read_max_mb(struct compiler *compiler,
		       const config_setting_t *setting, void *context)
{
	long long value;

	(void)context;
	if (schema_integer(compiler, setting, 1, 1 << 24, &value))
		compiler->settings.max_mb = (uint32_t)value;
	return 0;
}

static int read_log(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	static const struct schema_key keys[] = {
		{"database", read_database},
		{"keep_days", read_keep_days},
		{"max_mb", read_max_mb},
		{NULL, NULL},
	};

	return schema_read(compiler, setting, keys, context);
}

/* First pass over a file: its settings, and who is leashed. */
static int read_settings(struct compiler *compiler,
			 const struct config_file *file)
{
	static const struct schema_key keys[] = {
		{"mode", read_mode},	   {"scope", read_scope},
		{"watch", NULL},	   {"user", read_user},
		{"log", read_log},	   {"accounts", accounts_collect},
		{"names", names_settings}, {NULL, NULL},
	};

	compiler->file = file;
	return schema_read(compiler, config_root_setting(&file->config), keys,
			   NULL);
}

/* Is the folder there?  Where an account can take it away: noted. */
static bool is_folder(struct compiler *compiler, const config_setting_t *entry,
		      const char *path)
{
	struct resolved resolved;
	bool folder;
	int r = path[0] == '/'
			? resolve_path(&compiler->resolver, path, &resolved)
			: -EINVAL;

	if (r == RESOLVE_LOOP) {
		compiler_error(compiler, entry,
			       "\"%s\" leads into a loop of symlinks at %s; "
			       "remove that one, or name another folder",
			       path, resolved.link);
		return false;
	}
	if (r) {
		compiler_error(compiler, entry,
			       r == -EINVAL ? "\"%s\" is not absolute"
					    : "\"%s\" leads nowhere",
			       path);
		return false;
	}
	folder = resolved.exists && S_ISDIR(resolved.st.st_mode);
	resolved_done(&resolved);
	if (!folder && (resolved.changeable || resolved.link[0]))
		compiler_note(compiler, entry,
			      "\"%s\" is no folder now, and an account can "
			      "change what is there; it is not watched until "
			      "it is one, and the policy is reloaded",
			      path);
	else if (!folder)
		compiler_error(compiler, entry,
			       "\"%s\" is not a folder; name the place where a "
			       "filesystem is mounted",
			       path);
	return folder;
}

/* Of the second pass: what may be in the way depends on who is leashed. */
static int read_watch(struct compiler *compiler,
		      const config_setting_t *setting)
{
	if (!schema_list(compiler, setting))
		return 0;
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *entry =
			config_setting_get_elem(setting, (unsigned int)i);
		const char *path;

		if (schema_string(compiler, entry, &path) &&
		    is_folder(compiler, entry, path) &&
		    policy_builder_watch(compiler->builder, path))
			return -ENOMEM;
	}
	return 0;
}

static int read_rules_of(struct compiler *compiler,
			 const struct config_file *file)
{
	const config_setting_t *accounts =
		config_lookup(&file->config, "accounts");
	const config_setting_t *watch = config_lookup(&file->config, "watch");
	int r;

	compiler->file = file;
	r = watch ? read_watch(compiler, watch) : 0;
	return r || !accounts ? r : accounts_compile(compiler, accounts);
}

static int is_drop_in(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	       !strcmp(entry->d_name + length - 5, ".conf");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The replaced file, which need not exist yet, once its turn has come. */
static void read_replaced(struct compiler *compiler, const char *next)
{
	const char *replaced = compiler->source->replaced;

	if (replaced && (!next || strcmp(replaced, next) < 0))
		(void)config_file_read(compiler, replaced);
}

/* /etc/leash.conf has its drop-ins in /etc/leash.d. */
static int read_drop_ins(struct compiler *compiler)
{
	const char *path = compiler->source->path;
	size_t length = strlen(path);
	struct dirent **entries;
	char folder[4200];
	int count;

	if (length > 5 && !strcmp(path + length - 5, ".conf"))
		length -= 5;
	snprintf(folder, sizeof(folder), "%.*s.d", (int)length, path);
	/* Who can write to it can take away what denies. */
	if (!trust_folder(compiler->report, folder))
		return 0;
	count = scandir(folder, &entries, is_drop_in, by_name);
	if (count < 0 && errno != ENOENT && errno != ENOTDIR)
		report_error(compiler->report,
			     (struct report_place){.file = folder},
			     "cannot be read: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		char name[4500];

		snprintf(name, sizeof(name), "%s/%s", folder,
			 entries[i]->d_name);
		read_replaced(compiler, name);
		(void)config_file_read(compiler, name);
		free(entries[i]);
	}
	read_replaced(compiler, NULL);
	if (count >= 0)
		free(entries);
	return 0;
}

static void check_user(struct compiler *compiler)
{
	struct policy_settings *settings = &compiler->settings;
	const struct passwd *passwd = getpwnam(settings->user);

	if (!passwd || passwd->pw_uid == 0) {
		report_error(compiler->report,
			     (struct report_place){
				     .file = compiler->source->path,
				     .key = "user",
			     },
			     passwd ? "\"%s\" is root; the helpers need an "
				      "account without power"
				    : "account \"%s\", whom the helpers run "
				      "as, does not exist; make it (useradd "
				      "--system) or name another",
			     settings->user);
		return;
	}
	settings->user_uid = passwd->pw_uid;
	settings->user_gid = passwd->pw_gid;
}

static int compile(struct compiler *compiler)
{
	size_t own_files;
	int r = 0;

	(void)config_file_read(compiler, compiler->source->path);
	r = read_drop_ins(compiler);
	own_files = compiler->file_count; /* behind them come profiles */
	for (size_t i = 0; !r && i < own_files; i++)
		r = read_settings(compiler, &compiler->files[i]);
	if (r)
		return r;
	check_user(compiler);
	for (size_t i = 0; !r && i < own_files; i++)
		r = read_rules_of(compiler, &compiler->files[i]);
	if (!r)
		r = accounts_check(compiler);
	if (!r)
		r = names_default_resolvers(compiler);
	if (!r)
		r = rule_links_settle(compiler);
	return r;
}

static int finish(struct compiler *compiler, uint64_t generation, int *ret_fd)
{
	CLEANUP(fd_close) int image = -1;
	int r;

	if (compiler->report->errors)
		return CONFIG_WRONG;
	r = policy_builder_settings(compiler->builder, &compiler->settings);
	if (r)
		return r;
	r = policy_builder_finish(compiler->builder, generation, &image);
	if (!r)
		r = rule_links_note(compiler, image);
	if (!r)
		*ret_fd = STEAL_FD(image);
	return r;
}

int config_compile(const struct config_source *source, uint64_t generation,
		   struct report *report, int *ret_fd)
{
	struct compiler compiler = {
		.source = source,
		.report = report,
		.resolver = {.distrusts_user = leashed_uid,
			     .distrusts_group = leashed_group},
		.settings =
			{
				.mode = POLICY_MODE_ENFORCE,
				.database = DATABASE_DEFAULT,
				.user = USER_DEFAULT,
				.user_uid = UINT32_MAX,
				.keep_days = KEEP_DAYS_DEFAULT,
				.max_mb = MAX_MB_DEFAULT,
				.names_floor_s = NAMES_FLOOR_S_DEFAULT,
				.names_grace_s = NAMES_GRACE_S_DEFAULT,
				.names_label_max = NAMES_LONGEST_DEFAULT,
				.names_per_minute = NAMES_PER_MINUTE_DEFAULT,
			},
	};
	int r;

	compiler.resolver.context = &compiler;
	compiler.files = calloc(CONFIG_FILE_COUNT_MAX, sizeof(*compiler.files));
	if (!compiler.files)
		return -ENOMEM;
	r = policy_builder_new(&compiler.builder);
	if (!r)
		r = compile(&compiler);
	if (!r)
		r = finish(&compiler, generation, ret_fd);

	policy_builder_free(compiler.builder);
	rule_links_free(&compiler);
	resolver_done(&compiler.resolver);
	accounts_free(&compiler);
	for (size_t i = 0; i < compiler.file_count; i++) {
		config_destroy(&compiler.files[i].config);
		free(compiler.files[i].path);
	}
	free(compiler.files);
	return r;
}
