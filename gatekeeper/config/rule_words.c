#include <string.h>
#include <time.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/config/compile.h"

int rule_words_name(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct policy_words *words = context;

	schema_string(compiler, setting, &words->name);
	return 0;
}

int rule_words_reason(struct compiler *compiler,
		      const config_setting_t *setting, void *context)
{
	struct policy_words *words = context;

	schema_string(compiler, setting, &words->reason);
	return 0;
}

int rule_words_log(struct compiler *compiler, const config_setting_t *setting,
		   void *context)
{
	struct policy_words *words = context;
	bool log = true;

	schema_bool(compiler, setting, &log);
	words->quiet = !log;
	return 0;
}

int rule_words_mode(struct compiler *compiler, const config_setting_t *setting,
		    void *context)
{
	struct policy_words *words = context;
	enum policy_mode mode = POLICY_MODE_ENFORCE;

	schema_mode(compiler, setting, &mode);
	words->observe = mode == POLICY_MODE_OBSERVE;
	return 0;
}

int rule_words_until(struct compiler *compiler, const config_setting_t *setting,
		     void *context)
{
	struct policy_words *words = context;
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
	words->until_s = timegm(&when);
	if (words->until_s <= clock_realtime_ns() / CLOCK_NS_PER_S)
		report_note(compiler->report, compiler_place(compiler, setting),
			    "this rule has ended and does nothing");
	return 0;
}
