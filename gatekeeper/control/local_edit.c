#include "gatekeeper/control/local_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/escape.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/findings.h"
#include "gatekeeper/config/local_rules.h"
#include "gatekeeper/policy/address.h"

#define NEW_FILE "." LOCAL_RULES_FILE ".new"
#define TEXT_MAX ((size_t)4 << 20)

struct edit {
	const struct config_source *source;
	const struct policy *policy;
	const struct fields *request;
	struct fields *reply;
	char folder[4200];
	char path[4300];
	int folder_fd;
	char *old; /* the file's text, owned */
	struct local_rules rules;
	struct local_entry entry; /* what all of this change have in common */
	uid_t uid;		  /* whose change it is */
	char now[32];
	char who[64];
	char why[512];
};

__attribute__((format(printf, 2, 3))) static int wrong(struct edit *edit,
						       const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fields_put(edit->reply, "text", text);
	return LOCAL_EDIT_WRONG;
}

static void take_common(struct edit *edit, uid_t who)
{
	const struct passwd *passwd = getpwuid(who);
	const char *why = fields_get(edit->request, "why");
	time_t now = time(NULL);
	struct tm utc;

	edit->uid = who;
	strftime(edit->now, sizeof(edit->now), "%Y-%m-%dT%H:%M:%SZ",
		 gmtime_r(&now, &utc));
	if (passwd && !strchr(passwd->pw_name, ' '))
		snprintf(edit->who, sizeof(edit->who), "%s", passwd->pw_name);
	else
		snprintf(edit->who, sizeof(edit->who), "%u", who);
	escape_text(edit->why, sizeof(edit->why), why ? why : "",
		    why ? strlen(why) : 0);
	edit->entry.time = edit->now;
	edit->entry.who = edit->who;
	edit->entry.why = edit->why;
}

/*
 * leash.conf has its drop-ins in leash.d.  No lock: there is one gatekeeper,
 * and it makes one change after the other; and whoever may list the folder
 * could hold one for ever.
 */
