#include "toolcall/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/policy/decide_tool.h"
#include "toolcall/explain.h"
#include "toolcall/pins/pins_files.h"
#include "toolcall/reply.h"

struct kept {
	size_t length;
	bool important;
};

/* Into the channel; a full one counts its losses itself. */
static void put(struct answers *answers, const void *bytes,
		const struct kept *kept)
{
	uint64_t one = 1;

	if (channel_put(answers->channel, bytes, kept->length,
			kept->important) == 0 &&
	    channel_wants_wake(answers->channel) &&
	    write(answers->wake, &one, sizeof(one)) < 0)
		log_warning("cannot wake the store: %m");
}

/* Until the reply is out: the record in answers->record. */
static void keep(struct answers *answers, size_t length, bool important)
{
	const struct kept kept = {length, important};
	size_t size = sizeof(kept) + length;
	char *grown = realloc(answers->kept, answers->kept_bytes + size);

	if (!grown) { /* better too early than lost */
		put(answers, answers->record, &kept);
		return;
	}
	memcpy(grown + answers->kept_bytes, &kept, sizeof(kept));
	memcpy(grown + answers->kept_bytes + sizeof(kept), answers->record,
	       length);
	answers->kept = grown;
	answers->kept_bytes += size;
}

void answers_record(struct answers *answers)
{
	size_t at = 0;

	while (at < answers->kept_bytes) {
		struct kept kept;

		memcpy(&kept, answers->kept + at, sizeof(kept));
		at += sizeof(kept);
		put(answers, answers->kept + at, &kept);
		at += kept.length;
	}
	free(answers->kept);
	answers->kept = NULL;
	answers->kept_bytes = 0;
}

/* What somebody may have put a secret into. */
static const char *shown(struct answers *answers, const char *text)
{
	return text && judge_finds_secret(answers->judge, text)
		       ? "(not shown: it holds a secret)"
		       : text;
}

static void put_record(struct answers *answers, const struct ucred *peer,
		       const struct request *request, uint32_t account,
		       const struct verdict *verdict)
{
	const struct policy_answer *answer = &verdict->answer;
	const struct policy *policy = answers->policy;
	struct record record = {
		.time_ns = clock_realtime_ns(),
		.generation = policy_generation(policy),
		.kind = request->ask == REQUEST_RESULT ? POLICY_KIND_RESULT
						       : POLICY_KIND_CALL,
		.verdict = answer->verdict,
		.reason = answer->reason,
		.uid = peer->uid,
		.pid = (uint32_t)peer->pid,
	};

	record_set(&record, RECORD_TEXT_ACCOUNT,
		   policy_text(policy, policy_account(policy, account)->name));
	if (answer->rule != POLICY_NONE)
		record_set(
			&record, RECORD_TEXT_RULE,
			policy_text(policy,
				    policy_rule(policy, answer->rule)->name));
	record_set(&record, RECORD_TEXT_PROGRAM,
		   shown(answers, request->client));
	record_set(&record, RECORD_TEXT_TARGET, shown(answers, request->tool));
	record_set(&record, RECORD_TEXT_NOTE,
		   verdict->detail[0] ? verdict->detail : NULL);
	keep(answers, record_encode(&record, answers->record),
	     record_is_important(&record));
}

static uint32_t find_account(const struct answers *answers, const char *name)
{
	const struct policy *policy = answers->policy;

	for (uint32_t i = 0; i < policy_account_count(policy); i++)
		if (!strcmp(name, policy_text(policy,
					      policy_account(policy, i)->name)))
			return i;
	return POLICY_NONE;
}

/* Put into the log what is no judgement of a call. */
static void note(struct answers *answers, const struct ucred *peer,
		 const struct request *request, uint32_t account,
		 enum policy_reason reason, const char *detail)
{
	struct verdict *verdict = &answers->verdict;

	memset(verdict, 0, sizeof(*verdict));
	verdict->answer = (struct policy_answer){
		.verdict = reason == POLICY_REASON_CHANGED ? POLICY_DENY
							   : POLICY_ALLOW,
		.reason = reason,
		.rule = POLICY_NONE,
	};
	policy_observe(answers->policy, account, &verdict->answer);
	detail = detail ? shown(answers, detail) : "";
	snprintf(verdict->detail, sizeof(verdict->detail), "%.900s", detail);
	snprintf(verdict->reason, sizeof(verdict->reason), "%s: %.900s",
		 policy_reason_text(reason, verdict->answer.verdict), detail);
	if (!request->explain)
		put_record(answers, peer, request, account, verdict);
}

/* Those that no rule allows are not shown either, which is no finding. */
static char *define(struct answers *answers, const struct ucred *peer,
		    struct request *request, const struct asker *asker)
{
	const struct policy *policy = answers->policy;
	const char *account = policy_text(
		policy, policy_account(policy, asker->account)->name);
	json_t *reasons, *reason;
	size_t index;
	int r = 0;

