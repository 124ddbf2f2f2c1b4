/*
 * A rule is a text, the path, or a group with a path and more.  Paths are
 * completed (~), checked, resolved and handed to the builder.
 */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/compile.h"
#include "gatekeeper/policy/glob.h"

struct rule_entry {
	struct policy_words words; /* first: rule_words_*() expect it */
	const config_setting_t *setting;
	const char *path;
	const char *sha256;
	bool wants_sha256;
	struct policy_rule_spec spec;
};

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
	RULE_WORDS_KEYS,
	{NULL, NULL},
};

static const struct schema_key hash_keys[] = {
	{"path", read_path},
	{"sha256", read_sha256},
	RULE_WORDS_KEYS,
	{NULL, NULL},
};

static void rule_error(struct compiler *compiler,
		       const struct rule_entry *entry, const char *what)
{
	compiler_error(compiler, entry->setting, "\"%s\" %s", entry->path,
		       what);
}

/* Complete ~ and check the shape.  False: reported. */
static bool complete_path(struct compiler *compiler,
			  const struct rule_entry *entry,
			  const struct account_entry *account, char *ret)
{
	bool is_pattern = glob_is_pattern(entry->path, strlen(entry->path));
	const char *home = "", *path = entry->path;
	int length;

	if (path[0] == '~' && path[1] != '/' && path[1] != '\0') {
		rule_error(compiler, entry,
			   "names another user's home; write its path");
		return false;
	}
	if (path[0] == '~') {
		home = account->home;
		path++;
		if (home[0] != '/' || !home[1]) {
			rule_error(compiler, entry,
				   "needs a home folder, and the account has "
				   "none; write the path");
			return false;
		}
	} else if (path[0] != '/' && !is_pattern) {
		rule_error(compiler, entry,
			   "is not absolute; begin it with / or ~/, or with "
			   "**/ for any depth");
		return false;
	}
	length = snprintf(ret, RESOLVE_PATH_MAX, "%s%s", home, path);
	if (length >= RESOLVE_PATH_MAX) {
		rule_error(compiler, entry, "is longer than 4095 bytes");
		return false;
	}
	while (length > 1 && ret[length - 1] == '/')
		ret[--length] = '\0';
	for (const char *name = ret; *name;) {
		size_t n;

		name += strspn(name, "/");
		n = strcspn(name, "/");
		if ((n == 1 && name[0] == '.') ||
		    (n == 2 && name[0] == '.' && name[1] == '.')) {
			rule_error(compiler, entry,
				   "has a . or .. in it; write the path "
				   "without");
			return false;
		}
		if (n > 255 && !is_pattern) {
			rule_error(compiler, entry,
				   "has a name of over 255 bytes, which no "
				   "file can have");
			return false;
		}
		name += n;
	}
	return true;
}

/* Follow the symlinks in path, or in a pattern's part without wildcards. */
static int resolve_rule(struct compiler *compiler,
			const struct rule_entry *entry, const char *completed,
			struct resolved *ret)
{
	char path[RESOLVE_PATH_MAX], tail[RESOLVE_PATH_MAX] = "";
	size_t magic = strcspn(completed, "*?[\\");
	char text[RESOLVE_PATH_MAX + 128];
	int r;

	strcpy(path, completed);

	if (glob_is_pattern(path, strlen(path))) {
		while (magic && path[magic - 1] != '/')
			magic--;
		strcpy(tail, path + magic);
		path[magic] = '\0';
		if (!magic) { /* at any depth: nothing to follow */
			strcpy(ret->path, tail);
			return 0;
		}
	}
	r = resolve_path(&compiler->resolver, path, ret);
	switch (r) {
	case 0:
		break;
	case RESOLVE_LEASHED_LINK:
		snprintf(text, sizeof(text),
			 "leads through %s, a symlink that a leashed account "
			 "can change; write where it leads",
			 ret->path);
		rule_error(compiler, entry, text);
		return CONFIG_WRONG;
	case RESOLVE_TOO_LONG:
		rule_error(compiler, entry, "leads to a path too long");
		return CONFIG_WRONG;
	case RESOLVE_LOOP:
		rule_error(compiler, entry, "leads through a loop of symlinks");
		return CONFIG_WRONG;
	default:
		return r;
	}
	if (tail[0]) {
		size_t n = strlen(ret->path);

		if (n + strlen(tail) + 1 >= RESOLVE_PATH_MAX) {
			rule_error(compiler, entry, "leads to a path too long");
			return CONFIG_WRONG;
		}
		if (n > 1)
			ret->path[n++] = '/';
		strcpy(ret->path + n, tail);
		ret->exists = false;
	}
	return 0;
}

