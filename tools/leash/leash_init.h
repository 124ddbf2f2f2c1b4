#pragma once

/*
 * leash_init - an account, a workspace and a first policy
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_init(int argc, char **argv);
