/*
 * leash tools - hooks in an agent's settings; leash_trust.c has the rest
 *
 * The settings lie in the agent's own home, where it can put a symlink for
 * root to follow: none is.  Nor does root become the agent, whose rules may
 * well deny it to change them.
 */

#include "tools/leash/leash_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/only_account.h"
#include "tools/leash/leash_trust.h"
#include "tools/lib/complaint.h"
#include "tools/lib/settings_edit.h"

#define HOOK	     "/usr/bin/leash-hook "
#define BEFORE	     ".before-leash"
#define SETTINGS_MAX ((size_t)16 << 20)

/* Claude Code's, and Codex's: a matcher and its commands. */
#define MATCHED(agent)                                                         \
	"{\"matcher\": \"*\", \"hooks\": [{\"type\": \"command\", "            \
	"\"command\": \"" HOOK agent "\", \"timeout\": 30}]}"
#define PLAIN(agent)                                                           \
	"{\"hooks\": [{\"type\": \"command\", \"command\": \"" HOOK agent      \
	"\", \"timeout\": 30}]}"
#define COPILOT                                                                \
	"{\"type\": \"command\", \"bash\": \"" HOOK "copilot\", "              \
	"\"timeoutSec\": 30}"
#define CURSOR "{\"command\": \"" HOOK "cursor\", \"failClosed\": true}"
#define CURSOR_OTHERS                                                          \
	"{\"command\": \"" HOOK "cursor\", \"matcher\": "                      \
	"\"Write|Edit|Delete|Task\", \"failClosed\": true}"

static const struct settings_hook claude_hooks[] = {
	{"SubagentStop", PLAIN("claude")},
	{"SubagentStart", PLAIN("claude")},
	{"SessionEnd", PLAIN("claude")},
	{"SessionStart", PLAIN("claude")},
	{"UserPromptSubmit", PLAIN("claude")},
	{"PostToolUse", MATCHED("claude")},
	{"PreToolUse", MATCHED("claude")},
	{NULL, NULL},
};

static const struct settings_hook codex_hooks[] = {
	{"SessionStart", PLAIN("codex")},
	{"UserPromptSubmit", PLAIN("codex")},
	{"PostToolUse", MATCHED("codex")},
	{"PreToolUse", MATCHED("codex")},
	{NULL, NULL},
};

static const struct settings_hook copilot_hooks[] = {
	{"sessionEnd", COPILOT},	  {"sessionStart", COPILOT},
	{"userPromptSubmitted", COPILOT}, {"postToolUse", COPILOT},
	{"preToolUse", COPILOT},	  {NULL, NULL},
};

static const struct settings_hook cursor_hooks[] = {
	{"sessionEnd", CURSOR},		  {"sessionStart", CURSOR},
	{"beforeSubmitPrompt", CURSOR},	  {"preToolUse", CURSOR_OTHERS},
	{"beforeReadFile", CURSOR},	  {"beforeMCPExecution", CURSOR},
	{"beforeShellExecution", CURSOR}, {NULL, NULL},
};

static const struct agent {
	const char *name;
	const char *file; /* below its home */
	const struct settings_hook *hooks;
	const char *top; /* what a new file needs besides */
} agents[] = {
	{"claude", ".claude/settings.json", claude_hooks, NULL},
	{"codex", ".codex/hooks.json", codex_hooks, NULL},
	{"copilot", ".copilot/hooks/leash.json", copilot_hooks,
	 "\"version\": 1"},
	{"cursor", ".cursor/hooks.json", cursor_hooks, "\"version\": 1"},
};

struct options {
	const char *account;
	const char *file;
	bool undo;
	bool dry_run;
	bool yes;
	bool json;
};

