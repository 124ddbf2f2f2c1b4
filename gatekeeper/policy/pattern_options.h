#pragma once

/*
 * pattern_options - how the expression of a condition is compiled
 *
 * Twice, and with the same options: where the configuration is read, to know
 * that it can be, and where calls are judged.  With callouts at each step,
 * whoever matches can stop an expression that costs too much.
 */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define POLICY_PATTERN_OPTIONS(case_sensitive)                                 \
	(PCRE2_AUTO_CALLOUT | ((case_sensitive) ? 0 : PCRE2_CASELESS))
