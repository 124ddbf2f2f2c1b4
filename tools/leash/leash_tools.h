#pragma once

/*
 * leash_tools - hooks in an agent's settings, and definitions of tools
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_tools(int argc, char **argv);
