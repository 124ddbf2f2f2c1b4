#include "gatekeeper/policy/vocabulary.h"

#include <string.h>

const struct policy_kind_row policy_kinds[] = {
	{POLICY_KIND_OPEN, POLICY_FAMILY_FILES, "open"},
	{POLICY_KIND_LIST, POLICY_FAMILY_FILES, "list"},
	{POLICY_KIND_EXEC, POLICY_FAMILY_PROGRAMS, "exec"},
	{POLICY_KIND_CONNECT, POLICY_FAMILY_HOSTS, "connect"},
	{POLICY_KIND_ACCEPT, POLICY_FAMILY_HOSTS, "accept"},
	{POLICY_KIND_RESOLVE, POLICY_FAMILY_HOSTS, "resolve"},
	{POLICY_KIND_CALL, POLICY_FAMILY_TOOLS, "call"},
	{POLICY_KIND_RESULT, POLICY_FAMILY_TOOLS, "result"},
	{POLICY_KIND_DAEMON, POLICY_FAMILY_ANY, "daemon"},
	{.word = NULL},
};

const struct policy_reason_row policy_reasons[] = {
	{POLICY_REASON_RULE, POLICY_FAMILY_ANY, "a rule denies it",
	 "a rule allows it"},
	{POLICY_REASON_DEFAULT, POLICY_FAMILY_ANY,
	 "no rule allows it (default deny)",
	 "no rule denies it (default allow)"},
	{POLICY_REASON_READ_ONLY, POLICY_FAMILY_FILES,
	 "the rule allows reading only", NULL},
	{POLICY_REASON_INODE, POLICY_FAMILY_FILES,
	 "another name of a file that a rule denies", NULL},
	{POLICY_REASON_FOREIGN_MOUNT, POLICY_FAMILY_FILES,
	 "reached through a mount that is not the host's own", NULL},
	{POLICY_REASON_DELETED, POLICY_FAMILY_FILES,
	 "the file was deleted; its name proves nothing", NULL},
	{POLICY_REASON_UNKNOWN_PATH, POLICY_FAMILY_FILES,
	 "its path could not be found out", NULL},
	{POLICY_REASON_CONTENT, POLICY_FAMILY_PROGRAMS,
	 "its content is not the one that was allowed", NULL},
	{POLICY_REASON_LOADER, POLICY_FAMILY_PROGRAMS,
	 "a program loader was to run it, and it may not be run", NULL},
	{POLICY_REASON_INTERPRETER, POLICY_FAMILY_PROGRAMS,
	 "the loader of a program that may run", NULL},
	{POLICY_REASON_TOO_COMPLEX, POLICY_FAMILY_FILES,
	 "too many patterns match at once to decide", NULL},
	{POLICY_REASON_GATE_LOST, POLICY_FAMILY_ANY,
	 "the gate was being replaced", NULL},
	{POLICY_REASON_NOT_LEASHED, POLICY_FAMILY_ANY, "not a leashed account",
	 NULL},
	{POLICY_REASON_INBOUND, POLICY_FAMILY_HOSTS,
	 "inbound lets nobody there connect to the account",
	 "inbound lets others connect to the account"},
	{POLICY_REASON_PACKET, POLICY_FAMILY_HOSTS,
	 "the packet could not be understood", NULL},
	{POLICY_REASON_OWNER, POLICY_FAMILY_HOSTS,
	 "whose packet it is could not be found out", NULL},
	{POLICY_REASON_UNSAID, POLICY_FAMILY_HOSTS,
	 "the host is allowed by name, and the client does not say which one "
	 "it wants",
	 NULL},
	{POLICY_REASON_ELSEWHERE, POLICY_FAMILY_HOSTS,
	 "the client wants a host that was not looked up for this address, or "
	 "is not allowed",
	 NULL},
	{POLICY_REASON_GARBLED, POLICY_FAMILY_HOSTS,
	 "which host the client wants cannot be read", NULL},
	{POLICY_REASON_QUIC, POLICY_FAMILY_HOSTS,
	 "QUIC hides which host is wanted; TCP is tried next", NULL},
	{POLICY_REASON_UNASKED, POLICY_FAMILY_HOSTS,
	 "an answer to no question that the account has asked", NULL},
	{POLICY_REASON_SPECIAL, POLICY_FAMILY_HOSTS,
	 "the name leads to a private address that no rule allows", NULL},
	{POLICY_REASON_LIMIT, POLICY_FAMILY_HOSTS,
	 "more, or longer, names than the limits against tunnels let through",
	 NULL},
	{POLICY_REASON_LOST_FLOW, POLICY_FAMILY_HOSTS,
	 "how the connection began was not seen, so which host it wants is not "
	 "known",
	 NULL},
	{POLICY_REASON_RATE, POLICY_FAMILY_TOOLS,
	 "called more often than the rule allows", NULL},
	{POLICY_REASON_ARGUMENT_FILE, POLICY_FAMILY_TOOLS,
	 "an argument names a file that the account may not open", NULL},
	{POLICY_REASON_ARGUMENT_HOST, POLICY_FAMILY_TOOLS,
	 "an argument names a host that the account may not reach", NULL},
	{POLICY_REASON_ARGUMENT_PROGRAM, POLICY_FAMILY_TOOLS,
	 "an argument names a program that the account may not run", NULL},
	{POLICY_REASON_FOUND, POLICY_FAMILY_TOOLS,
	 "it holds what must not pass", NULL},
	{POLICY_REASON_UNREADABLE, POLICY_FAMILY_TOOLS,
	 "it cannot be understood", NULL},
	{POLICY_REASON_CHANGED, POLICY_FAMILY_TOOLS,
	 "the tool's definition has changed, or gives orders, and nobody has "
	 "trusted it since",
	 NULL},
	{POLICY_REASON_JUST_MOUNTED, POLICY_FAMILY_FILES,
	 "its filesystem was mounted a moment ago and is not covered yet; try "
	 "again",
	 NULL},
	{POLICY_REASON_CONDITION, POLICY_FAMILY_TOOLS,
	 "whether a rule's condition holds cannot be told", NULL},
	{POLICY_REASON_MANY_EXECS, POLICY_FAMILY_PROGRAMS,
	 "too many programs of the account are being started; try again", NULL},
	{.sentence = NULL},
};

