#pragma once

/*
 * leash_check - what is wrong with a configuration, and what of it is in vain
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_check(int argc, char **argv);
