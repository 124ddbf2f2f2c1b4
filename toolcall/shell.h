#pragma once

/*
 * shell - what a command line would run, as a shell would read it
 *
 * Not a substring search: the text is cut into simple commands by the shell's
 * own rules - quotes, $'..', here-documents, pipelines, substitutions, braces,
 * $IFS, variables set before - and what programs run in turn (sudo, env,
 * xargs, find -exec, sh -c, eval) is read the same way.  What `echo` or
 * `printf` would print, and `base64 -d`, `xxd -r`, `rev` would make of it, is
 * found out where it is plain, since such text is fed to a shell to hide it.
 *
 * Nothing is run.  What depends on things not in the text stays open: such a
 * word is `dynamic`.
 *
 * Bounded: SHELL_* below.  A text beyond them is SHELL_TOO_COMPLEX, and
 * whoever asked must take that as no.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"

#define SHELL_BYTES_MAX	   ((size_t)256 << 10)
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
};

/* Expected outcome. */
enum {
	SHELL_TOO_COMPLEX = 1,
};

MUST_CHECK int shell_parse(const char *text, size_t length, struct shell **ret);
struct shell *shell_free(struct shell *shell);
DEFINE_CLEANUP(struct shell *, shell_free)

/* The last part of a path. */
const char *shell_basename(const char *path);

/* A command's program, without its folder; "" if there is none. */
const char *shell_program(const struct shell_command *command);

/* Is it a shell, or an interpreter that runs what it reads? */
bool shell_is_shell(const char *program);
bool shell_is_interpreter(const char *program);
