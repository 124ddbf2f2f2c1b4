#pragma once

/*
 * shell - a command line as it was read
 *
 * The simple commands of a text (shell_parse.h), how they are joined, and
 * questions that need nothing else.  What depends on things not in the text
 * stays open: such a word is `dynamic`.
 *
 * Bounded: SHELL_* below.  Variables and substitutions make long texts of short
 * ones, so what they come to is bounded, too: each word, and all of it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/effort.h"

#define SHELL_BYTES_MAX	   ((size_t)256 << 10)	  /* of a text, and of a word */
#define SHELL_SUM_MAX	   (16 * SHELL_BYTES_MAX) /* read, expanded and kept */
#define SHELL_COMMANDS_MAX 1024
#define SHELL_DEPTH_MAX	   12

struct shell_word {
	char *text; /* owned; without quotes */
	bool dynamic;
};

enum shell_redirect_kind {
	SHELL_REDIRECT_READ,
	SHELL_REDIRECT_WRITE, /* and append, and both ways */
	SHELL_REDIRECT_HERE,  /* the text itself */
};

struct shell_redirect {
	enum shell_redirect_kind kind;
	char *target; /* owned */
};

struct shell_command {
	struct shell_word *words; /* words[0] is the program; owned */
	size_t word_count;
	struct shell_redirect *redirects; /* owned */
	size_t redirect_count;
	/* Index of the command whose output it reads, or -1. */
	int reads_from;
	int feeds; /* index of the command that reads its output, or -1 */
	/* Index of the command in one of whose words it is substituted, or
	 * which runs it as part of its own work; or -1. */
	int part_of;
	bool is_substitution; /* its output becomes words of part_of */
	bool decoded;	      /* its text was hidden by an encoding */
};

struct shell {
	struct shell_command *commands; /* owned */
	size_t count;
	bool has_fork_bomb;
	bool has_preload; /* LD_PRELOAD=... before a command, and its like */
	bool has_unknown_variable; /* one is set to what only running tells */
	struct effort *effort; /* borrowed, of whoever looks at it; or NULL */
};

/* Expected outcome of whatever reads. */
enum {
	SHELL_TOO_COMPLEX = 1,
};

struct shell *shell_free(struct shell *shell);
DEFINE_CLEANUP(struct shell *, shell_free)

/* The last part of a path. */
const char *shell_basename(const char *path);

/* A command's program, without its folder; "" if there is none. */
const char *shell_program(const struct shell_command *command);

/* Is it a shell, or an interpreter that runs what it reads? */
bool shell_is_shell(const char *program);
bool shell_is_interpreter(const char *program);

/* Is the word among those of the list, which ends with NULL? */
bool shell_is_among(const char *word, const char *const *list);

/* Is there a command of that number, and effort left to look at it? */
bool shell_goes_on(const struct shell *shell, size_t index);