	if (!request->server || !pins_files_is_name(request->server))
		return reply_plain("deny", "server is missing, or not made of "
					   "letters, digits, - and _");
	if (pins_define(answers->pins, account, request->server, request->body,
			judge_effort(answers->judge), &reasons))
		return reply_plain("deny", "the definitions cannot be "
					   "compared with the pinned ones");
	json_array_foreach(reasons, index, reason)
	{
		const json_t *tool = json_array_get(request->body, index);
		const char *name =
			json_string_value(json_object_get(tool, "name"));

		snprintf(request->tool, sizeof(request->tool),
			 "mcp__%s__%.300s", request->server, name ? name : "");
		if (json_is_string(reason)) {
			note(answers, peer, request, asker->account,
			     POLICY_REASON_CHANGED, json_string_value(reason));
			/* Where nothing is refused, it is only noted. */
			if (answers->verdict.answer.verdict != POLICY_DENY)
				json_array_set_new(reasons, index, json_null());
		} else if (!policy_offers_tool(policy, asker->account,
					       request->tool, asker->now_s)) {
			r |= json_array_set_new(
				reasons, index,
				json_string("no rule allows it"));
		}
	}
	if (r) {
		json_decref(reasons);
		return NULL;
	}
	return reply_value("withheld", reasons);
}

static char *trust(struct answers *answers, const char *account,
		   const struct request *request)
{
	int r = request->server && request->own && request->digest
			? pins_trust(answers->pins, account, request->server,
				     request->own, request->digest)
			: PINS_UNKNOWN;

	if (r == PINS_UNKNOWN)
		return reply_plain("deny", "no such definition is withheld; it "
					   "may have changed again");
	return r ? reply_plain("deny", "it cannot be written down")
		 : reply_plain("allow", "trusted");
}

/* mcp__SERVER__TOOL: is its definition withheld? */
static const char *withheld(struct answers *answers, uint32_t account,
			    const struct request *request)
{
	const char *name =
		policy_text(answers->policy,
			    policy_account(answers->policy, account)->name);
	char copy[REQUEST_TOOL_MAX], *mark;

	if (strncmp(request->tool, "mcp__", 5))
		return NULL;
	if (request->server)
		return pins_files_is_name(request->server)
			       ? pins_withheld(answers->pins, name,
					       request->server, request->own)
			       : "the server's name is none";
	snprintf(copy, sizeof(copy), "%s", request->tool + 5);
	mark = strstr(copy, "__");
	if (!mark)
		return NULL;
	*mark = '\0';
	return pins_files_is_name(copy)
		       ? pins_withheld(answers->pins, name, copy, mark + 2)
		       : NULL;
}

static char *answer_leashed(struct answers *answers, const struct ucred *peer,
			    struct request *request, const struct asker *asker)
{
	const struct policy *policy = answers->policy;
	const char *name = policy_text(
		policy, policy_account(policy, asker->account)->name);
	const char *why;

	switch (request->ask) {
	case REQUEST_CALL:
		why = withheld(answers, asker->account, request);
		if (why) {
			note(answers, peer, request, asker->account,
			     POLICY_REASON_CHANGED, why);
			return reply_verdict(policy, request,
					     &answers->verdict);
		}
		break;
	case REQUEST_RESULT:
	case REQUEST_PROMPT:
		break;
	case REQUEST_DEFINE:
		return define(answers, peer, request, asker);
	case REQUEST_EVENT:
		snprintf(request->tool, sizeof(request->tool), "%s",
			 request->event ? request->event : "event");
		note(answers, peer, request, asker->account, POLICY_REASON_RULE,
		     request->detail);
		return reply_plain("allow", "written down");
	case REQUEST_PENDING:
		return peer->uid
			       ? reply_plain("deny", "only root may ask")
			       : reply_value("pending",
					     pins_pending(answers->pins, name));
	case REQUEST_EXPLAIN: /* answers_give() has */
		return NULL;
	case REQUEST_TRUST:
		return peer->uid ? reply_plain("deny", "only root may trust")
				 : trust(answers, name, request);
	}
	judge_request(answers->judge, asker, request, &answers->verdict);
	if (answers->verdict.answer.log && !request->explain)
		put_record(answers, peer, request, asker->account,
			   &answers->verdict);
	return reply_verdict(policy, request, &answers->verdict);
}

char *answers_give(struct answers *answers, const struct ucred *peer, int link,
		   struct request *request)
{
	const struct explain_asker explained = {.peer = *peer, .link = link};
	struct asker asker = {
		.account = policy_account_of(answers->policy, peer->uid),
		.uid = peer->uid,
		.now_ns = clock_monotonic_ns(),
		.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
	};

	if (request->ask == REQUEST_EXPLAIN)
		return explain_give(answers->policy, &explained, request,
				    judge_effort(answers->judge));
	if (peer->uid == 0 && request->account) {
		asker.account = find_account(answers, request->account);
		if (asker.account == POLICY_NONE)
			return reply_plain("deny", "there is no such account");
	}
	if (asker.account != POLICY_NONE)
		return answer_leashed(answers, peer, request, &asker);
	if (request->ask == REQUEST_DEFINE) {
		json_t *none = json_array();

		for (size_t i = 0; i < json_array_size(request->body); i++)
			json_array_append_new(none, json_null());
		return reply_value("withheld", none);
	}
	return reply_plain("allow", "not a leashed account");
}
