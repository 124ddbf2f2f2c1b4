#include "gatekeeper/config/local_rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MARK "#+ "

/* What a rule is about ends where its name, and so its change, begins. */
#define ABOUT_END " name = \""
#define UNTIL	  " until = \""

static const char *const heading =
	"# Written by leash(1) alone: leash allow, deny, learn, mode, undo.\n"
	"# Rules of your own belong in another file beside this one.\n";

static const struct {
	const char *name;
	const char *keys[3];
} groups[] = {
	{"files", {"read", "write", "deny"}},
	{"programs", {"list"}},
	{"network", {"allow", "deny"}},
	{"tools", {"allow", "deny"}},
};

#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static void free_entry(struct local_entry *entry)
{
	free(entry->time);
	free(entry->who);
	free(entry->account);
	free(entry->section);
	free(entry->why);
	free(entry->text);
}

void local_rules_free(struct local_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		free_entry(&rules->entries[i]);
	free(rules->entries);
	*rules = (struct local_rules){NULL, 0};
}

static int append(struct local_rules *rules, const struct local_entry *entry)
{
	struct local_entry *grown, copy = {
					   .change = entry->change,
					   .time = strdup(entry->time),
					   .who = strdup(entry->who),
					   .account = strdup(entry->account),
					   .section = strdup(entry->section),
					   .why = strdup(entry->why),
					   .text = strdup(entry->text),
				   };

	grown = realloc(rules->entries, (rules->count + 1) * sizeof(*grown));
	if (grown)
		rules->entries = grown;
	if (!grown || !copy.time || !copy.who || !copy.account ||
	    !copy.section || !copy.why || !copy.text) {
		free_entry(&copy);
		return -ENOMEM;
	}
	rules->entries[rules->count++] = copy;
	return 0;
}

static void remove_at(struct local_rules *rules, size_t index)
{
	free_entry(&rules->entries[index]);
	rules->count--;
	memmove(rules->entries + index, rules->entries + index + 1,
		(rules->count - index) * sizeof(*rules->entries));
}

/* Two rules about the same: the part before the name is. */
static bool same_subject(const struct local_entry *a,
			 const struct local_entry *b)
{
	const char *end = strstr(a->text, ABOUT_END);
	size_t group = strcspn(a->section, ".");

	if (strcmp(a->account, b->account) ||
	    strncmp(a->section, b->section, group + 1))
		return false;
	if (!end) /* a mode */
		return !strcmp(a->section, b->section);
	return !strncmp(a->text, b->text,
			(size_t)(end - a->text) + strlen(ABOUT_END));
}

int local_rules_add(struct local_rules *rules, const struct local_entry *entry)
{
	for (size_t i = rules->count; i-- > 0;)
		if (same_subject(entry, &rules->entries[i]))
			remove_at(rules, i);
	return append(rules, entry);
}

size_t local_rules_undo(struct local_rules *rules, unsigned int change)
{
	size_t before = rules->count;

	for (size_t i = rules->count; i-- > 0;)
		if (rules->entries[i].change == change)
			remove_at(rules, i);
	return before - rules->count;
}

void local_rules_tidy(struct local_rules *rules, const char *now)
{
	for (size_t i = rules->count; i-- > 0;) {
		const char *until = strstr(rules->entries[i].text, UNTIL);

		if (until &&
		    strncmp(until + strlen(UNTIL), now, strlen(now)) <= 0)
			remove_at(rules, i);
	}
}

unsigned int local_rules_last(const struct local_rules *rules)
{
	unsigned int last = 0;

	for (size_t i = 0; i < rules->count; i++)
		if (rules->entries[i].change > last)
			last = rules->entries[i].change;
	return last;
}

/* Cut the next word off *text; NULL if there is none. */
static char *next_word(char **text)
{
	char *word = *text;
	size_t length = strcspn(word, " ");

	if (!length)
		return NULL;
	*text = word + length + (word[length] == ' ');
	word[length] = '\0';
	return word;
}

/* An entry from its comment and its line; both are changed. */
static int read_entry(struct local_rules *rules, char *comment, char *line)
{
	struct local_entry entry = {.text = line + strspn(line, "\t")};
	size_t length = strlen(entry.text);
	char *change, *end;

	if (length && entry.text[length - 1] == ',')
		entry.text[length - 1] = '\0';
	comment += strspn(comment, "\t") + strlen(MARK);
	change = next_word(&comment);
	entry.time = next_word(&comment);
	entry.who = next_word(&comment);
	entry.account = next_word(&comment);
	entry.section = next_word(&comment);
	entry.why = comment;
	if (!change || !entry.time || !entry.who || !entry.account ||
	    !entry.section)
		return LOCAL_RULES_FOREIGN;
	entry.change = (unsigned int)strtoul(change, &end, 10);
	return *end ? LOCAL_RULES_FOREIGN : append(rules, &entry);
}