static int add_at(struct compiler *compiler, struct rule_entry *entry,
		  const char *path)
{
	struct report_place place = compiler_place(compiler, entry->setting);
	const char *other;
	char origin[4200];
	int r;

	snprintf(origin, sizeof(origin), "%s:%u", place.file, place.line);
	entry->spec.path = path;
	entry->spec.words = entry->words;
	entry->spec.words.origin = origin;
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

static int hash_file(int fd, char ret[static 65])
{
	unsigned char digest[crypto_hash_sha256_BYTES], block[65536];
	crypto_hash_sha256_state state;
	ssize_t n;

	crypto_hash_sha256_init(&state);
	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		crypto_hash_sha256_update(&state, block, (unsigned long long)n);
	}
	crypto_hash_sha256_final(&state, digest);
	sodium_bin2hex(ret, 65, digest, sizeof(digest));
	return 0;
}

static struct policy_digest identity(const struct stat *st)
{
	return (struct policy_digest){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.changed_ns = st->st_ctim.tv_sec * CLOCK_NS_PER_S +
			      st->st_ctim.tv_nsec,
	};
}

/*
 * Hash the program now and remember what the file looked like: a later change
 * of content cannot keep its change time.  A program with other content stays
 * denied, which is no mistake in the file.
 */
static struct policy_digest take_digest(struct compiler *compiler,
					const struct rule_entry *entry,
					const char *path)
{
	struct report_place place = compiler_place(compiler, entry->setting);
	struct policy_digest none = {0}, before, after;
	CLEANUP(fd_close)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char hex[65];

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		report_note(compiler->report, place,
			    "%s is not there to be read; it may not be run "
			    "until it is, and the policy is reloaded",
			    path);
		return none;
	}
	before = identity(&st);
	if (hash_file(fd, hex) || fstat(fd, &st) < 0)
		return none;
	after = identity(&st);
	if (memcmp(&before, &after, sizeof(before)) ||
	    strcasecmp(hex, entry->sha256)) {
		report_note(compiler->report, place,
			    "%s has the sha256 %s, not the one given; it may "
			    "not be run",
			    path, hex);
		return none;
	}
	return after;
}

static int add_rule(struct compiler *compiler, struct rule_entry *entry,
		    const struct account_entry *account)
{
	char path[RESOLVE_PATH_MAX];
	struct resolved resolved;
	struct policy_digest digest;
	struct policy_inode inode;
	bool denies = entry->spec.effect == POLICY_EFFECT_DENY;
	int r;

	if (!complete_path(compiler, entry, account, path))
		return 0;
	resolved.exists = false;
	r = resolve_rule(compiler, entry, path, &resolved);
	if (r)
		return r < 0 ? r : 0;

	entry->spec.account = account->index;
	if (entry->wants_sha256) {
		digest = take_digest(compiler, entry, resolved.path);
		entry->spec.digest = &digest;
	}
	if (denies && resolved.exists && S_ISREG(resolved.st.st_mode)) {
		inode = (struct policy_inode){
			.device = resolved.st.st_dev,
			.inode = resolved.st.st_ino,
		};
		entry->spec.inode = &inode;
	}
	r = add_at(compiler, entry, resolved.path);
	if (r)
		return r;
	/* Denied under the name as written, too, should it become a file. */
	if (denies && !glob_is_pattern(entry->path, strlen(entry->path)) &&
	    strcmp(path, resolved.path)) {
		entry->spec.inode = NULL;
		return add_at(compiler, entry, path);
	}
	return 0;
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
		      const struct account_entry *account,
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
