#include "gatekeeper/policy/vocabulary.h"

#include <stdbool.h>

const char *policy_kind_word(uint32_t kind)
{
	switch ((enum policy_kind)kind) {
	case POLICY_KIND_OPEN:
		return "open";
	case POLICY_KIND_LIST:
		return "list";
	case POLICY_KIND_EXEC:
		return "exec";
	case POLICY_KIND_DAEMON:
		return "daemon";
	case POLICY_KIND_CONNECT:
		return "connect";
	case POLICY_KIND_ACCEPT:
		return "accept";
	case POLICY_KIND_RESOLVE:
		return "resolve";
	case POLICY_KIND_CALL:
		return "call";
	case POLICY_KIND_RESULT:
		return "result";
	}
	return "?";
}

const char *policy_access_word(uint32_t access)
{
	switch ((enum policy_access)access) {
	case POLICY_ACCESS_UNKNOWN:
		return "any";
	case POLICY_ACCESS_READ:
		return "read";
	case POLICY_ACCESS_WRITE:
		return "write";
	case POLICY_ACCESS_EXEC:
		return "exec";
	}
	return "?";
}

const char *policy_verdict_word(uint32_t verdict)
{
	switch ((enum policy_verdict)verdict) {
	case POLICY_ALLOW:
		return "allow";
	case POLICY_DENY:
		return "deny";
	case POLICY_OBSERVE:
		return "observe";
	}
	return "?";
}

const char *policy_inspect_word(uint32_t kind)
{
	switch ((enum policy_inspect_kind)kind) {
	case POLICY_INSPECT_SECRETS:
		return "secrets";
	case POLICY_INSPECT_PRIVILEGE:
		return "privilege";
	case POLICY_INSPECT_REMOTE:
		return "remote";
	case POLICY_INSPECT_DESTRUCTIVE:
		return "destructive";
	case POLICY_INSPECT_RISKY:
		return "risky";
	case POLICY_INSPECT_CARD:
		return "card";
	case POLICY_INSPECT_IBAN:
		return "iban";
	case POLICY_INSPECT_NATIONAL_ID:
		return "national-id";
	case POLICY_INSPECT_PHONE:
		return "phone";
	case POLICY_INSPECT_EMAIL:
		return "email";
	case POLICY_INSPECT_ADDRESS:
		return "address";
	case POLICY_INSPECT_KINDS:
		break;
	}
	return "?";
}

const char *policy_protocol_word(uint32_t protocol)
{
	switch ((enum policy_protocol)protocol) {
	case POLICY_PROTOCOL_TCP:
		return "tcp";
	case POLICY_PROTOCOL_UDP:
		return "udp";
	case POLICY_PROTOCOL_UDPLITE:
		return "udplite";
	case POLICY_PROTOCOL_SCTP:
		return "sctp";
	case POLICY_PROTOCOL_ICMP:
		return "icmp";
	case POLICY_PROTOCOL_ALL:
		break;
	}
	return "?";
}

const char *policy_reason_text(uint32_t reason, uint32_t verdict)
{
	bool allowed = verdict == POLICY_ALLOW;

	switch ((enum policy_reason)reason) {
	case POLICY_REASON_RULE:
		return allowed ? "a rule allows it" : "a rule denies it";
	case POLICY_REASON_DEFAULT:
		return allowed ? "no rule denies it (default allow)"
			       : "no rule allows it (default deny)";
	case POLICY_REASON_READ_ONLY:
		return "the rule allows reading only";
	case POLICY_REASON_INODE:
		return "another name of a file that a rule denies";
	case POLICY_REASON_FOREIGN_MOUNT:
		return "reached through a mount that is not the host's own";
	case POLICY_REASON_DELETED:
		return "the file was deleted; its name proves nothing";
	case POLICY_REASON_UNKNOWN_PATH:
		return "its path could not be found out";
	case POLICY_REASON_CONTENT:
		return "its content is not the one that was allowed";
	case POLICY_REASON_LOADER:
		return "a program loader was to run it, and it may not be run";
	case POLICY_REASON_INTERPRETER:
		return "the loader of a program that may run";
	case POLICY_REASON_TOO_COMPLEX:
		return "too many patterns match at once to decide";
	case POLICY_REASON_GATE_LOST:
		return "the gate was being replaced";
	case POLICY_REASON_NOT_LEASHED:
		return "not a leashed account";
	case POLICY_REASON_INBOUND:
		return allowed ? "inbound lets others connect to the account"
			       : "inbound lets nobody there connect to the "
				 "account";
	case POLICY_REASON_PACKET:
		return "the packet could not be understood";
	case POLICY_REASON_OWNER:
		return "whose packet it is could not be found out";
	case POLICY_REASON_UNSAID:
		return "the host is allowed by name, and the client does not "
		       "say which one it wants";
	case POLICY_REASON_ELSEWHERE:
		return "the client wants a host that was not looked up for "
		       "this address, or is not allowed";
	case POLICY_REASON_GARBLED:
		return "which host the client wants cannot be read";
	case POLICY_REASON_QUIC:
		return "QUIC hides which host is wanted; TCP is tried next";
	case POLICY_REASON_UNASKED:
		return "an answer to no question that the account has asked";
	case POLICY_REASON_SPECIAL:
		return "the name leads to a private address that no rule "
		       "allows";
	case POLICY_REASON_LIMIT:
		return "more, or longer, names than the limits against tunnels "
		       "let through";
	case POLICY_REASON_LOST_FLOW:
		return "how the connection began was not seen, so which host "
		       "it wants is not known";
	case POLICY_REASON_RATE:
		return "called more often than the rule allows";
	case POLICY_REASON_ARGUMENT_FILE:
		return "an argument names a file that the account may not "
		       "open";
	case POLICY_REASON_ARGUMENT_HOST:
		return "an argument names a host that the account may not "
		       "reach";
	case POLICY_REASON_ARGUMENT_PROGRAM:
		return "an argument names a program that the account may not "
		       "run";
	case POLICY_REASON_FOUND:
		return "it holds what must not pass";
	case POLICY_REASON_UNREADABLE:
		return "it cannot be understood";
	case POLICY_REASON_CHANGED:
		return "the tool's definition has changed, or gives "
		       "orders, and nobody has trusted it since";
	case POLICY_REASON_JUST_MOUNTED:
		return "its filesystem was mounted a moment ago and is not "
		       "covered yet; try again";
	}
	return "?";
}
