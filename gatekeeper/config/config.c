#include "gatekeeper/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/compile.h"

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
#define FILES_MAX		 256

/* Who can write the file can lift the leash. */
static bool is_trustworthy(struct compiler *compiler, const char *path)
{
	struct report_place place = {.file = path};
	struct stat st;

	if (stat(path, &st) < 0) {
		report_error(compiler->report, place, "cannot be read: %s",
			     strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		report_error(compiler->report, place, "is not a file");
		return false;
	}
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH))) {
		report_error(compiler->report, place,
			     "others than root may write to it; chown root "
			     "and chmod go-w");
		return false;
	}
	return true;
}

const struct config_file *compiler_read_file(struct compiler *compiler,
					     const char *path)
{
	const char *content = path;
	struct config_file *file;

	for (size_t i = 0; i < compiler->file_count; i++)
		if (!strcmp(compiler->files[i].path, path))
			return &compiler->files[i];
	if (compiler->file_count == FILES_MAX) {
		report_error(
			compiler->report, (struct report_place){.file = path},
			"is one file too many; there may be %d", FILES_MAX);
		return NULL;
	}
	if (compiler->source->replaced &&
	    !strcmp(path, compiler->source->replaced))
		content = compiler->source->replacement;
	if (!is_trustworthy(compiler, content))
		return NULL;

	file = &compiler->files[compiler->file_count];
	file->path = strdup(path);
	if (!file->path)
		return NULL;
	config_init(&file->config);
	config_set_include_dir(&file->config, compiler->source->profiles_dir);
	compiler->file_count++;
	if (!config_read_file(&file->config, content)) {
		const char *in = config_error_file(&file->config);
		struct report_place place = {
			.file = in && in != content && strcmp(in, content)
					? in
					: path,
			.line = (unsigned int)config_error_line(&file->config),
		};

		report_error(compiler->report, place, "%s",
			     config_error_text(&file->config));
		return NULL;
	}
	return file;
}

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

static int read_watch(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	(void)context;
	if (!schema_list(compiler, setting))
		return 0;
	for (int i = 0; i < config_setting_length(setting); i++) {
		const config_setting_t *entry =
			config_setting_get_elem(setting, (unsigned int)i);
		const char *path;
		struct stat st;

		if (!schema_string(compiler, entry, &path))
			continue;
		if (path[0] != '/')
			compiler_error(compiler, entry,
				       "\"%s\" is not absolute", path);
		else if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			compiler_error(compiler, entry,
				       "\"%s\" is not a folder; name the place "
				       "where a filesystem is mounted",
				       path);
		else if (policy_builder_watch(compiler->builder, path))
			return -ENOMEM;
	}
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
		{"watch", read_watch},	   {"user", read_user},
		{"log", read_log},	   {"accounts", accounts_collect},
		{"names", names_settings}, {NULL, NULL},
	};

	compiler->file = file;
	return schema_read(compiler, config_root_setting(&file->config), keys,
			   NULL);
}

static int read_rules_of(struct compiler *compiler,
			 const struct config_file *file)
{
	const config_setting_t *accounts =
		config_lookup(&file->config, "accounts");

	compiler->file = file;
	return accounts ? accounts_compile(compiler, accounts) : 0;
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
		(void)compiler_read_file(compiler, replaced);
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
		(void)compiler_read_file(compiler, name);
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

	(void)compiler_read_file(compiler, compiler->source->path);
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
	return r;
}

static int finish(struct compiler *compiler, uint64_t generation, int *ret_fd)
{
	int r;

	if (compiler->report->errors)
		return CONFIG_WRONG;
	r = policy_builder_settings(compiler->builder, &compiler->settings);
	if (r)
		return r;
	return policy_builder_finish(compiler->builder, generation, ret_fd);
}

int config_compile(const struct config_source *source, uint64_t generation,
		   struct report *report, int *ret_fd)
{
	struct compiler compiler = {
		.source = source,
		.report = report,
		.resolver = {.leashed = accounts_leashed},
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
	compiler.files = calloc(FILES_MAX, sizeof(*compiler.files));
	if (!compiler.files)
		return -ENOMEM;
	r = policy_builder_new(&compiler.builder);
	if (!r)
		r = compile(&compiler);
	if (!r)
		r = finish(&compiler, generation, ret_fd);

	policy_builder_free(compiler.builder);
	accounts_free(&compiler);
	for (size_t i = 0; i < compiler.file_count; i++) {
		config_destroy(&compiler.files[i].config);
		free(compiler.files[i].path);
	}
	free(compiler.files);
	return r;
}