static int parse(int argc, char **argv, struct options *ret, char ***ret_words)
{
	const struct options_row rows[] = {
		{LEASH_ACCOUNT, .text = &ret->account},
		{LEASH_DRY_RUN, .flag = &ret->dry_run},
		{"file", 0, "FILE", "settings elsewhere than in the home",
		 .text = &ret->file},
		{LEASH_JSON, .flag = &ret->json},
		{"undo", 0, NULL, "take the hooks out", .flag = &ret->undo},
		{"yes", 0, NULL, "ask nothing", .flag = &ret->yes},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash tools",
		.synopsis = "install claude|codex|copilot|cursor [OPTION...]\n"
			    "list [OPTION...]\n"
			    "trust [SERVER [TOOL]] [OPTION...]",
		.rows = rows,
		.least = 1,
		.most = 3,
	};

	return options_read(&command, argc, argv, ret_words);
}

/* ---- settings */

/*
 * Where they lie.  What is made there belongs to whoever had it before, or to
 * owner, unless we are it.
 */
struct place {
	int folder; /* owned */
	char path[PATH_MAX];
	char name[NAME_MAX + 1];
	const struct passwd *owner; /* NULL: a file that the user has named */
	bool was_there;
	uid_t uid; /* whose it was */
	gid_t gid;
};

static int failed(const char *path, const char *what)
{
	complaint_print("%s: %s: %s", path, what, strerror(errno));
	return EXIT_ERROR;
}

static void give(const struct place *place, int fd)
{
	int r = 0;

	if (getuid() == 0 && place->was_there)
		r = fchown(fd, place->uid, place->gid);
	else if (getuid() == 0 && place->owner)
		r = fchown(fd, place->owner->pw_uid, place->owner->pw_gid);
	if (r < 0) /* then the file is ours, which harms nobody */
		errno = 0;
}

/*
 * Settings that a user has named are for others to read, above all for the
 * agent: hooks that it cannot read are hooks that never run.
 */
static mode_t mode_of(const struct place *place, mode_t mode)
{
	return mode ? mode & 0777 : place->owner ? 0600 : 0644;
}

