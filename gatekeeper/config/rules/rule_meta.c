#include "gatekeeper/config/rules/rule_meta.h"

#include <string.h>
#include <time.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/config/compile/schema.h"

int rule_meta_name(struct compiler *compiler, const config_setting_t *setting,
		   void *context)
{
	struct policy_rule_meta *meta = context;

	schema_string(compiler, setting, &meta->name);
	return 0;
}

int rule_meta_reason(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct policy_rule_meta *meta = context;

	schema_string(compiler, setting, &meta->reason);
	return 0;
}

int rule_meta_log(struct compiler *compiler, const config_setting_t *setting,
		  void *context)
{
	struct policy_rule_meta *meta = context;
	bool log = true;

	schema_bool(compiler, setting, &log);
	meta->quiet = !log;
	return 0;
}

int rule_meta_mode(struct compiler *compiler, const config_setting_t *setting,
		   void *context)
{
	struct policy_rule_meta *meta = context;
	enum policy_mode mode = POLICY_MODE_ENFORCE;

	schema_mode(compiler, setting, &mode);
	meta->observe = mode == POLICY_MODE_OBSERVE;
	return 0;
}

int rule_meta_until(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct policy_rule_meta *meta = context;
	struct tm when = {0};
	const char *text, *end;

	if (!schema_string(compiler, setting, &text))
		return 0;
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &when);
	if (!end || *end) {
		compiler_error(compiler, setting,
			       "is \"%s\"; it must be a time in UTC such as "
			       "\"2026-12-31T18:00:00Z\"",
			       text);
		return 0;
	}
	meta->until_s = timegm(&when);
	if (meta->until_s <= clock_realtime_ns() / CLOCK_NS_PER_S)
		report_note(compiler->report, compiler_place(compiler, setting),
			    "this rule has ended and does nothing");
	return 0;
}
