#include "gatekeeper/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_host.h"

#define OTHERS_MAX   8
#define PORT_DEFAULT 443

/* What is asked; a question about a file, or about a host. */
struct asked {
	struct policy_question file;
	struct policy_flow flow;
	char name[HOST_NAME_SIZE];
	const char *names[1];
	bool is_host;
};

static int wrong(struct fields *reply, const char *text)
{
	fields_put(reply, "text", text);
	return EXPLAIN_WRONG;
}

static bool read_number(const struct fields *request, const char *key,
			uint64_t max, uint64_t *ret)
{
	const char *text = fields_get(request, key);
	char *end;

	if (!text)
		return true;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && end != text && !*end && text[0] != '-' && *ret <= max;
}

static int read_file(const struct fields *request, struct policy_question *file,
		     struct fields *reply)
{
	const char *access = fields_get(request, "access");
	uint64_t changed_ns = 0;

	file->path = fields_get(request, "path");
	if (!file->path || file->path[0] != '/')
		return wrong(reply, "path must be absolute");
	file->path_length = strlen(file->path);
	file->access = POLICY_ACCESS_READ;
	if (access && !strcmp(access, "write"))
		file->access = POLICY_ACCESS_WRITE;
	else if (access && strcmp(access, "read"))
		return wrong(reply, "access is read or write");
	if (!read_number(request, "device", UINT64_MAX, &file->device) ||
	    !read_number(request, "inode", UINT64_MAX, &file->inode) ||
	    !read_number(request, "size", INT64_MAX, &file->size) ||
	    !read_number(request, "changed_ns", INT64_MAX, &changed_ns))
		return wrong(reply, "device, inode, size and changed_ns are "
				    "numbers");
	file->changed_ns = (int64_t)changed_ns;
	return 0;
}

static int read_protocol(const char *word, uint32_t *ret)
{
	*ret = POLICY_PROTOCOL_TCP;
	if (!word)
		return 0;
	for (uint32_t bit = 1; bit <= POLICY_PROTOCOL_ALL; bit <<= 1)
		if (!strcmp(word, policy_protocol_word(bit))) {
			*ret = bit;
			return 0;
		}
	return EXPLAIN_WRONG;
}

static int read_host(const struct fields *request, struct asked *asked,
		     struct fields *reply)
{
	const char *host = fields_get(request, "host");
	const char *address = fields_get(request, "address");
	struct policy_flow *flow = &asked->flow;
	uint64_t port = PORT_DEFAULT;

	flow->understood = true;
	flow->program_known = true;
	flow->program = fields_get(request, "program");
	if (read_protocol(fields_get(request, "protocol"), &flow->protocol))
		return wrong(reply, "protocol is tcp, udp, udplite, sctp or "
				    "icmp");
	if (!read_number(request, "port", UINT16_MAX, &port))
		return wrong(reply, "port is a number up to 65535");
	flow->port =
		flow->protocol == POLICY_PROTOCOL_ICMP ? 0 : (uint16_t)port;
	if (!host)
		return wrong(reply, "host is missing");
	if (address_read(host, &flow->address))
		return 0;
	if (host_name_read(host, strlen(host), asked->name))
		return wrong(reply, "host is neither an address nor a name");
	/* Of an IPv4 address that no rule names, if it is not told. */
	if (!address_read(address ? address : "0.0.0.0", &flow->address))
		return wrong(reply, "address is not one");
	asked->names[0] = asked->name;
	flow->names = asked->names;
	flow->name_count = 1;
	flow->said = POLICY_SAID_UNSEEN; /* it will be that name */
	return 0;
}

static int read_request(const struct fields *request, struct asked *asked,
			struct fields *reply)
{
	static const enum policy_kind kinds[] = {
		POLICY_KIND_OPEN,
		POLICY_KIND_LIST,
		POLICY_KIND_EXEC,
		POLICY_KIND_CONNECT,
	};
	const char *word = fields_get(request, "kind");
	enum policy_kind kind = POLICY_KIND_DAEMON;

	for (size_t i = 0; word && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(word, policy_kind_word(kinds[i])))
			kind = kinds[i];
	if (kind == POLICY_KIND_DAEMON)
		return wrong(reply, "kind is open, list, exec or connect");
	asked->is_host = kind == POLICY_KIND_CONNECT;
	asked->file.kind = asked->flow.kind = kind;
	return asked->is_host ? read_host(request, asked, reply)
			      : read_file(request, &asked->file, reply);
}