static int open_folder(struct edit *edit)
{
	const char *path = edit->source->path;
	size_t length = strlen(path);

	if (length > 5 && !strcmp(path + length - 5, ".conf"))
		length -= 5;
	snprintf(edit->folder, sizeof(edit->folder), "%.*s.d", (int)length,
		 path);
	snprintf(edit->path, sizeof(edit->path), "%s/" LOCAL_RULES_FILE,
		 edit->folder);
	if (mkdir(edit->folder, 0755) < 0 && errno != EEXIST)
		return wrong(edit, "%s cannot be made: %s", edit->folder,
			     strerror(errno));
	edit->folder_fd =
		open(edit->folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (edit->folder_fd < 0)
		return wrong(edit, "%s: %s", edit->folder, strerror(errno));
	return 0;
}

static int read_file(struct edit *edit)
{
	CLEANUP(fd_close)
	int fd = openat(edit->folder_fd, LOCAL_RULES_FILE,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t length, line;
	int r;

	if (fd < 0 && errno != ENOENT)
		return wrong(edit, "%s cannot be read: %s", edit->path,
			     strerror(errno));
	if (fd < 0)
		edit->old = strdup("");
	r = fd < 0 ? 0 : fd_read_all(fd, TEXT_MAX, &edit->old, &length);
	if (r < 0)
		return wrong(edit, "%s cannot be read: %s", edit->path,
			     strerror(-r));
	if (!edit->old)
		return -ENOMEM;
	r = local_rules_read(edit->old, &edit->rules, &line);
	if (r != LOCAL_RULES_FOREIGN)
		return r;
	return wrong(edit,
		     "%s:%zu: was changed by hand, and would be lost; move it "
		     "to another file in that folder",
		     edit->path, line);
}

/* A text as libconfig has it. */
static void write_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void write_text(FILE *out, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	fprintf(out, " %s = ", key);
	write_quoted(out, value);
	fputc(';', out);
}

/* "443,8000-8099" as a list: numbers bare, ranges quoted. */
static int write_ports(struct edit *edit, FILE *out, const char *ports)
{
	const char *at = ports;

	if (!ports)
		return 0;
	fputs(" ports = (", out);
	for (bool more = true; more;) {
		size_t length = strcspn(at, ",");
		bool number = strspn(at, "0123456789") >= length;

		if (!length || strspn(at, "0123456789-") < length)
			return wrong(edit,
				     "ports are numbers and ranges, such as "
				     "443,8000-8099, not \"%s\"",
				     ports);
		fprintf(out, number ? " %.*s" : " \"%.*s\"", (int)length, at);
		at += length;
		more = *at == ',';
		if (more)
			fputc(*at++, out);
	}
	fputs(" );", out);
	return 0;
}

/* One rule of the request: its fields up to the next. */
struct wanted {
	const char *section;
	const char *what;
	const char *ports;
	const char *protocol;
	const char *program;
	const char *until;
	const char *reason;
};

/* An address, alone or before a prefix; all else would be a host. */
static bool is_net(const char *what)
{
	struct policy_address address;
	size_t length = strcspn(what, "/");
	char text[64];

	if (length >= sizeof(text))
		return false;
	memcpy(text, what, length);
	text[length] = '\0';
	return address_read(text, &address) != 0;
}

/* Where it goes, and which key its subject has; NULL: reported. */
static const char *place(struct edit *edit, const struct wanted *wanted,
			 uint32_t account, const char **ret_key)
{
	bool ban = policy_account(edit->policy, account)->programs_default ==
		   POLICY_ALLOW;
	const char *section = wanted->section;

	*ret_key = "path";
	if (!strcmp(section, "file.read"))
		return "files.read";
	if (!strcmp(section, "file.write"))
		return "files.write";
	if (!strcmp(section, "file.deny") ||
	    (!strcmp(section, "program.deny") && !ban))
		return "files.deny";
	if (!strcmp(section, "program.allow") && ban) {
		wrong(edit, "programs.mode is \"ban\": all run but those in "
			    "programs.list; take it off that list");
		return NULL;
	}
	if (!strcmp(section, "program.allow") ||
	    !strcmp(section, "program.deny"))
		return "programs.list";
	*ret_key = "tool";
	if (!strcmp(section, "tool.allow"))
		return "tools.allow";
	if (!strcmp(section, "tool.deny"))
		return "tools.deny";
	*ret_key = is_net(wanted->what) ? "net" : "host";
	if (!strcmp(section, "host.allow"))
		return "network.allow";
	if (!strcmp(section, "host.deny"))
		return "network.deny";
	wrong(edit, "rule \"%s\" is none that can be added", section);
	return NULL;
}

static int add_rule(struct edit *edit, const struct wanted *wanted,
		    uint32_t account)
{
	CLEANUP_FREE char *text = NULL;
	struct local_entry entry = edit->entry;
	const char *section, *key;
	size_t size;
	FILE *out;
	int r;

	if (!wanted->what || !*wanted->what)
		return wrong(edit, "what the rule is about is missing");
	section = place(edit, wanted, account, &key);
	if (!section)
		return LOCAL_EDIT_WRONG;
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	fputc('{', out);
	write_text(out, key, wanted->what);
	r = write_ports(edit, out, wanted->ports);
	write_text(out, "protocol", wanted->protocol);
	write_text(out, "program", wanted->program);
	fprintf(out, " name = \"local %u\";", entry.change);
	write_text(out, "reason", wanted->reason);
	write_text(out, "until", wanted->until);
	fputs(" }", out);
	if (fclose(out) && !r)
		r = -ENOMEM;
	entry.section = (char *)section;
	entry.text = text;
	return r ? r : local_rules_add(&edit->rules, &entry);
}

static int take_account(struct edit *edit, uint32_t *ret)
{
	char problem[1024];

	*ret = policy_account_meant(edit->policy,
				    fields_get(edit->request, "account"),
				    problem, sizeof(problem));
	if (*ret == POLICY_NONE)
		return wrong(edit, "%s", problem);
	edit->entry.account = (char *)policy_text(
		edit->policy, policy_account(edit->policy, *ret)->name);
	return 0;
}

static int add(struct edit *edit)
{
	struct fields_cursor cursor = {0};
	struct wanted wanted = {.section = NULL};
	const struct {
		const char *key;
		const char **value;
	} keys[] = {
		{"what", &wanted.what},	      {"ports", &wanted.ports},
		{"program", &wanted.program}, {"protocol", &wanted.protocol},
		{"until", &wanted.until},     {"reason", &wanted.reason},
	};
	uint32_t account;
	int r = take_account(edit, &account);

	while (!r && fields_next(edit->request, &cursor)) {
		if (fields_is(&cursor, "rule")) {
			if (wanted.section)
				r = add_rule(edit, &wanted, account);
			wanted = (struct wanted){.section = cursor.value};
		}
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (fields_is(&cursor, keys[i].key))
				*keys[i].value = cursor.value;
	}
	if (!r && !wanted.section)
		r = wrong(edit, "there is no rule to add");
	return r ? r : add_rule(edit, &wanted, account);
}

static bool has_mode(const struct local_rules *rules, unsigned int change)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->entries[i].change == change &&
		    !strcmp(rules->entries[i].section, "mode"))
			return true;
	return false;
}

