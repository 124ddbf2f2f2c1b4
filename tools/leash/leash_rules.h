#pragma once

/*
 * leash_rules - change what is in force
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_rules_allow(int argc, char **argv); /* and deny */
int leash_rules_undo(int argc, char **argv);
int leash_rules_mode(int argc, char **argv);
int leash_rules_reload(int argc, char **argv);