static struct policy_answer answer(const struct policy *policy,
				   const struct asked *asked)
{
	struct policy_answer answer = {
		.verdict = POLICY_DENY,
		.reason = POLICY_REASON_DEFAULT,
		.rule = POLICY_NONE,
	};
	int r;

	/* Both want more only where something was left open; nothing is. */
	r = asked->is_host ? policy_decide_flow(policy, &asked->flow, &answer)
			   : policy_decide(policy, &asked->file, &answer);
	(void)r;
	return answer;
}

static void put_rule(const struct policy *policy,
		     const struct policy_answer *answer, struct fields *reply)
{
	const struct policy_rule *rule;

	if (answer->rule == POLICY_NONE)
		return;
	rule = policy_rule(policy, answer->rule);
	fields_put(reply, "rule", policy_text(policy, rule->name));
	fields_put(reply, "origin", policy_text(policy, rule->origin));
	if (rule->reason.length)
		fields_put(reply, "note", policy_text(policy, rule->reason));
	if (rule->until_s)
		fields_format(reply, "until", "%" PRId64, rule->until_s);
}

/* What would make an answer other than that. */
static void put_fix(const struct policy *policy,
		    const struct policy_answer *answer, struct fields *reply)
{
	static const char local[] = "local ";
	const struct policy_rule *rule;
	const char *name;

	if (answer->verdict == POLICY_ALLOW)
		return;
	if (answer->reason == POLICY_REASON_DEFAULT ||
	    answer->reason == POLICY_REASON_READ_ONLY) {
		fields_put(reply, "fix", "allow");
		return;
	}
	if (answer->rule == POLICY_NONE)
		return;
	rule = policy_rule(policy, answer->rule);
	name = policy_text(policy, rule->name);
	if (!strncmp(name, local, strlen(local)))
		fields_format(reply, "fix", "undo %s", name + strlen(local));
	else
		fields_format(reply, "fix", "edit %s",
			      policy_text(policy, rule->origin));
}

/* Whoever comes next, each time as if those before had ended. */
static int put_others(const struct policy *policy, const struct asked *asked,
		      uint32_t decides, struct fields *reply)
{
	size_t size = policy->header->rules.count * sizeof(struct policy_rule);
	CLEANUP_FREE struct policy_rule *rules = NULL;
	struct policy shadow = *policy;

	if (decides == POLICY_NONE)
		return 0;
	rules = malloc(size);
	if (!rules)
		return -ENOMEM;
	memcpy(rules, policy->rules, size);
	shadow.rules = rules;
	for (int i = 0; i < OTHERS_MAX; i++) {
		struct policy_answer next;
		const struct policy_rule *rule;

		rules[decides].until_s = 1;
		next = answer(&shadow, asked);
		decides = next.rule;
		if (decides == POLICY_NONE)
			break;
		rule = &policy->rules[decides];
		fields_format(reply, "other", "%s %s %s",
			      policy_text(policy, rule->origin),
			      policy_verdict_word(next.verdict),
			      policy_text(policy, rule->name));
	}
	return 0;
}

/* A name that may not even be asked for is no name to connect to. */
static void put_question(const struct policy *policy, const struct asked *asked,
			 struct fields *reply)
{
	struct policy_answer question;

	if (!asked->flow.name_count)
		return;
	policy_decide_question(policy, asked->flow.account, asked->name,
			       asked->flow.now_s, &question);
	fields_put(reply, "resolve", policy_verdict_word(question.verdict));
}

int explain(const struct policy *policy, uint32_t account,
	    const struct fields *request, struct fields *reply)
{
	int64_t now_s = clock_realtime_ns() / CLOCK_NS_PER_S;
	struct asked asked = {
		.file = {.account = account, .now_s = now_s},
		.flow = {.account = account, .now_s = now_s},
	};
	struct policy_answer found;
	int r = read_request(request, &asked, reply);

	if (r)
		return r;
	found = answer(policy, &asked);
	fields_put(reply, "verdict", policy_verdict_word(found.verdict));
	fields_put(reply, "reason",
		   policy_reason_text(found.reason, found.verdict));
	put_rule(policy, &found, reply);
	put_fix(policy, &found, reply);
	put_question(policy, &asked, reply);
	return put_others(policy, &asked, found.rule, reply);
}
