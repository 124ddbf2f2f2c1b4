#include "tests/unit/rule_file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *unescape(const char *text)
{
	char *made = malloc(strlen(text) + 1), *to = made;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == '\\' && text[2] == 'n') {
			*to++ = '\\';
			*to++ = 'n';
			text += 2;
		} else if (text[0] == '\\' && text[1] == 'n') {
			*to++ = '\n';
			text++;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
	return made;
}

struct rule_file rule_file_read(const char *path)
{
	struct rule_file file = {NULL, 0};
	char line[8192], rule[64] = "", kind[32] = "";
	FILE *in = fopen(path, "r");

	if (!in) {
		printf("Bail out! %s cannot be read\n", path);
		exit(1);
	}
	while (fgets(line, sizeof(line), in)) {
		bool yes = !strncmp(line, "yes ", 4);

		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "kind ", 5))
			snprintf(kind, sizeof(kind), "%.31s", line + 5);
		if (!strncmp(line, "rule ", 5))
			snprintf(rule, sizeof(rule), "%.*s",
				 (int)strcspn(line + 5, "\t"), line + 5);
		if (!yes && strncmp(line, "no ", 3))
			continue;
		file.examples =
			realloc(file.examples,
				(file.count + 1) * sizeof(*file.examples));
		memset(&file.examples[file.count], 0, sizeof(*file.examples));
		strcpy(file.examples[file.count].rule, rule);
		strcpy(file.examples[file.count].kind, kind);
		file.examples[file.count].yes = yes;
		file.examples[file.count++].text =
			unescape(line + (yes ? 4 : 3));
	}
	fclose(in);
	return file;
}

void rule_file_free(struct rule_file *file)
{
	for (size_t i = 0; i < file->count; i++)
		free(file->examples[i].text);
	free(file->examples);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static size_t spell(const char *set, const char *end, char ret[static 256])
{
	size_t count = 0;

	for (; set < end; set++) {
		if (set + 2 < end && set[1] == '-') {
			for (int c = set[0]; c <= set[2]; c++)
				ret[count++] = (char)c;
			set += 2;
		} else {
			ret[count++] = *set;
		}
	}
	return count;
}

/* {SET:N}; its end, or NULL if it is none. */
static const char *template_end(const char *text, const char **ret_colon,
				long *ret_count)
{
	const char *end = strchr(text, '}');
	const char *colon = end;

	while (colon && colon > text && *colon != ':')
		colon--;
	if (!end || colon <= text + 1 || !isdigit((unsigned char)colon[1]))
		return NULL;
	*ret_count = strtol(colon + 1, NULL, 10);
	*ret_colon = colon;
	for (const char *at = text + 1; at < colon; at++)
		if (strchr("\"{ ", *at))
			return NULL;
	return strspn(colon + 1, "0123456789") == (size_t)(end - colon - 1)
		       ? end
		       : NULL;
}

char *rule_file_fill(const char *text, uint64_t *seed)
{
	char *made = malloc(65536), *to = made;

	for (; *text; text++) {
		const char *colon, *end = NULL;
		char set[256];
		size_t size;
		long count;

		if (*text == '{')
			end = template_end(text, &colon, &count);
		if (!end) {
			*to++ = *text;
			continue;
		}
		size = spell(text + 1, colon, set);
		for (long i = 0; i < count; i++)
			*to++ = set[next_random(seed) % size];
		text = end;
	}
	*to = '\0';
	return made;
}
