#include "toolcall/judge.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_tool.h"
#include "gatekeeper/policy/host_name.h"
#include "toolcall/commands/commands.h"
#include "toolcall/conditions.h"
#include "toolcall/rates.h"
#include "toolcall/shell/shell_parse.h"
#include "toolcall/subjects.h"
#include "toolcall/targets.h"

struct judge {
	struct effort effort;	     /* of the request under way */
	const struct policy *policy; /* borrowed */
	struct conditions *conditions;
	struct rates *rates;
	struct search *search;
	struct commands *commands;
};

/* One request on its way through. */
struct trial {
	struct judge *judge;
	const struct asker *asker;
	struct request *request;
	struct verdict *verdict;
	const struct policy_account *account;
	const uint8_t *actions; /* what is searched for */
	uint32_t kinds;		/* of commands, that are looked for */
	const char *key;	/* the argument under way */
};

int judge_new(struct judge **ret)
{
	CLEANUP(judge_free) struct judge *judge = calloc(1, sizeof(*judge));
	int r;

	if (!judge)
		return -ENOMEM;
	r = rates_new(&judge->rates);
	if (!r)
		r = search_new(&judge->search);
	if (!r)
		r = commands_new(&judge->commands);
	if (r)
		return r;
	search_allow(judge->search, &judge->effort);
	commands_allow(judge->commands, &judge->effort);
	*ret = STEAL(judge);
	return 0;
}

void judge_begin(struct judge *judge)
{
	effort_begin(&judge->effort, JUDGE_NS);
}

struct effort *judge_effort(struct judge *judge)
{
	return &judge->effort;
}

struct judge *judge_free(struct judge *judge)
{
	if (!judge)
		return NULL;
	conditions_free(judge->conditions);
	rates_free(judge->rates);
	search_free(judge->search);
	commands_free(judge->commands);
	free(judge);
	return NULL;
}

int judge_use(struct judge *judge, const struct policy *policy)
{
	struct conditions *conditions = NULL;
	int r = conditions_new(policy, &conditions);

	if (r)
		return r;
	conditions_free(judge->conditions);
	conditions_allow(conditions, &judge->effort);
	judge->conditions = conditions;
	judge->policy = policy;
	return 0;
}

bool judge_finds_secret(struct judge *judge, const char *text)
{
	return inspect_is_secret(judge->search, text);
}

/* Text of an argument that may be shown: quoted, and no secret. */
static const char *shown(struct trial *trial, const char *text,
			 char buffer[static 400])
{
	char cut[300];

	snprintf(cut, sizeof(cut), "%s", text);
	if (inspect_is_secret(trial->judge->search, text))
		return "(not shown: it holds a secret)";
	escape_text(buffer, 400, cut, strlen(cut));
	return buffer;
}

/* No, for this reason; with a mode that only looks on, not quite. */
__attribute__((format(printf, 4, 5))) static void
refuse(struct trial *trial, enum policy_reason reason, uint32_t rule,
       const char *format, ...)
{
	struct verdict *verdict = trial->verdict;
	va_list args;

	verdict->answer = (struct policy_answer){
		.verdict = POLICY_DENY,
		.reason = reason,
		.rule = rule,
		.log = true,
	};
	va_start(args, format);
	vsnprintf(verdict->detail, sizeof(verdict->detail), format, args);
	va_end(args);
	policy_observe(trial->judge->policy, trial->asker->account,
		       &verdict->answer);
}

/* r is an errno. */
static void refuse_unjudged(struct trial *trial, int r)
{
	refuse(trial, POLICY_REASON_UNREADABLE, POLICY_NONE,
	       "it could not be judged: %s",
	       r == -ETIME ? "it takes too long" : strerror(-r));
}

static bool is_refused(const struct trial *trial)
{
	return trial->verdict->answer.verdict == POLICY_DENY;
}

static enum policy_holds holds(void *context, const struct policy *policy,
			       const struct policy_condition *condition)
{
	const struct trial *trial = context;

	return conditions_hold(trial->judge->conditions, policy, condition,
			       trial->request->body);
}

