#include "gatekeeper/config/compile/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/config/compile/trust.h"

#define INCLUDE_DEPTH_MAX 10 /* of libconfig's */

#if LIBCONFIG_VER_MAJOR == 1 && LIBCONFIG_VER_MINOR < 7
#define COUNTS_FILES 1
#else
#define COUNTS_FILES 0 /* the list ends by NULL, and its paths are whole */
#endif

/* How many files libconfig has read, the one itself first. */
static size_t count_files(const config_t *config)
{
#if COUNTS_FILES
	return config->num_filenames;
#else
	size_t count = 0;

	while (config->filenames && config->filenames[count])
		count++;
	return count;
#endif
}

/* What it has read besides content, by @include: as written, below include. */
static bool trust_includes(struct compiler *compiler, const config_t *config,
			   const char *content)
{
	size_t count = count_files(config);
	bool trusted = true;

	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *path = NULL;

		if (!i && !strcmp(config->filenames[i], content))
			continue;
		if (asprintf(&path, "%s%s%s",
			     COUNTS_FILES ? compiler->source->profiles_dir : "",
			     COUNTS_FILES ? "/" : "",
			     config->filenames[i]) < 0) {
			path = NULL;
			trusted = false;
		} else if (!trust_file(compiler->report, path)) {
			trusted = false;
		}
	}
	return trusted;
}

/* What stands in quotes in a line of the file at path; false: nothing. */
static bool read_quoted(const char *path, unsigned int line,
			char ret[static 4096])
{
	CLEANUP_FREE char *text = NULL;
	FILE *in = fopen(path, "re");
	size_t size = 0;
	bool found = false;

	while (in && line && getline(&text, &size, in) > 0)
		if (!--line)
			found = sscanf(text, "%*[^\"]\"%4095[^\"\n]", ret) == 1;
	if (in)
		fclose(in);
	return found;
}

/* The way up from folder, an absolute path, to the root. */
static void write_way_up(const char *folder, char ret[static 256])
{
	size_t length = 0;

	ret[0] = '\0';
	while (*(folder += strspn(folder, "/")) && length < 250) {
		strcpy(ret + length, "../");
		length += 3;
		folder += strcspn(folder, "/");
	}
}

/* What an @include at place, a line of the file at path, cannot open. */
static void report_include(struct compiler *compiler, struct report_place place,
			   const char *path)
{
	const char *folder = compiler->source->profiles_dir;
	char wanted[4096], up[256];

	if (!read_quoted(path, place.line, wanted)) {
		report_error(compiler->report, place,
			     "@include: cannot be opened; name a file below %s",
			     folder);
	} else if (wanted[0] != '/') {
		report_error(compiler->report, place,
			     "@include: %s/%s cannot be opened; name a file "
			     "below %s",
			     folder, wanted, folder);
	} else {
		write_way_up(folder, up);
		report_error(compiler->report, place,
			     "@include: \"%s\" is looked for below %s and "
			     "cannot be opened; write \"%s%s\"%s",
			     wanted, folder, up, wanted + 1,
			     access(wanted, R_OK) ? ", once it is there" : "");
	}
}

/* A file that libconfig will not have, or one that it includes. */
static void report_parsing(struct compiler *compiler, const config_t *config,
			   const char *path, const char *content)
{
	const char *in = config_error_file(config);
	const char *text = config_error_text(config);
	bool included = in && in != content && strcmp(in, content);
	struct report_place place = {
		.file = included ? in : path,
		.line = (unsigned int)config_error_line(config),
	};
	char whole[4200];

	if (strcmp(text, "cannot open include file") != 0) {
		report_error(compiler->report, place, "%s", text);
		return;
	}
	snprintf(whole, sizeof(whole), "%s%s%s",
		 included && in[0] != '/' ? compiler->source->profiles_dir : "",
		 included && in[0] != '/' ? "/" : "", included ? in : content);
	report_include(compiler, place, whole);
}

/*
 * libconfig ends the process where what it includes is a folder, and waits
 * where it is a pipe.  False: there is one in the file at path, written as it
 * is known to people, or in what it includes.
 */
static bool includes_files(struct compiler *compiler, const char *written,
			   const char *path, unsigned int depth)
{
	CLEANUP_FREE char *text = NULL;
	struct report_place place = {.file = written};
	FILE *in = depth < INCLUDE_DEPTH_MAX ? fopen(path, "re") : NULL;
	char wanted[4096], whole[8192];
	size_t size = 0;
	bool good = true;

	while (in && good && getline(&text, &size, in) > 0) {
		struct stat st;

		place.line++;
		if (sscanf(text, " @include \"%4095[^\"\n]\"", wanted) != 1)
			continue;
		snprintf(whole, sizeof(whole), "%s/%s",
			 COUNTS_FILES || wanted[0] != '/'
				 ? compiler->source->profiles_dir
				 : "",
			 wanted);
		if (stat(whole, &st))
			continue; /* libconfig says so, too */
		if (S_ISREG(st.st_mode)) {
			good = includes_files(compiler, whole, whole,
					      depth + 1);
			continue;
		}
		report_error(compiler->report, place,
			     "@include: %s is no file; name a file below %s",
			     whole, compiler->source->profiles_dir);
		good = false;
	}
	if (in)
		fclose(in);
	return good;
}

const struct config_file *config_file_read(struct compiler *compiler,
					   const char *path)
{
	const char *content = path;
	struct config_file *file;

	for (size_t i = 0; i < compiler->file_count; i++)
		if (!strcmp(compiler->files[i].path, path))
			return &compiler->files[i];
	if (compiler->file_count == CONFIG_FILE_COUNT_MAX) {
		report_error(compiler->report,
			     (struct report_place){.file = path},
			     "is one file too many; there may be %d",
			     CONFIG_FILE_COUNT_MAX);
		return NULL;
	}
	if (compiler->source->replaced &&
	    !strcmp(path, compiler->source->replaced))
		content = compiler->source->replacement;
	if (!trust_file(compiler->report, content) ||
	    !includes_files(compiler, path, content, 0))
		return NULL;

	file = &compiler->files[compiler->file_count];
	file->path = strdup(path);
	if (!file->path)
		return NULL;
	config_init(&file->config);
	config_set_include_dir(&file->config, compiler->source->profiles_dir);
	compiler->file_count++;
	if (!config_read_file(&file->config, content)) {
		report_parsing(compiler, &file->config, path, content);
		return NULL;
	}
	return trust_includes(compiler, &file->config, content) ? file : NULL;
}