/* The file's text, "" and *ret_mode 0 where there is none. */
static int read_settings(struct place *place, const char *name, char **ret,
			 mode_t *ret_mode)
{
	CLEANUP(fd_close)
	int fd = openat(place->folder, name,
			O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;
	size_t length;

	*ret_mode = 0;
	if (fd < 0 && errno == ENOENT) {
		*ret = strdup("");
		return *ret ? EXIT_DONE : EXIT_ERROR;
	}
	if (fd < 0 && errno == ELOOP) {
		complaint_print("%s: is a symlink of the agent's; name what it "
				"leads to by --file",
				place->path);
		return EXIT_ERROR;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(place->path, "cannot be read");
	if (!S_ISREG(st.st_mode) ||
	    (place->owner && st.st_uid != place->owner->pw_uid &&
	     st.st_uid != getuid())) {
		complaint_print("%s: is no plain file, or not the agent's",
				place->path);
		return EXIT_ERROR;
	}
	errno = -fd_read_all(fd, SETTINGS_MAX, ret, &length);
	if (errno)
		return failed(place->path, "cannot be read");
	if (strlen(*ret) != length) {
		complaint_print("%s: holds a NUL; it is left as it is",
				place->path);
		return EXIT_ERROR;
	}
	*ret_mode = S_IFREG | (st.st_mode & 0777);
	place->was_there = true;
	place->uid = st.st_uid;
	place->gid = st.st_gid;
	return EXIT_DONE;
}

/* All of it or nothing; mode 0: it is new. */
static int write_settings(const struct place *place, const char *name,
			  const char *text, mode_t mode)
{
	char temporary[NAME_MAX + 16];
	int fd, r;

	snprintf(temporary, sizeof(temporary), "%s.leash-new", name);
	unlinkat(place->folder, temporary, 0);
	fd = openat(place->folder, temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(place->path, "cannot be written");
	r = fd_write_all(fd, text, strlen(text));
	give(place, fd);
	if (!r && (fchmod(fd, mode_of(place, mode)) < 0 || fsync(fd) < 0))
		r = -errno;
	fd_close(fd);
	if (!r && renameat(place->folder, temporary, place->folder, name) < 0)
		r = -errno;
	if (!r)
		return EXIT_DONE;
	unlinkat(place->folder, temporary, 0);
	errno = -r;
	return failed(place->path, "cannot be written");
}

static int strange(const struct place *place)
{
	complaint_print(
		"%s: is no JSON object with hooks as they should be; it is "
		"left as it is",
		place->path);
	return EXIT_ERROR;
}

static void name_before(const struct place *place,
			char ret[static NAME_MAX + 16])
{
	snprintf(ret, NAME_MAX + 16, "%s" BEFORE, place->name);
}

static int install(const struct agent *agent, struct place *place,
		   const struct options *options)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FREE char *made = NULL;
	char before[NAME_MAX + 16];
	mode_t mode;
	int r = read_settings(place, place->name, &text, &mode);

	if (r)
		return r;
	r = settings_edit_add(text, agent->hooks, HOOK, agent->top, &made);
	if (r == SETTINGS_EDIT_THERE) {
		printf("%s: the hooks are there already\n", place->path);
		return EXIT_DONE;
	}
	if (r)
		return r > 0 ? strange(place) : EXIT_ERROR;
	if (options->dry_run) {
		fputs(made, stdout);
		return EXIT_DONE;
	}
	name_before(place, before);
	if (mode)
		r = write_settings(place, before, text, mode);
	if (!r)
		r = write_settings(place, place->name, made, mode);
	if (!r)
		printf("%s: hooks added; %s asks Leash from its next start "
		       "on\n",
		       place->path, agent->name);
	return r;
}

/* What we would have made of what was there before: then that is it. */
static bool is_ours(const struct agent *agent, const char *before,
		    const char *now)
{
	CLEANUP_FREE char *made = NULL;

	return settings_edit_add(before, agent->hooks, HOOK, agent->top,
				 &made) == 0 &&
	       !strcmp(made, now);
}

static int restore(const struct place *place, const char *before,
		   const char *text, mode_t mode)
{
	int r = mode ? write_settings(place, place->name, text, mode) : 0;

	if (!mode && unlinkat(place->folder, place->name, 0) < 0)
		return failed(place->path, "cannot be removed");
	if (!r && mode)
		unlinkat(place->folder, before, 0);
	if (!r)
		printf("%s: as it was before\n", place->path);
	return r;
}

static int undo(const struct agent *agent, struct place *place,
		const struct options *options)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_FREE char *made = NULL;
	CLEANUP_FREE char *old = NULL;
	char before[NAME_MAX + 16];
	mode_t mode, old_mode;
	int r = read_settings(place, place->name, &text, &mode);

	name_before(place, before);
	if (!r)
		r = read_settings(place, before, &old, &old_mode);
	if (r)
		return r;
	if (mode && !options->dry_run && is_ours(agent, old, text))
		return restore(place, before, old, old_mode);
	/* Somebody has changed it since: take out what is ours. */
	r = settings_edit_remove(text, HOOK, &made);
	if (r == SETTINGS_EDIT_THERE) {
		printf("%s: there are no hooks of Leash\n", place->path);
		return EXIT_DONE;
	}
	if (r)
		return r > 0 ? strange(place) : EXIT_ERROR;
	if (options->dry_run) {
		fputs(made, stdout);
		return EXIT_DONE;
	}
	r = write_settings(place, place->name, made, mode);
	if (!r && old_mode)
		unlinkat(place->folder, before, 0);
	if (!r)
		printf("%s: the hooks are gone\n", place->path);
	return r;
}

/* Into the folder of that name, made if need be, but through no symlink. */
static int enter(struct place *place, const char *name)
{
	int fd;
	bool made = mkdirat(place->folder, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return failed(place->path, "its folder cannot be made");
	fd = openat(place->folder, name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return failed(place->path, "its folder cannot be entered");
	if (made)
		give(place, fd);
	fd_close(place->folder);
	place->folder = fd;
	return EXIT_DONE;
}

/*
 * Below the agent's home, step by step: the agent may have put a symlink
 * anywhere for root to follow.
 */
static int find_in_home(struct place *place, const char *file)
{
	CLEANUP_FREE char *copy = strdup(file);
	char *save = NULL, *part, *next;
	int r = EXIT_DONE;

	place->folder =
		open(place->owner->pw_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->folder < 0 || !copy)
		return failed(place->owner->pw_dir, "cannot be entered");
	part = strtok_r(copy, "/", &save);
	while (!r && (next = strtok_r(NULL, "/", &save))) {
		r = enter(place, part);
		part = next;
	}
	snprintf(place->name, sizeof(place->name), "%s", part);
	return r;
}

/* Wherever the user says; a symlink stays one. */
static int find_by_path(struct place *place)
{
	char real[PATH_MAX], *slash;

	if (realpath(place->path, real))
		memcpy(place->path, real, strlen(real) + 1);
	snprintf(real, sizeof(real), "%s", place->path);
	slash = strrchr(real, '/');
	snprintf(place->name, sizeof(place->name), "%.250s",
		 slash ? slash + 1 : real);
	if (slash)
		*slash = '\0';
	place->owner = NULL;
	place->folder = open(slash ? real[0] ? real : "/" : ".",
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return place->folder < 0
		       ? failed(place->path,
				"its folder cannot be entered; make it first "
				"(mkdir), open to the agent")
		       : EXIT_DONE;
}

static int edit_settings(const struct agent *agent, const struct passwd *passwd,
			 const struct options *options)
{
	struct place place = {.folder = -1, .owner = passwd};
	struct stat st;
	int r;

	if (options->file)
		snprintf(place.path, sizeof(place.path), "%s", options->file);
	else
		snprintf(place.path, sizeof(place.path), "%s/%s",
			 passwd->pw_dir, agent->file);
	/* One's own symlink one may follow. */
	if (options->file || (getuid() != 0 && lstat(place.path, &st) == 0 &&
			      S_ISLNK(st.st_mode)))
		r = find_by_path(&place);
	else
		r = find_in_home(&place, agent->file);
	if (!r)
		r = options->undo ? undo(agent, &place, options)
				  : install(agent, &place, options);
	fd_close(place.folder);
	return r;
}

static int run_install(const char *name, const struct options *options)
{
	const struct agent *agent = NULL;
	const struct passwd *passwd;
	char account[256];

	for (size_t i = 0; i < sizeof(agents) / sizeof(agents[0]); i++)
		if (!strcmp(agents[i].name, name))
			agent = &agents[i];
	if (!agent) {
		complaint_print(
			"hooks can be installed for claude, codex, copilot "
			"and cursor, not for \"%s\"; leash-hook(1) tells "
			"how others ask",
			name);
		return EXIT_ERROR;
	}
	if (options->account) {
		snprintf(account, sizeof(account), "%s", options->account);
	} else if (getuid() != 0) {
		passwd = getpwuid(getuid());
		snprintf(account, sizeof(account), "%s",
			 passwd ? passwd->pw_name : "?");
	} else {
		int r = only_account(account, sizeof(account));

		if (r)
			return r;
	}
	passwd = getpwnam(account);
	if (!passwd) {
		complaint_print("there is no account \"%s\"", account);
		return EXIT_ERROR;
	}
	return edit_settings(agent, passwd, options);
}

int leash_tools(int argc, char **argv)
{
	struct options options = {.account = NULL};
	struct leash_trust_options trust;
	int count = 0, r;
	char **words;

	r = parse(argc, argv, &options, &words);
	if (r >= 0)
		return r;
	while (words[count])
		count++;
	trust = (struct leash_trust_options){
		.account = options.account,
		.list = !strcmp(words[0], "list"),
		.yes = options.yes,
		.json = options.json,
	};
	if (count == 2 && !strcmp(words[0], "install"))
		return run_install(words[1], &options);
	if (count == 1 && !strcmp(words[0], "list"))
		return leash_trust(0, NULL, &trust);
	if (!strcmp(words[0], "trust"))
		return leash_trust(count - 1, words + 1, &trust);
	return options_wrong("leash tools",
			     "it is install AGENT, list or trust");
}
