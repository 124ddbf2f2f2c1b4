#pragma once

/*
 * leash_explain - would it be allowed, by which rule, and what to change
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_explain(int argc, char **argv);
