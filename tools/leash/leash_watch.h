#pragma once

/*
 * leash_watch - the verdicts as they happen
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_watch(int argc, char **argv);
