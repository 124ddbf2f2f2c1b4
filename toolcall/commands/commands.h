#pragma once

/*
 * commands - which rules of rules/commands.rules a command line breaks
 */

#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/effort.h"
#include "toolcall/commands/command_rules.h"
#include "toolcall/shell/shell.h"

struct commands; /* the rules' expressions, compiled */

MUST_CHECK int commands_new(struct commands **ret);
struct commands *commands_free(struct commands *commands);
DEFINE_CLEANUP(struct commands *, commands_free)

typedef void (*commands_fn)(void *context, const struct command_rule *rule);

/*
 * Call found for each rule of the kinds (bits) that shell breaks.  All of this
 * is done once the effort, that of the shell or of commands_allow(), is spent:
 * whoever gave it looks, and takes that as no.
 */
void commands_judge(const struct commands *commands, const struct shell *shell,
		    uint32_t kinds, commands_fn found, void *context);

/* The same for a tool that writes the file at path itself. */
void commands_judge_write(const struct commands *commands, const char *path,
			  uint32_t kinds, commands_fn found, void *context);

/* The same for a tool that takes SQL. */
void commands_judge_sql(const struct commands *commands, const char *text,
			uint32_t kinds, commands_fn found, void *context);

/* What expressions may cost from now on; the caller keeps it, or NULL. */
void commands_allow(struct commands *commands, struct effort *effort);