static int read_lines(char *text, struct local_rules *rules)
{
	char *comment = NULL, *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		int r = comment ? read_entry(rules, comment, line) : 0;

		if (r < 0)
			return r;
		comment = !comment && !strncmp(line + strspn(line, "\t"), MARK,
					       strlen(MARK))
				  ? line
				  : NULL;
	}
	return 0;
}

/* The number of the first line in which they differ. */
static size_t differing_line(const char *a, const char *b)
{
	size_t line = 1;

	for (; *a && *a == *b; a++, b++)
		line += *a == '\n';
	return line;
}

int local_rules_read(const char *text, struct local_rules *ret,
		     size_t *ret_line)
{
	CLEANUP_FREE char *copy = strdup(text);
	CLEANUP_FREE char *again = NULL;
	int r;

	*ret = (struct local_rules){NULL, 0};
	*ret_line = 0;
	if (!copy)
		return -ENOMEM;
	r = read_lines(copy, ret);
	if (!r)
		again = local_rules_text(ret);
	if (!r && !again)
		r = -ENOMEM;
	if (!r && strcmp(text, again) && text[0]) {
		*ret_line = differing_line(text, again);
		r = LOCAL_RULES_FOREIGN;
	}
	if (r)
		local_rules_free(ret);
	return r;
}

static void write_comment(FILE *out, const struct local_entry *entry,
			  const char *indent)
{
	fprintf(out, "%s" MARK "%u %s %s %s %s%s%s\n", indent, entry->change,
		entry->time, entry->who, entry->account, entry->section,
		entry->why[0] ? " " : "", entry->why);
}

static void write_mode(FILE *out, const struct local_rules *rules,
		       const char *account, const char *indent)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct local_entry *entry = &rules->entries[i];

		if (strcmp(entry->account, account) ||
		    strcmp(entry->section, "mode"))
			continue;
		write_comment(out, entry, indent);
		fprintf(out, "%s%s\n", indent, entry->text);
	}
}

static bool is_in(const struct local_entry *entry, const char *account,
		  const char *group, const char *key)
{
	size_t length = strlen(group);

	return !strcmp(entry->account, account) &&
	       !strncmp(entry->section, group, length) &&
	       entry->section[length] == '.' &&
	       (!key || !strcmp(entry->section + length + 1, key));
}

static bool any_in(const struct local_rules *rules, const char *account,
		   const char *group, const char *key)
{
	for (size_t i = 0; i < rules->count; i++)
		if (is_in(&rules->entries[i], account, group, key))
			return true;
	return false;
}

static void write_list(FILE *out, const struct local_rules *rules,
		       const char *account, const char *group, const char *key)
{
	bool first = true;

	if (!key || !any_in(rules, account, group, key))
		return;
	fprintf(out, "\t\t\t%s = (\n", key);
	for (size_t i = 0; i < rules->count; i++) {
		const struct local_entry *entry = &rules->entries[i];

		if (!is_in(entry, account, group, key))
			continue;
		fputs(first ? "" : ",\n", out);
		first = false;
		write_comment(out, entry, "\t\t\t\t");
		fprintf(out, "\t\t\t\t%s", entry->text);
	}
	fputs("\n\t\t\t);\n", out);
}

static void write_account(FILE *out, const struct local_rules *rules,
			  const char *account)
{
	fprintf(out, "\t{\n\t\taccount = \"%s\";\n", account);
	write_mode(out, rules, account, "\t\t");
	for (size_t g = 0; g < GROUPS; g++) {
		if (!any_in(rules, account, groups[g].name, NULL))
			continue;
		fprintf(out, "\t\t%s = {\n", groups[g].name);
		for (size_t k = 0; k < 3; k++)
			write_list(out, rules, account, groups[g].name,
				   groups[g].keys[k]);
		fputs("\t\t};\n", out);
	}
	fputs("\t}", out);
}

/* Is this the first entry of an account? */
static bool begins_account(const struct local_rules *rules, size_t index)
{
	const char *account = rules->entries[index].account;

	if (!strcmp(account, "-"))
		return false;
	for (size_t i = 0; i < index; i++)
		if (!strcmp(rules->entries[i].account, account))
			return false;
	return true;
}

char *local_rules_text(const struct local_rules *rules)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool first = true;

	if (!out)
		return NULL;
	fputs(heading, out);
	write_mode(out, rules, "-", "");
	for (size_t i = 0; i < rules->count; i++) {
		if (!begins_account(rules, i))
			continue;
		fputs(first ? "accounts = (\n" : ",\n", out);
		first = false;
		write_account(out, rules, rules->entries[i].account);
	}
	if (!first)
		fputs("\n);\n", out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