static int undo(struct edit *edit)
{
	const char *text = fields_get(edit->request, "change");
	unsigned long change = local_rules_last(&edit->rules);

	if (!change)
		return wrong(edit, "there is nothing to undo: %s has no change",
			     edit->path);
	if (text)
		change = strtoul(text, NULL, 10);
	if (change > UINT_MAX)
		change = 0; /* which there is never */
	/* What `leash mode` does is root's (control.c), so its undoing is. */
	if (edit->uid != 0 && has_mode(&edit->rules, (unsigned int)change))
		return wrong(edit, "change %lu is of the mode: only root may",
			     change);
	if (!local_rules_undo(&edit->rules, (unsigned int)change))
		return wrong(edit, "there is no change %s in %s",
			     text ? text : "", edit->path);
	edit->entry.change = (unsigned int)change;
	return 0;
}

static int set_mode(struct edit *edit)
{
	const char *mode = fields_get(edit->request, "mode");
	char text[64];
	uint32_t account;
	int r;

	if (!mode || (strcmp(mode, "observe") && strcmp(mode, "enforce")))
		return wrong(edit, "mode is observe or enforce");
	edit->entry.account = (char *)"-";
	if (fields_get(edit->request, "account")) {
		r = take_account(edit, &account);
		if (r)
			return r;
	}
	snprintf(text, sizeof(text), "mode = \"%s\";", mode);
	edit->entry.section = (char *)"mode";
	edit->entry.text = text;
	return local_rules_add(&edit->rules, &edit->entry);
}

static int change(struct edit *edit)
{
	const char *what = fields_get(edit->request, "do");

	edit->entry.change = local_rules_last(&edit->rules) + 1;
	local_rules_tidy(&edit->rules, edit->now);
	if (what && !strcmp(what, "add"))
		return add(edit);
	if (what && !strcmp(what, "undo"))
		return undo(edit);
	if (what && !strcmp(what, "mode"))
		return set_mode(edit);
	return wrong(edit, "do is add, undo or mode");
}

static int write_new(struct edit *edit, const char *text)
{
	CLEANUP(fd_close) int fd = -1;
	int r = 0;

	unlinkat(edit->folder_fd, NEW_FILE, 0); /* of one that died */
	fd = openat(edit->folder_fd, NEW_FILE,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		r = -errno;
	if (!r)
		r = fd_write_all(fd, text, strlen(text));
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (r)
		return wrong(edit, "%s cannot be written: %s", edit->path,
			     strerror(-r));
	return 0;
}

/* Of the notes, those on rules made here. */
static void put_own_notes(const struct edit *edit, const char *notes, FILE *out)
{
	size_t length = strlen(edit->path);

	for (const char *line = notes; *line;) {
		size_t n = strcspn(line, "\n");

		n += line[n] == '\n';
		if (!strncmp(line, edit->path, length) && line[length] == ':')
			fwrite(line, 1, n, out);
		line += n;
	}
}

/* Say which of the rules made here can never decide anything. */
static int put_findings(struct edit *edit, int image, const char *notes)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	CLEANUP_FREE char *text = NULL;
	struct findings_scope scope = {
		.profiles = edit->source->profiles_dir,
		.only = edit->path,
	};
	struct report report = {.errors = 0};
	size_t size;
	int r = policy_map(image, &policy);

	if (r)
		return r < 0 ? r : -EINVAL;
	report.out = open_memstream(&text, &size);
	if (!report.out)
		return -ENOMEM;
	put_own_notes(edit, notes, report.out);
	r = findings_report(policy, &scope, &report);
	if (fclose(report.out))
		return -ENOMEM;
	if (!r && *text)
		fields_put(edit->reply, "notes", text);
	return r;
}

