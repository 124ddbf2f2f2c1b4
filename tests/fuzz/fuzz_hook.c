/* what an agent's hook sends, and its settings: an answer, or none */

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/hook/hook_formats.h"
#include "tools/lib/settings_edit.h"

static void ask(const struct hook_format *format, const json_t *input)
{
	json_t *changed = json_object();
	const struct hook_verdict verdicts[] = {
		{true, "no", NULL},
		{false, "yes", NULL},
		{false, "yes", changed},
	};
	struct hook_question question = {.input = input};

	if (!format->read(input, &question)) {
		json_decref(changed);
		return;
	}
	if (!question.request || !question.event ||
	    !json_object_get(question.request, "ask"))
		abort();
	for (size_t i = 0; i < 3; i++)
		json_decref(format->answer(&question, &verdicts[i]));
	json_decref(changed);
	json_decref(question.request);
	json_decref(question.then);
}

static void edit(const char *text)
{
	static const struct settings_hook hooks[] = {
		{"PreToolUse", "{\"command\": \"leash-hook x\"}"},
		{NULL, NULL},
	};
	char *made = NULL, *back = NULL;
	size_t at = 0;

	if (settings_edit_add(text, hooks, "leash-hook x", NULL, &made))
		return;
	/* All that was there is there, in its order. */
	for (const char *c = made; *c; c++)
		at += *c == text[at] && text[at];
	if (text[at])
		abort();
	if (settings_edit_remove(made, "leash-hook x", &back) || !back)
		abort();
	free(back);
	free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"claude", "codex", "copilot",
					    "cursor", "openclaw"};
	char *text = strndup((const char *)data, size);
	json_error_t error;
	json_t *input = json_loadb((const char *)data, size, 0, &error);

	if (json_is_object(input)) {
		ask(hook_formats_guess(input), input);
		for (size_t i = 0; i < 5; i++)
			ask(hook_formats_find(names[i]), input);
	}
	json_decref(input);
	edit(text);
	free(text);
	return 0;
}
