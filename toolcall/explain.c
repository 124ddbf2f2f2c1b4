#include "toolcall/explain.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/escape.h"
#include "gatekeeper/policy/address.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_host.h"
#include "gatekeeper/wire/control.h"
#include "gatekeeper/wire/toolcall.h"
#include "toolcall/reply.h"

#define PORT_DEFAULT 443
#define KEY_MAX	     32

/* What is asked; a question about a file, or about a host. */
struct asked {
	struct policy_question file;
	struct policy_flow flow;
	char name[HOST_NAME_SIZE];
	const char *names[1];
	bool is_host;
};

/* ---- texts: what is no UTF-8 stands under KEY_hex */

static const char *hex_key(const char *key, char ret[static KEY_MAX])
{
	snprintf(ret, KEY_MAX, "%s_hex", key);
	return ret;
}

/* The request's, or NULL; too long a one is as good as none. */
static const char *get(const struct request *request, const char *key)
{
	const char *text = request_text(request, key);
	char bytes[PATH_MAX], name[KEY_MAX];
	const char *hex;
	size_t length;

	if (text)
		return text;
	hex = request_text(request, hex_key(key, name));
	if (!hex || sodium_hex2bin((unsigned char *)bytes, sizeof(bytes), hex,
				   strlen(hex), NULL, &length, NULL))
		return NULL;
	/* The request keeps it, as it keeps its others. */
	json_object_set_new(request->root, key,
			    json_stringn_nocheck(bytes, length));
	return request_text(request, key);
}

static void put(json_t *reply, const char *key, const char *text)
{
	size_t length = strlen(text);
	char name[KEY_MAX];
	char *hex;

	if (escape_is_utf8(text, length)) {
		json_object_set_new(reply, key, json_string(text));
		return;
	}
	hex = malloc(length * 2 + 1);
	if (!hex)
		return;
	sodium_bin2hex(hex, length * 2 + 1, (const unsigned char *)text,
		       length);
	json_object_set_new(reply, hex_key(key, name), json_string(hex));
	free(hex);
}

/* ---- who asks about whom */