/* The whole configuration, with the new file in the old one's place. */
static int compile(struct edit *edit)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP(fd_close) int image = -1;
	char path[4300];
	struct config_source source = *edit->source;
	struct report report = {.errors = 0};
	size_t size;
	int r;

	snprintf(path, sizeof(path), "%s/" NEW_FILE, edit->folder);
	source.replaced = edit->path;
	source.replacement = path;
	report.out = open_memstream(&text, &size);
	if (!report.out)
		return -ENOMEM;
	r = config_compile(&source, 1, &report, &image);
	if (fclose(report.out))
		return -ENOMEM;
	if (r == CONFIG_WRONG)
		fields_put(edit->reply, "text", text);
	return r ? r : put_findings(edit, image, text);
}

/* The lines between what both begin and end with. */
static void put_diff(struct edit *edit, const char *new)
{
	const char *old = edit->old, *old_end = old + strlen(old);
	const char *new_end = new + strlen(new), *from = new;
	CLEANUP_FREE char *text = NULL;
	size_t size, same = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	while (old[same] && old[same] == new[same])
		same++;
	while (same && new[same - 1] != '\n')
		same--;
	old += same;
	from += same;
	while (old_end > old && new_end > from && old_end[-1] == new_end[-1])
		old_end--, new_end--;
	/* Whole lines only; what follows is the same on both sides. */
	while ((old_end > old && old_end[-1] != '\n') ||
	       (new_end > from && new_end[-1] != '\n')) {
		if (!*old_end && !*new_end)
			break;
		old_end++;
		new_end++;
	}
	fprintf(out, "--- %s\n", edit->path);
	for (int side = 0; side < 2; side++) {
		const char *at = side ? from : old;
		const char *end = side ? new_end : old_end;

		while (at < end) {
			size_t n = strcspn(at, "\n");

			fprintf(out, "%c%.*s\n", side ? '+' : '-', (int)n, at);
			at += n + (at[n] == '\n');
		}
	}
	if (!fclose(out))
		fields_put(edit->reply, "diff", text);
}

static int put_in_place(struct edit *edit)
{
	if (renameat(edit->folder_fd, NEW_FILE, edit->folder_fd,
		     LOCAL_RULES_FILE) < 0 ||
	    fsync(edit->folder_fd) < 0)
		return wrong(edit, "%s cannot be written: %s", edit->path,
			     strerror(errno));
	return 0;
}

static int carry_out(struct edit *edit)
{
	CLEANUP_FREE char *text = NULL;
	int r = open_folder(edit);

	if (!r)
		r = read_file(edit);
	if (!r)
		r = change(edit);
	if (r)
		return r;
	text = local_rules_text(&edit->rules);
	if (!text)
		return -ENOMEM;
	r = write_new(edit, text);
	if (!r)
		r = compile(edit);
	if (r) {
		unlinkat(edit->folder_fd, NEW_FILE, 0);
		return r;
	}
	put_diff(edit, text);
	fields_format(edit->reply, "change", "%u", edit->entry.change);
	if (fields_get(edit->request, "dry")) {
		unlinkat(edit->folder_fd, NEW_FILE, 0);
		return LOCAL_EDIT_DRY;
	}
	return put_in_place(edit);
}

int local_edit(const struct config_source *source, const struct policy *policy,
	       uid_t who, const struct fields *request, struct fields *reply)
{
	struct edit edit = {
		.source = source,
		.policy = policy,
		.request = request,
		.reply = reply,
		.folder_fd = -1,
	};
	int r;

	take_common(&edit, who);
	r = carry_out(&edit);
	local_rules_free(&edit.rules);
	free(edit.old);
	fd_close(edit.folder_fd);
	return r;
}
