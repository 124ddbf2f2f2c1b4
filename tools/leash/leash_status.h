#pragma once

/*
 * leash_status - is the leash on, and what does it hold
 *
 * Called as main() is; returns an exit code (tools/lib/complaint.h).
 */

int leash_status(int argc, char **argv);
