#pragma once

/*
 * shell_parse - what a command line would run, as a shell would read it
 *
 * Not a substring search: the text is cut into simple commands by the shell's
 * own rules - quotes, $'..', here-documents, pipelines, substitutions, braces,
 * $IFS, variables set before - and what programs run in turn (sudo, env,
 * xargs, find -exec, sh -c, eval) is read the same way.  What `echo` or
 * `printf` would print, and `base64 -d`, `xxd -r`, `rev` would make of it, is
 * found out where it is plain, since such text is fed to a shell to hide it.
 *
 * Nothing is run.  A text beyond the bounds of shell.h, or beyond its effort,
 * is SHELL_TOO_COMPLEX, and whoever asked must take that as no.
 */

#include "toolcall/shell/shell.h"

/* effort may be NULL, and is used for what is asked of *ret, too. */
MUST_CHECK int shell_parse(const char *text, size_t length,
			   struct effort *effort, struct shell **ret);
