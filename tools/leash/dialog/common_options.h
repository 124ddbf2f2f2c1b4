#pragma once

/*
 * common_options - options that several commands of leash(1) have
 *
 * Each begins a row of their tables (gatekeeper/base/options.h); where it goes
 * is for the command to say: {LEASH_JSON, .flag = &json}.
 */

#include "gatekeeper/base/options.h"

#define LEASH_ACCOUNT "account", 0, "NAME", "the account that is meant"
#define LEASH_DRY_RUN                                                          \
	"dry-run", 0, NULL, "show what would change, and change nothing"
#define LEASH_FOR     "for", 0, "TIME", "it ends after 90s, 15m, 2h or 7d"
#define LEASH_JSON    "json", 0, NULL, "print JSON, for programs"
#define LEASH_PROGRAM "program", 0, "FILE", "for a host: this program alone"
#define LEASH_PROTOCOL                                                         \
	"protocol", 0, "PROTOCOL", "for a host: such as tcp or udp"
#define LEASH_WHY "why", 0, "TEXT", "kept with the change"