/* By its name.  *ret_tool: the entry that allowed it, or POLICY_NONE. */
static void judge_name(struct trial *trial, uint32_t *ret_tool)
{
	const struct policy *policy = trial->judge->policy;
	const struct policy_call call = {
		.account = trial->asker->account,
		.kind = POLICY_KIND_CALL,
		.tool = trial->request->tool,
		.now_s = trial->asker->now_s,
		.holds = holds,
		.context = trial,
	};
	const struct policy_tool *tool;
	const char *name;

	policy_decide_tool(policy, &call, &trial->verdict->answer, ret_tool);
	if (trial->verdict->answer.verdict != POLICY_ALLOW ||
	    *ret_tool == POLICY_NONE)
		return;
	tool = policy_tool(policy, *ret_tool);
	name = policy_text(policy, policy_rule(policy, tool->rule)->name);
	if (tool->max &&
	    !rates_allow(trial->judge->rates, trial->asker->uid, name,
			 tool->max, tool->per_s, trial->asker->now_ns,
			 !trial->request->explain))
		refuse(trial, POLICY_REASON_RATE, tool->rule,
		       "at most %u calls in %u seconds", tool->max,
		       tool->per_s);
}

static void judge_file(struct trial *trial, const char *text,
		       enum policy_access access)
{
	char path[TARGETS_PATH_MAX], buffer[400];
	struct policy_question question = {
		.account = trial->asker->account,
		.kind = POLICY_KIND_OPEN,
		.access = access,
		.now_s = trial->asker->now_s,
	};
	struct policy_answer answer;

	if (targets_path(
		    text, trial->request->cwd,
		    policy_text(trial->judge->policy, trial->account->home),
		    path)) {
		refuse(trial, POLICY_REASON_ARGUMENT_FILE, POLICY_NONE,
		       "argument %s: the path is too long", trial->key);
		return;
	}
	question.path = path;
	question.path_length = strlen(path);
	if (policy_decide(trial->judge->policy, &question, &answer) ||
	    answer.verdict != POLICY_DENY)
		return;
	refuse(trial, POLICY_REASON_ARGUMENT_FILE, answer.rule,
	       "argument %s: %s %s: %s", trial->key,
	       access == POLICY_ACCESS_WRITE ? "write" : "read",
	       shown(trial, path, buffer),
	       policy_reason_text(answer.reason, answer.verdict));
}

static void judge_address(struct trial *trial, const char *text)
{
	struct policy_flow flow = {
		.account = trial->asker->account,
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.protocol = POLICY_PROTOCOL_TCP,
		.program_known = true,
		.said = POLICY_SAID_UNSEEN,
		.now_s = trial->asker->now_s,
	};
	char host[TARGETS_HOST_MAX], name[HOST_NAME_SIZE], buffer[400];
	const char *names[] = {name};
	struct policy_answer answer = {.verdict = POLICY_DENY};
	int r;

	if (!targets_host(text, host, &flow.port))
		return; /* no host at all: nothing to reach */
	if (!address_read(host, &flow.address)) {
		(void)address_read("0.0.0.0", &flow.address);
		if (host_name_read(host, strlen(host), name)) {
			refuse(trial, POLICY_REASON_ARGUMENT_HOST, POLICY_NONE,
			       "argument %s: no name of a host", trial->key);
			return;
		}
		flow.names = names;
		flow.name_count = 1;
	}
	r = policy_decide_flow(trial->judge->policy, &flow, &answer);
	(void)r; /* NEED_SAID: allowed if it is said, as it will be */
	if (answer.verdict != POLICY_DENY)
		return;
	refuse(trial, POLICY_REASON_ARGUMENT_HOST, answer.rule,
	       "argument %s: %s port %u: %s", trial->key,
	       shown(trial, host, buffer), flow.port,
	       policy_reason_text(answer.reason, answer.verdict));
}

static void judge_program(struct trial *trial,
			  const struct shell_command *command)
{
	char path[TARGETS_PATH_MAX], buffer[400];
	struct policy_question question = {
		.account = trial->asker->account,
		.kind = POLICY_KIND_EXEC,
		.access = POLICY_ACCESS_EXEC,
		.now_s = trial->asker->now_s,
	};
	struct policy_answer answer;

	if (!command->word_count || command->words[0].dynamic ||
	    !targets_program(
		    command->words[0].text, trial->request->cwd,
		    policy_text(trial->judge->policy, trial->account->home),
		    path))
		return; /* built in, or not there: nothing will run */
	question.path = path;
	question.path_length = strlen(path);
	targets_identify(path, &question);
	if (policy_decide(trial->judge->policy, &question, &answer) ||
	    answer.verdict != POLICY_DENY)
		return;
	refuse(trial, POLICY_REASON_ARGUMENT_PROGRAM, answer.rule,
	       "argument %s: run %s: %s", trial->key,
	       shown(trial, path, buffer),
	       policy_reason_text(answer.reason, answer.verdict));
}

