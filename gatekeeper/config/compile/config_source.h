#pragma once

/*
 * config_source - which files a configuration is read from
 */

struct config_source {
	const char *path;	  /* leash.conf */
	const char *profiles_dir; /* where `profiles` are looked up */
	/* A drop-in, and what to read in its place, if it is not NULL. */
	const char *replaced;
	const char *replacement;
};

/* Expected outcome of whatever reads them. */
enum {
	CONFIG_WRONG = 1, /* report says why */
};
