#pragma once

/*
 * leash_learn - from what was observed to the smallest sensible rules
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_learn(int argc, char **argv);
