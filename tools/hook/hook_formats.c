#include "tools/hook/hook_formats.h"

#include <stdint.h>
#include <string.h>

const char hook_formats_names[] =
	"claude, codex, copilot, cursor, openclaw, json or auto";

static const char *text_of(const json_t *input, const char *key)
{
	return json_string_value(json_object_get(input, key));
}

static bool is_among(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static void put(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
}

static json_t *begin(const char *ask, const char *client, const char *session,
		     const char *cwd)
{
	json_t *request = json_object();

	put(request, "ask", ask);
	put(request, "client", client);
	put(request, "session", session);
	put(request, "cwd", cwd);
	return request;
}

/* Some write an object, others a text that holds one. */
static json_t *object_of(const json_t *value)
{
	json_error_t error;
	json_t *read;

	if (!json_is_string(value))
		return value ? json_incref((json_t *)(uintptr_t)value)
			     : json_object();
	read = json_loadb(json_string_value(value), json_string_length(value),
			  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
				  JSON_DECODE_ANY,
			  &error);
	/* No JSON: then the text itself is what is fed in. */
	return read ? read : json_incref((json_t *)(uintptr_t)value);
}

static json_t *call(json_t *request, const char *tool, const json_t *arguments)
{
	put(request, "tool", tool);
	json_object_set_new(request, "arguments", object_of(arguments));
	return request;
}

static json_t *result(json_t *request, const char *tool, const json_t *value)
{
	put(request, "tool", tool ? tool : "?");
	json_object_set(request, "result",
			value ? (json_t *)(uintptr_t)value : json_null());
	return request;
}

static json_t *event(json_t *request, const char *name, const char *detail)
{
	put(request, "event", name);
	put(request, "detail", detail);
	return request;
}

/* ---- Claude Code, and Codex, which has taken its format */

static bool read_as_claude(const json_t *input, const char *client,
			   struct hook_question *ret)
{
	static const char *const noted[] = {"SessionStart",
					    "SessionEnd",
					    "SubagentStart",
					    "SubagentStop",
					    "Stop",
					    "Notification",
					    "PreCompact",
					    "PostToolUseFailure",
					    "Setup",
					    "TeammateIdle",
					    "TaskCompleted",
					    "ConfigChange",
					    NULL};
	const char *name = text_of(input, "hook_event_name");
	const char *session = text_of(input, "session_id");
	const char *cwd = text_of(input, "cwd");
	const char *tool = text_of(input, "tool_name");

	if (!name)
		return false;
	ret->event = name;
	if (!strcmp(name, "PreToolUse") || !strcmp(name, "PermissionRequest")) {
		if (!tool)
			return false;
		ret->request = call(begin("call", client, session, cwd), tool,
				    json_object_get(input, "tool_input"));
	} else if (!strcmp(name, "PostToolUse")) {
		ret->request =
			result(begin("result", client, session, cwd), tool,
			       json_object_get(input, "tool_response"));
	} else if (!strcmp(name, "UserPromptSubmit")) {
		const char *prompt = text_of(input, "prompt");

		ret->request = begin("prompt", client, session, cwd);
		put(ret->request, "text", prompt ? prompt : "");
	} else if (is_among(name, noted)) {
		const char *mode = text_of(input, "permission_mode");

		ret->request = event(begin("event", client, session, cwd), name,
				     mode ? mode : text_of(input, "source"));
	} else {
		return false;
	}
	return true;
}

static bool read_claude(const json_t *input, struct hook_question *ret)
{
	return read_as_claude(input, "claude", ret);
}

static bool read_codex(const json_t *input, struct hook_question *ret)
{
	return read_as_claude(input, "codex", ret);
}

static json_t *answer_permission(const struct hook_verdict *verdict)
{
	return verdict->denied
		       ? json_pack("{s:{s:s, s:{s:s, s:s}}}",
				   "hookSpecificOutput", "hookEventName",
				   "PermissionRequest", "decision", "behavior",
				   "deny", "message", verdict->reason)
		       : json_object();
}

/* A changed input is shown to the user, not waved through. */
static json_t *answer_pre_tool(const struct hook_verdict *verdict)
{
	if (verdict->denied)
		return json_pack("{s:{s:s, s:s, s:s}}", "hookSpecificOutput",
				 "hookEventName", "PreToolUse",
				 "permissionDecision", "deny",
				 "permissionDecisionReason", verdict->reason);
	if (verdict->changed)
		return json_pack("{s:{s:s, s:s, s:s, s:O}}",
				 "hookSpecificOutput", "hookEventName",
				 "PreToolUse", "permissionDecision", "ask",
				 "permissionDecisionReason", verdict->reason,
				 "updatedInput", verdict->changed);
	return json_object();
}

/*
 * Codex takes a changed input with "allow" alone: after "ask" it calls the hook
 * failed, and runs the call as it was.
 */
static json_t *answer_codex_pre_tool(const struct hook_verdict *verdict)
{
	if (verdict->denied || !verdict->changed)
		return answer_pre_tool(verdict);
	return json_pack("{s:{s:s, s:s, s:s, s:O}}", "hookSpecificOutput",
			 "hookEventName", "PreToolUse", "permissionDecision",
			 "allow", "permissionDecisionReason", verdict->reason,
			 "updatedInput", verdict->changed);
}

static json_t *answer_claude(const struct hook_question *question,
			     const struct hook_verdict *verdict)
{
	if (!strcmp(question->event, "PreToolUse"))
		return answer_pre_tool(verdict);
	if (!strcmp(question->event, "PermissionRequest"))
		return answer_permission(verdict);
	if (verdict->denied && (!strcmp(question->event, "PostToolUse") ||
				!strcmp(question->event, "UserPromptSubmit")))
		return json_pack("{s:s, s:s}", "decision", "block", "reason",
				 verdict->reason);
	return json_object();
}

static json_t *answer_codex(const struct hook_question *question,
			    const struct hook_verdict *verdict)
{
	return strcmp(question->event, "PreToolUse")
		       ? answer_claude(question, verdict)
		       : answer_codex_pre_tool(verdict);
}

/* ---- GitHub Copilot's CLI */

static bool read_copilot(const json_t *input, struct hook_question *ret)
{
	const char *tool = text_of(input, "toolName");
	const char *session = text_of(input, "sessionId");
	const char *cwd = text_of(input, "cwd");
	const json_t *came = json_object_get(input, "toolResult");
	const char *prompt = text_of(input, "prompt");

	if (!tool && text_of(input, "hook_event_name"))
		return read_as_claude(input, "copilot", ret);
	if (tool && came) {
		ret->event = "postToolUse";
		ret->request = result(begin("result", "copilot", session, cwd),
				      tool, came);
	} else if (tool) {
		ret->event = "preToolUse";
		ret->request = call(begin("call", "copilot", session, cwd),
				    tool, json_object_get(input, "toolArgs"));
	} else if (prompt) {
		ret->event = "userPromptSubmitted";
		ret->request = begin("prompt", "copilot", session, cwd);
		put(ret->request, "text", prompt);
	} else {
		ret->event = "session";
		ret->request = event(begin("event", "copilot", session, cwd),
				     "session", text_of(input, "source"));
	}
	return true;
}

static json_t *answer_copilot(const struct hook_question *question,
			      const struct hook_verdict *verdict)
{
	json_t *answer;

	if (!verdict->denied && text_of(question->input, "hook_event_name"))
		return answer_claude(question, verdict);
	if (!verdict->denied && verdict->changed)
		return json_pack("{s:s, s:s, s:O}", "permissionDecision", "ask",
				 "permissionDecisionReason", verdict->reason,
				 "modifiedArgs", verdict->changed);
	if (!verdict->denied)
		return json_object();
	answer = json_pack("{s:s, s:s}", "permissionDecision", "deny",
			   "permissionDecisionReason", verdict->reason);
	if (text_of(question->input, "hook_event_name")) {
		json_t *more = answer_claude(question, verdict);

		json_object_update(answer, more);
		json_decref(more);
	}
	return answer;
}

/* ---- Cursor */

static const char *cursor_folder(const json_t *input)
{
	const json_t *roots = json_object_get(input, "workspace_roots");
	const char *cwd = text_of(input, "cwd");

	return cwd && *cwd ? cwd : json_string_value(json_array_get(roots, 0));
}

/* Its MCP tools are "MCP:name". */
static json_t *cursor_call(json_t *request, const json_t *input)
{
	const char *tool = text_of(input, "tool_name");
	const char *server = text_of(input, "mcp_server_name");

	if (tool && !strncmp(tool, "MCP:", 4)) {
		tool += 4;
		server = server ? server : "mcp";
	}
	if (!server && text_of(input, "hook_event_name") &&
	    !strcmp(text_of(input, "hook_event_name"), "beforeMCPExecution"))
		server = "mcp";
	put(request, "server", server);
	return call(request, tool ? tool : "?",
		    json_object_get(input, "tool_input"));
}

static json_t *one_argument(const json_t *input, const char *key)
{
	json_t *arguments = json_object();
	json_t *value = json_object_get(input, key);

	if (value)
		json_object_set(arguments, key, value);
	return arguments;
}

static bool read_cursor(const json_t *input, struct hook_question *ret)
{
	const char *name = text_of(input, "hook_event_name");
	const char *session = text_of(input, "conversation_id");
	const char *cwd = cursor_folder(input);
	json_t *arguments = NULL;

	if (!name)
		return false;
	if (!session)
		session = text_of(input, "session_id");
	ret->event = name;
	ret->request = begin("call", "cursor", session, cwd);
	if (!strcmp(name, "preToolUse") ||
	    !strcmp(name, "beforeMCPExecution")) {
		cursor_call(ret->request, input);
	} else if (!strcmp(name, "beforeShellExecution")) {
		arguments = one_argument(input, "command");
		call(ret->request, "Shell", arguments);
	} else if (!strcmp(name, "beforeReadFile") ||
		   !strcmp(name, "beforeTabFileRead")) {
		arguments = one_argument(input, "file_path");
		call(ret->request, "Read", arguments);
		if (json_object_get(input, "content"))
			ret->then = result(
				begin("result", "cursor", session, cwd), "Read",
				json_object_get(input, "content"));
	} else if (!strcmp(name, "beforeSubmitPrompt")) {
		put(ret->request, "ask", "prompt");
		put(ret->request, "text", text_of(input, "prompt"));
	} else if (!strcmp(name, "postToolUse")) {
		put(ret->request, "ask", "result");
		result(ret->request, text_of(input, "tool_name"),
		       json_object_get(input, "tool_output"));
	} else {
		put(ret->request, "ask", "event");
		event(ret->request, name, text_of(input, "model"));
	}
	json_decref(arguments);
	return true;
}

static json_t *cursor_permission(const struct hook_verdict *verdict)
{
	return verdict->denied || verdict->changed
		       ? json_pack("{s:s, s:s, s:s}", "permission", "deny",
				   "user_message", verdict->reason,
				   "agent_message", verdict->reason)
		       : json_pack("{s:s}", "permission", "allow");
}

static json_t *cursor_decision(const struct hook_verdict *verdict)
{
	if (verdict->denied)
		return json_pack("{s:s, s:s}", "decision", "deny", "reason",
				 verdict->reason);
	if (verdict->changed)
		return json_pack("{s:s, s:O}", "decision", "allow",
				 "updated_input", verdict->changed);
	return json_pack("{s:s}", "decision", "allow");
}

static json_t *answer_cursor(const struct hook_question *question,
			     const struct hook_verdict *verdict)
{
	static const char *const permissions[] = {
		"beforeShellExecution", "beforeMCPExecution", "beforeReadFile",
		"beforeTabFileRead", NULL};
	static const char *const silent[] = {"sessionEnd", "postToolUse",
					     "postToolUseFailure", NULL};
	const char *name = question->event;

	if (!strcmp(name, "preToolUse"))
		return cursor_decision(verdict);
	if (is_among(name, permissions))
		return cursor_permission(verdict);
	if (!strcmp(name, "beforeSubmitPrompt"))
		return verdict->denied
			       ? json_pack("{s:b, s:s}", "continue", 0,
					   "user_message", verdict->reason)
			       : json_pack("{s:b}", "continue", 1);
	if (!strcmp(name, "sessionStart"))
		return json_pack("{s:b}", "continue", 1);
	if (!strcmp(name, "subagentStart"))
		return json_pack("{s:s}", "decision", "allow");
	return is_among(name, silent) ? NULL : json_object();
}

/* ---- OpenClaw, by its plugin */

static bool read_openclaw(const json_t *input, struct hook_question *ret)
{
	const char *name = text_of(input, "hook_event_name");
	const char *tool = text_of(input, "tool_name");

	if (!name)
		return false;
	ret->event = name;
	ret->request = begin("call", "openclaw", text_of(input, "session_id"),
			     text_of(input, "cwd"));
	if (!strcmp(name, "before_tool_call")) {
		call(ret->request, tool ? tool : "?",
		     json_object_get(input, "tool_input"));
	} else if (!strcmp(name, "after_tool_call")) {
		put(ret->request, "ask", "result");
		result(ret->request, tool,
		       json_object_get(input, "tool_result"));
	} else {
		put(ret->request, "ask", "event");
		event(ret->request, name, text_of(input, "tool_kind"));
	}
	return true;
}

static json_t *answer_openclaw(const struct hook_question *question,
			       const struct hook_verdict *verdict)
{
	(void)question;
	return verdict->denied || verdict->changed
		       ? json_pack("{s:s, s:s}", "decision", "deny", "reason",
				   verdict->reason)
		       : json_pack("{s:s}", "decision", "allow");
}

static const struct hook_format formats[] = {
	{"claude", "claude-code", read_claude, answer_claude},
	{"codex", NULL, read_codex, answer_codex},
	{"copilot", "copilot-cli", read_copilot, answer_copilot},
	{"cursor", NULL, read_cursor, answer_cursor},
	{"openclaw", NULL, read_openclaw, answer_openclaw},
};

const struct hook_format *hook_formats_find(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i].name, name) ||
		    (formats[i].other_name &&
		     !strcmp(formats[i].other_name, name)))
			return &formats[i];
	return NULL;
}

const struct hook_format *hook_formats_guess(const json_t *input)
{
	const char *name = text_of(input, "hook_event_name");

	if (name && (!strcmp(name, "before_tool_call") ||
		     !strcmp(name, "after_tool_call")))
		return hook_formats_find("openclaw");
	if (json_object_get(input, "cursor_version") ||
	    json_object_get(input, "conversation_id"))
		return hook_formats_find("cursor");
	if (json_object_get(input, "toolName") ||
	    json_object_get(input, "toolArgs"))
		return hook_formats_find("copilot");
	if (json_object_get(input, "turn_id"))
		return hook_formats_find("codex");
	if (!name && json_is_string(json_object_get(input, "timestamp")))
		return hook_formats_find("copilot");
	return hook_formats_find("claude");
}