struct word {
	uint32_t number;
	const char *text; /* NULL: the end */
};

static const struct word families[] = {
	{POLICY_FAMILY_FILES, "files"},
	{POLICY_FAMILY_PROGRAMS, "programs"},
	{POLICY_FAMILY_HOSTS, "hosts"},
	{POLICY_FAMILY_TOOLS, "tools"},
	{.text = NULL},
};

static const struct word accesses[] = {
	{POLICY_ACCESS_UNKNOWN, "any"},
	{POLICY_ACCESS_READ, "read"},
	{POLICY_ACCESS_WRITE, "write"},
	{POLICY_ACCESS_EXEC, "exec"},
	{.text = NULL},
};

static const struct word verdicts[] = {
	{POLICY_ALLOW, "allow"},
	{POLICY_DENY, "deny"},
	{POLICY_OBSERVE, "observe"},
	{.text = NULL},
};

static const struct word inspects[] = {
	{POLICY_INSPECT_SECRETS, "secrets"},
	{POLICY_INSPECT_PRIVILEGE, "privilege"},
	{POLICY_INSPECT_REMOTE, "remote"},
	{POLICY_INSPECT_DESTRUCTIVE, "destructive"},
	{POLICY_INSPECT_RISKY, "risky"},
	{POLICY_INSPECT_CARD, "card"},
	{POLICY_INSPECT_IBAN, "iban"},
	{POLICY_INSPECT_NATIONAL_ID, "national-id"},
	{POLICY_INSPECT_PHONE, "phone"},
	{POLICY_INSPECT_EMAIL, "email"},
	{POLICY_INSPECT_ADDRESS, "address"},
	{.text = NULL},
};

static const struct word protocols[] = {
	{POLICY_PROTOCOL_TCP, "tcp"},	      {POLICY_PROTOCOL_UDP, "udp"},
	{POLICY_PROTOCOL_UDPLITE, "udplite"}, {POLICY_PROTOCOL_SCTP, "sctp"},
	{POLICY_PROTOCOL_ICMP, "icmp"},	      {.text = NULL},
};

static const char *find(const struct word *words, uint32_t number)
{
	for (; words->text; words++)
		if (words->number == number)
			return words->text;
	return "?";
}

const char *policy_kind_word(uint32_t kind)
{
	for (const struct policy_kind_row *row = policy_kinds; row->word; row++)
		if (row->kind == kind)
			return row->word;
	return "?";
}

uint32_t policy_kind_read(const char *word)
{
	for (const struct policy_kind_row *row = policy_kinds; row->word; row++)
		if (!strcmp(row->word, word))
			return row->kind;
	return 0;
}

const char *policy_family_word(uint32_t family)
{
	return find(families, family);
}

const char *policy_access_word(uint32_t access)
{
	return find(accesses, access);
}

const char *policy_verdict_word(uint32_t verdict)
{
	return find(verdicts, verdict);
}

const char *policy_inspect_word(uint32_t kind)
{
	return find(inspects, kind);
}

const char *policy_protocol_word(uint32_t protocol)
{
	return find(protocols, protocol);
}

const char *policy_reason_text(uint32_t reason, uint32_t verdict)
{
	const struct policy_reason_row *row = policy_reasons;

	while (row->sentence && row->reason != reason)
		row++;
	if (!row->sentence)
		return "?";
	return verdict == POLICY_ALLOW && row->allowed ? row->allowed
						       : row->sentence;
}

uint32_t policy_reason_read(const char *sentence)
{
	for (const struct policy_reason_row *row = policy_reasons;
	     row->sentence; row++)
		if (!strcmp(row->sentence, sentence) ||
		    (row->allowed && !strcmp(row->allowed, sentence)))
			return row->reason;
	return 0;
}