/* The addresses that a program which fetches is given. */
static void judge_fetched(struct trial *trial,
			  const struct shell_command *command)
{
	for (size_t i = 1; i < command->word_count && !is_refused(trial); i++) {
		const char *word = command->words[i].text;

		if (!command->words[i].dynamic &&
		    (!strncmp(word, "http://", 7) ||
		     !strncmp(word, "https://", 8)))
			judge_address(trial, word);
	}
}

static void note_command(void *context, const struct command_rule *rule)
{
	struct trial *trial = context;
	struct finding finding = {
		.rule = rule->id,
		.kind = rule->kind,
		.action = trial->actions[rule->kind],
		.form = DECODE_PLAIN,
	};

	snprintf(finding.path, sizeof(finding.path), "$.%.80s", trial->key);
	inspect_note(&trial->verdict->findings, &finding);
}

static int judge_patched(void *context, const struct subject *subject)
{
	struct trial *trial = context;

	judge_file(trial, subject->text, POLICY_ACCESS_WRITE);
	return is_refused(trial);
}

/* `apply_patch PATCH`, or with it as a here-document. */
static void judge_patcher(struct trial *trial,
			  const struct shell_command *command)
{
	int r = 0;

	if (!subjects_is_patcher(shell_program(command)))
		return;
	for (size_t i = 1; !r && i < command->word_count; i++)
		r = subjects_patch(trial->key, command->words[i].text,
				   judge_patched, trial);
	for (size_t i = 0; !r && i < command->redirect_count; i++)
		r = subjects_patch(trial->key, command->redirects[i].target,
				   judge_patched, trial);
	if (r < 0)
		refuse_unjudged(trial, r);
}

static void judge_command(struct trial *trial, const char *text, bool by_name)
{
	static const char *const fetchers[] = {
		"curl", "wget", "git", "http", "https", "xh", "aria2c", NULL};
	CLEANUP(shell_free) struct shell *shell = NULL;
	int r = shell_parse(text, strlen(text), &trial->judge->effort, &shell);

	if (r) {
		refuse(trial, POLICY_REASON_UNREADABLE, POLICY_NONE,
		       "argument %s: %s", trial->key,
		       r == SHELL_TOO_COMPLEX
			       ? "the command is too long, too deeply nested, "
				 "or becomes too long, to be judged"
			       : strerror(-r));
		return;
	}
	for (size_t i = 0; i < shell->count && !by_name && !is_refused(trial);
	     i++) {
		const struct shell_command *command = &shell->commands[i];
		const char *program = shell_program(command);

		judge_program(trial, command);
		if (!is_refused(trial))
			judge_patcher(trial, command);
		for (size_t j = 0; fetchers[j]; j++)
			if (!strcmp(program, fetchers[j]) && !is_refused(trial))
				judge_fetched(trial, command);
	}
	if (!is_refused(trial))
		commands_judge(trial->judge->commands, shell, trial->kinds,
			       note_command, trial);
}

struct subject_trial {
	struct trial *trial;
	bool by_name; /* only what is searched for counts */
};

static int judge_subject(void *context, const struct subject *subject)
{
	struct subject_trial *both = context;
	struct trial *trial = both->trial;

	if (effort_is_spent_now(&trial->judge->effort))
		return -ETIME;
	trial->key = inspect_is_secret(trial->judge->search, subject->key)
			     ? "(not shown)"
			     : subject->key;
	switch (subject->kind) {
	case SUBJECT_FILE_READ:
		if (!both->by_name)
			judge_file(trial, subject->text, POLICY_ACCESS_READ);
		break;
	case SUBJECT_FILE_WRITE:
		if (!both->by_name)
			judge_file(trial, subject->text, POLICY_ACCESS_WRITE);
		commands_judge_write(trial->judge->commands, subject->text,
				     trial->kinds, note_command, trial);
		break;
	case SUBJECT_ADDRESS:
		if (!both->by_name)
			judge_address(trial, subject->text);
		break;
	case SUBJECT_COMMAND:
		judge_command(trial, subject->text, both->by_name);
		break;
	case SUBJECT_GARBLED:
		refuse(trial, POLICY_REASON_UNREADABLE, POLICY_NONE,
		       "argument %s holds a NUL", trial->key);
		break;
	case SUBJECT_SQL:
		commands_judge_sql(trial->judge->commands, subject->text,
				   trial->kinds, note_command, trial);
		break;
	}
	return is_refused(trial);
}

