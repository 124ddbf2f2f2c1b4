#pragma once

/*
 * findings - rules that can never decide anything
 *
 * Not mistakes: the configuration is correct, and what such a rule says is
 * never heard, because another comes before it wherever it matches.  Found by
 * asking policy_decide() about what each rule names, so that this knows no
 * precedence of its own.
 *
 * Said of rules that name a path, a host or a network.  Patterns, programs
 * bound to their content, and rules that lose to one that will end are passed
 * over, and so are repetitions of what a profile says.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/compile/report.h"
#include "gatekeeper/policy/image.h"

struct findings_scope {
	const char *profiles; /* folder; rules from there are not looked at */
	const char *only;     /* file; rules from elsewhere are not; or NULL */
};

/* Note each in report; -ENOMEM. */
MUST_CHECK int findings_report(const struct policy *policy,
			       const struct findings_scope *scope,
			       struct report *report);