/* Of the group that gatekeeper's own socket is for. */
static bool is_of_its_group(const struct explain_asker *asker)
{
	CLEANUP_FREE gid_t *groups = NULL;
	socklen_t size = 0;
	struct stat st;

	if (stat(TOOLCALL_FOLDER "/" CONTROL_SOCKET, &st) < 0)
		return false;
	if (asker->peer.gid == st.st_gid)
		return true;
	if (getsockopt(asker->link, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) <
		    0 &&
	    errno != ERANGE)
		return false;
	groups = malloc(size + sizeof(*groups));
	if (!groups || getsockopt(asker->link, SOL_SOCKET, SO_PEERGROUPS,
				  groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(*groups); i++)
		if (groups[i] == st.st_gid)
			return true;
	return false;
}

/* POLICY_NONE: *ret_problem, in room, says why. */
static uint32_t asked_account(const struct policy *policy,
			      const struct explain_asker *asker,
			      const char *name, char *room, size_t size)
{
	uint32_t own = policy_account_of(policy, asker->peer.uid);

	if (own == POLICY_NONE) {
		if (!asker->peer.uid || is_of_its_group(asker))
			return policy_account_meant(policy, name, room, size);
		snprintf(room, size,
			 "you are not leashed; only root and the "
			 "group " CONTROL_GROUP " may ask about others");
		return POLICY_NONE;
	}
	if (!name ||
	    !strcmp(name,
		    policy_text(policy, policy_account(policy, own)->name)))
		return own;
	snprintf(room, size, "an account may ask about itself, not others");
	return POLICY_NONE;
}

/* ---- the question; each yields NULL, or what is wrong with it */

static bool read_number(const struct request *request, const char *key,
			uint64_t max, uint64_t *ret)
{
	const char *text = get(request, key);
	char *end;

	if (!text)
		return true;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && end != text && !*end && text[0] != '-' && *ret <= max;
}

static const char *read_file(const struct request *request,
			     struct policy_question *file)
{
	const char *access = get(request, "access");
	uint64_t changed_ns = 0;

	file->path = get(request, "path");
	if (!file->path || file->path[0] != '/')
		return "path must be absolute";
	file->path_length = strlen(file->path);
	if (file->path_length >= PATH_MAX)
		return "the path is too long";
	file->access = POLICY_ACCESS_READ;
	if (access && !strcmp(access, "write"))
		file->access = POLICY_ACCESS_WRITE;
	else if (access && strcmp(access, "read"))
		return "access is read or write";
	if (!read_number(request, "device", UINT64_MAX, &file->device) ||
	    !read_number(request, "inode", UINT64_MAX, &file->inode) ||
	    !read_number(request, "size", INT64_MAX, &file->size) ||
	    !read_number(request, "changed_ns", INT64_MAX, &changed_ns))
		return "device, inode, size and changed_ns are numbers";
	file->changed_ns = (int64_t)changed_ns;
	return NULL;
}

static bool read_protocol(const char *word, uint32_t *ret)
{
	*ret = POLICY_PROTOCOL_TCP;
	if (!word)
		return true;
	for (uint32_t bit = 1; bit <= POLICY_PROTOCOL_ALL; bit <<= 1)
		if (!strcmp(word, policy_protocol_word(bit))) {
			*ret = bit;
			return true;
		}
	return false;
}

static const char *read_host(const struct request *request, struct asked *asked)
{
	const char *host = get(request, "host");
	const char *address = get(request, "address");
	struct policy_flow *flow = &asked->flow;
	uint64_t port = PORT_DEFAULT;

	flow->understood = true;
	flow->program_known = true;
	flow->program = get(request, "program");
	if (!read_protocol(get(request, "protocol"), &flow->protocol))
		return "protocol is tcp, udp, udplite, sctp or icmp";
	if (!read_number(request, "port", UINT16_MAX, &port))
		return "port is a number up to 65535";
	flow->port =
		flow->protocol == POLICY_PROTOCOL_ICMP ? 0 : (uint16_t)port;
	if (!host)
		return "host is missing";
	if (address_read(host, &flow->address))
		return NULL;
	if (host_name_read(host, strlen(host), asked->name))
		return "host is neither an address nor a name";
	/* Of an IPv4 address that no rule names, if it is not told. */
	if (!address_read(address ? address : "0.0.0.0", &flow->address))
		return "address is not one";
	asked->names[0] = asked->name;
	flow->names = asked->names;
	flow->name_count = 1;
	flow->said = POLICY_SAID_UNSEEN; /* it will be that name */
	return NULL;
}

static const char *read_question(const struct request *request,
				 struct asked *asked)
{
	static const enum policy_kind kinds[] = {
		POLICY_KIND_OPEN,
		POLICY_KIND_LIST,
		POLICY_KIND_EXEC,
		POLICY_KIND_CONNECT,
	};
	const char *word = get(request, "kind");
	enum policy_kind kind = POLICY_KIND_DAEMON;

	for (size_t i = 0; word && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(word, policy_kind_word(kinds[i])))
			kind = kinds[i];
	if (kind == POLICY_KIND_DAEMON)
		return "kind is open, list, exec or connect";
	asked->is_host = kind == POLICY_KIND_CONNECT;
	asked->file.kind = asked->flow.kind = kind;
	return asked->is_host ? read_host(request, asked)
			      : read_file(request, &asked->file);
}

/* ---- the answer */

static struct policy_answer decide(const struct policy *policy,
				   const struct asked *asked,
				   const struct policy_passed *passed)
{
	struct policy_answer answer = {
		.verdict = POLICY_DENY,
		.reason = POLICY_REASON_DEFAULT,
		.rule = POLICY_NONE,
	};
	struct policy_question file = asked->file;
	struct policy_flow flow = asked->flow;
	int r;

	file.passed = flow.passed = passed;
	/* Both want more only where something was left open; nothing is. */
	r = asked->is_host ? policy_decide_flow(policy, &flow, &answer)
			   : policy_decide(policy, &file, &answer);
	(void)r;
	return answer;
}

static void put_rule(const struct policy *policy,
		     const struct policy_answer *answer, json_t *reply)
{
	const struct policy_rule *rule;

	if (answer->rule == POLICY_NONE)
		return;
	rule = policy_rule(policy, answer->rule);
	put(reply, "rule", policy_text(policy, rule->name));
	put(reply, "origin", policy_text(policy, rule->origin));
	if (rule->reason.length)
		put(reply, "note", policy_text(policy, rule->reason));
	if (rule->until_s)
		json_object_set_new(reply, "until",
				    json_integer(rule->until_s));
}

/* What would make an answer other than that. */
static void put_fix(const struct policy *policy,
		    const struct policy_answer *answer, json_t *reply)
{
	static const char local[] = "local ";
	CLEANUP_FREE char *fix = NULL;
	const struct policy_rule *rule;
	const char *name;
	int length;

	if (answer->verdict == POLICY_ALLOW)
		return;
	if (answer->reason == POLICY_REASON_DEFAULT ||
	    answer->reason == POLICY_REASON_READ_ONLY) {
		put(reply, "fix", "allow");
		return;
	}
	if (answer->rule == POLICY_NONE)
		return;
	rule = policy_rule(policy, answer->rule);
	name = policy_text(policy, rule->name);
	length = !strncmp(name, local, strlen(local))
			 ? asprintf(&fix, "undo %s", name + strlen(local))
			 : asprintf(&fix, "edit %s",
				    policy_text(policy, rule->origin));
	if (length < 0)
		fix = NULL;
	else
		put(reply, "fix", fix);
}

/* A name that may not even be asked for is no name to connect to. */
static void put_question(const struct policy *policy, const struct asked *asked,
			 json_t *reply)
{
	struct policy_answer question;

	if (!asked->flow.name_count)
		return;
	policy_decide_question(policy, asked->flow.account, asked->name,
			       asked->flow.now_s, &question);
	put(reply, "resolve", policy_verdict_word(question.verdict));
}

/* Whoever comes next, each time as if those before had ended. */
static json_t *find_others(const struct policy *policy,
			   const struct asked *asked, uint32_t decides,
			   struct effort *effort)
{
	struct policy_passed passed = {.count = 0};
	json_t *others = json_array();

	while (decides != POLICY_NONE && passed.count < POLICY_PASSED_MAX &&
	       !effort_is_spent_now(effort)) {
		struct policy_answer next;
		const struct policy_rule *rule;
		json_t *other;

		passed.rules[passed.count++] = decides;
		next = decide(policy, asked, &passed);
		decides = next.rule;
		if (decides == POLICY_NONE)
			break;
		rule = policy_rule(policy, decides);
		other = json_object();
		put(other, "origin", policy_text(policy, rule->origin));
		put(other, "verdict", policy_verdict_word(next.verdict));
		put(other, "rule", policy_text(policy, rule->name));
		json_array_append_new(others, other);
	}
	return others;
}

static char *refuse(const char *why)
{
	json_t *reply = json_object();

	put(reply, "verdict", "deny");
	put(reply, "reason", why);
	return reply_line(reply);
}

static char *answer(const struct policy *policy, const struct asked *asked,
		    struct effort *effort)
{
	uint32_t account = asked->file.account;
	struct policy_answer found = decide(policy, asked, NULL);
	json_t *reply = json_object();

	put(reply, "account",
	    policy_text(policy, policy_account(policy, account)->name));
	put(reply, "mode",
	    policy_is_observed(policy, account) ? "observe" : "enforce");
	put(reply, "verdict", policy_verdict_word(found.verdict));
	put(reply, "reason", policy_reason_text(found.reason, found.verdict));
	put_rule(policy, &found, reply);
	put_fix(policy, &found, reply);
	put_question(policy, asked, reply);
	json_object_set_new(reply, "others",
			    find_others(policy, asked, found.rule, effort));
	if (!effort_is_spent_now(effort))
		return reply_line(reply);
	json_decref(reply);
	return refuse("it takes too long to find out");
}

char *explain_give(const struct policy *policy,
		   const struct explain_asker *asker,
		   const struct request *request, struct effort *effort)
{
	int64_t now_s = clock_realtime_ns() / CLOCK_NS_PER_S;
	char problem[1024];
	uint32_t account = asked_account(policy, asker, get(request, "account"),
					 problem, sizeof(problem));
	struct asked asked = {
		.file = {.account = account, .now_s = now_s},
		.flow = {.account = account, .now_s = now_s},
	};
	const char *wrong = account == POLICY_NONE
				    ? problem
				    : read_question(request, &asked);

	return wrong ? refuse(wrong) : answer(policy, &asked, effort);
}