/* What the findings come to: the strictest of their actions. */
static void weigh_findings(struct trial *trial)
{
	const struct findings *findings = &trial->verdict->findings;
	const struct finding *worst = NULL;

	for (size_t i = 0; i < findings->count; i++)
		if (!worst || findings->all[i].action > worst->action)
			worst = &findings->all[i];
	if (!worst)
		return;
	if (worst->action == POLICY_INSPECT_DENY ||
	    (worst->action == POLICY_INSPECT_REDACT &&
	     !trial->request->exact)) {
		refuse(trial, POLICY_REASON_FOUND, POLICY_NONE,
		       "%s %s at %s%s%s", policy_inspect_word(worst->kind),
		       worst->rule, worst->path,
		       worst->form == DECODE_PLAIN ? "" : ", in the form of ",
		       worst->form == DECODE_PLAIN ? ""
						   : decode_word(worst->form));
		return;
	}
	trial->verdict->answer.log = true;
	trial->verdict->answer.reason = POLICY_REASON_FOUND;
	if (worst->action == POLICY_INSPECT_OBSERVE)
		trial->verdict->answer.verdict = POLICY_OBSERVE;
	snprintf(trial->verdict->detail, sizeof(trial->verdict->detail),
		 "%s %s at %s%s", policy_inspect_word(worst->kind), worst->rule,
		 worst->path,
		 worst->action == POLICY_INSPECT_REDACT ? ", redacted" : "");
}

static bool only_looks_on(const struct trial *trial)
{
	return policy_is_observed(trial->judge->policy, trial->asker->account);
}

/* Search, with what would be redacted only noted where nothing is refused. */
static void search_body(struct trial *trial)
{
	uint8_t actions[POLICY_INSPECT_ROOM];
	int r;

	for (unsigned int i = 0; i < POLICY_INSPECT_ROOM; i++)
		actions[i] = trial->actions[i] == POLICY_INSPECT_REDACT &&
					     only_looks_on(trial)
				     ? POLICY_INSPECT_OBSERVE
				     : trial->actions[i];
	r = inspect(trial->judge->search, trial->request->body, actions,
		    &trial->verdict->findings);
	if (r)
		refuse_unjudged(trial, r);
}

static void judge_call(struct trial *trial)
{
	struct subject_trial both = {trial, false};
	uint32_t tool;
	int r;

	judge_name(trial, &tool);
	if (trial->verdict->answer.verdict != POLICY_ALLOW)
		return;
	both.by_name = tool != POLICY_NONE &&
		       policy_tool(trial->judge->policy, tool)->by_name_only;
	r = subjects_each(trial->request->tool, trial->request->body,
			  judge_subject, &both);
	if (r < 0)
		refuse_unjudged(trial, r);
}

/* A sentence for the agent, and for whoever reads its answer. */
static void write_reason(struct trial *trial)
{
	const struct verdict *verdict = trial->verdict;
	const struct policy *policy = trial->judge->policy;
	const char *said = policy_reason_text(verdict->answer.reason,
					      verdict->answer.verdict);
	const char *why = "";

	if (verdict->answer.rule != POLICY_NONE)
		why = policy_text(
			policy,
			policy_rule(policy, verdict->answer.rule)->reason);
	snprintf(trial->verdict->reason, sizeof(trial->verdict->reason),
		 "%s%s%s%s%.600s", said, verdict->detail[0] ? ": " : "",
		 verdict->detail, *why ? "; " : "", why);
}

void judge_request(struct judge *judge, const struct asker *asker,
		   struct request *request, struct verdict *ret)
{
	struct trial trial = {
		.judge = judge,
		.asker = asker,
		.request = request,
		.verdict = ret,
		.account = policy_account(judge->policy, asker->account),
		.key = "",
	};
	bool call = request->ask == REQUEST_CALL;

	memset(ret, 0, sizeof(*ret));
	ret->answer = (struct policy_answer){
		.verdict = POLICY_ALLOW,
		.reason = POLICY_REASON_RULE,
		.rule = POLICY_NONE,
	};
	trial.actions = request->ask == REQUEST_RESULT
				? trial.account->inspect_results
				: trial.account->inspect_calls;
	for (unsigned int i = POLICY_INSPECT_PRIVILEGE;
	     i <= POLICY_INSPECT_RISKY; i++)
		if (trial.actions[i] != POLICY_INSPECT_NOT)
			trial.kinds |= UINT32_C(1) << i;
	if (call)
		judge_call(&trial);
	if (ret->answer.verdict == POLICY_ALLOW) {
		search_body(&trial);
		if (ret->answer.verdict == POLICY_ALLOW)
			weigh_findings(&trial);
	}
	/* What was left out then might have been what matters. */
	if (judge->effort.spent && ret->answer.verdict != POLICY_DENY)
		refuse_unjudged(&trial, -ETIME);
	write_reason(&trial);
}
