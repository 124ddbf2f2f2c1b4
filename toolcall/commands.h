#pragma once

/*
 * commands - which rules of rules/commands.rules a command line breaks
 */

#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "toolcall/command_rules.h"
#include "toolcall/shell.h"

struct commands; /* the rules' expressions, compiled */

MUST_CHECK int commands_new(struct commands **ret);
struct commands *commands_free(struct commands *commands);
DEFINE_CLEANUP(struct commands *, commands_free)

typedef void (*commands_fn)(void *context, const struct command_rule *rule);

/* Call found for each rule of the kinds (bits) that shell breaks. */
void commands_judge(const struct commands *commands, const struct shell *shell,
		    uint32_t kinds, commands_fn found, void *context);

/* The same for a tool that writes the file at path itself. */
void commands_judge_write(const struct commands *commands, const char *path,
			  uint32_t kinds, commands_fn found, void *context);

/* The same for a tool that takes SQL. */
void commands_judge_sql(const struct commands *commands, const char *text,
			uint32_t kinds, commands_fn found, void *context);
