#pragma once

/*
 * vocabulary - the words that policy, gates, log and people share
 *
 * The numbers are written to disk and into shared memory: never renumber,
 * only append.
 */

#include <stdint.h>

#define POLICY_NONE UINT32_MAX

/* What is being asked. */
enum policy_kind {
	POLICY_KIND_OPEN = 1, /* open a file */
	POLICY_KIND_LIST,     /* open a folder, to list it */
	POLICY_KIND_EXEC,     /* run a program */
	POLICY_KIND_DAEMON,   /* no question: something happened to Leash */
	POLICY_KIND_CONNECT,  /* send to an address */
	POLICY_KIND_ACCEPT,   /* answer somebody who connects to the account */
	POLICY_KIND_RESOLVE,  /* ask for the address of a name */
	POLICY_KIND_CALL,     /* call a tool */
	POLICY_KIND_RESULT,   /* be shown what came of a call */
};

/* What a question is about; each but ANY has a view of the log. */
enum policy_family {
	POLICY_FAMILY_ANY,
	POLICY_FAMILY_FILES,
	POLICY_FAMILY_PROGRAMS,
	POLICY_FAMILY_HOSTS,
	POLICY_FAMILY_TOOLS,
};

/* How a file is opened; UNKNOWN until it has been worth finding out. */
enum policy_access {
	POLICY_ACCESS_UNKNOWN = 0,
	POLICY_ACCESS_READ,
	POLICY_ACCESS_WRITE,
	POLICY_ACCESS_EXEC, /* by the kernel, to run it */
};

enum policy_verdict {
	POLICY_ALLOW = 1,
	POLICY_DENY,
	POLICY_OBSERVE, /* allowed, would have been denied */
};

enum policy_mode {
	POLICY_MODE_ENFORCE = 1,
	POLICY_MODE_OBSERVE,
};

enum policy_reason {
	POLICY_REASON_RULE = 1,	     /* the named rule says so */
	POLICY_REASON_DEFAULT,	     /* no rule matches: the default */
	POLICY_REASON_READ_ONLY,     /* the rule allows reading only */
	POLICY_REASON_INODE,	     /* another name of a denied file */
	POLICY_REASON_FOREIGN_MOUNT, /* not through the host's own mounts */
	POLICY_REASON_DELETED,	     /* the name no longer leads there */
	POLICY_REASON_UNKNOWN_PATH,  /* the path could not be had */
	POLICY_REASON_CONTENT,	     /* not the content that was allowed */
	POLICY_REASON_LOADER,	     /* a loader was to run it */
	POLICY_REASON_INTERPRETER,   /* loader of a program just allowed */
	POLICY_REASON_TOO_COMPLEX,   /* the patterns' bound was reached */
	POLICY_REASON_GATE_LOST,     /* nobody was there to decide */
	POLICY_REASON_NOT_LEASHED,   /* not an account of the policy */
	POLICY_REASON_INBOUND,	     /* who may connect to the account */
	POLICY_REASON_PACKET,	     /* the packet could not be understood */
	POLICY_REASON_OWNER,	     /* whose packet it is, nobody can tell */
	POLICY_REASON_UNSAID,	     /* the client says no name */
	POLICY_REASON_ELSEWHERE,     /* it says one that leads elsewhere */
	POLICY_REASON_GARBLED,	     /* what it says cannot be read */
	POLICY_REASON_QUIC,	     /* names cannot be seen in it */
	POLICY_REASON_UNASKED,	     /* an answer to no question */
	POLICY_REASON_SPECIAL,	     /* a public name for a private address */
	POLICY_REASON_LIMIT,	     /* more names than is usual: a tunnel? */
	POLICY_REASON_LOST_FLOW,     /* in the middle, and never seen before */
	POLICY_REASON_RATE,	     /* called too often */
	POLICY_REASON_ARGUMENT_FILE, /* an argument names a file denied */
	POLICY_REASON_ARGUMENT_HOST, /* or a host */
	POLICY_REASON_ARGUMENT_PROGRAM, /* or a program, in a command */
	POLICY_REASON_FOUND,		/* what was searched for was found */
	POLICY_REASON_UNREADABLE,	/* the call cannot be understood */
	POLICY_REASON_CHANGED,		/* the tool is not what it was */
	POLICY_REASON_JUST_MOUNTED,	/* and not covered yet */
	POLICY_REASON_CONDITION,	/* whether it holds cannot be told */
	POLICY_REASON_MANY_EXECS,	/* no room to remember another */
};

/* What a rule does; a rule of `programs` is never asked about files. */
enum policy_effect {
	POLICY_EFFECT_DENY = 1,
	POLICY_EFFECT_READ,
	POLICY_EFFECT_WRITE,
	POLICY_EFFECT_RUN,
	POLICY_EFFECT_REACH,
	POLICY_EFFECT_CALL,
};

/* Protocols, as bits; a packet has one of them, a rule any. */
enum policy_protocol {
	POLICY_PROTOCOL_TCP = 1 << 0,
	POLICY_PROTOCOL_UDP = 1 << 1,
	POLICY_PROTOCOL_UDPLITE = 1 << 2,
	POLICY_PROTOCOL_SCTP = 1 << 3,
	POLICY_PROTOCOL_ICMP = 1 << 4, /* of either family */
	POLICY_PROTOCOL_ALL = (1 << 5) - 1,
};

/* Who may connect to what an account listens on. */
enum policy_inbound {
	POLICY_INBOUND_DENY = 1,
	POLICY_INBOUND_LOOPBACK,
	POLICY_INBOUND_ANY,
};

/* What a tool call and its result are searched for. */
enum policy_inspect_kind {
	POLICY_INSPECT_SECRETS,
	POLICY_INSPECT_PRIVILEGE,   /* commands: ways to more rights */
	POLICY_INSPECT_REMOTE,	    /* strangers' code, data sent away */
	POLICY_INSPECT_DESTRUCTIVE, /* what cannot be undone */
	POLICY_INSPECT_RISKY,	    /* what others see, or hard to undo */
	POLICY_INSPECT_CARD,
	POLICY_INSPECT_IBAN,
	POLICY_INSPECT_NATIONAL_ID,
	POLICY_INSPECT_PHONE,
	POLICY_INSPECT_EMAIL,
	POLICY_INSPECT_ADDRESS,
	POLICY_INSPECT_KINDS,
};

#define POLICY_INSPECT_ROOM 16 /* for those to come */

/* And what is done with what is found. */
enum policy_inspect {
	POLICY_INSPECT_NOT, /* not searched for */
	POLICY_INSPECT_OBSERVE,
	POLICY_INSPECT_REDACT,
	POLICY_INSPECT_DENY,
};

/* How a condition compares; the negative ones are the same, negated. */
enum policy_operator {
	POLICY_OPERATOR_EQUALS = 1, /* several values: one of them */
	POLICY_OPERATOR_CONTAINS,
	POLICY_OPERATOR_STARTS_WITH,
	POLICY_OPERATOR_ENDS_WITH,
	POLICY_OPERATOR_MATCHES, /* a regular expression of PCRE2 */
	POLICY_OPERATOR_GREATER_THAN,
	POLICY_OPERATOR_LESS_THAN,
	POLICY_OPERATOR_GLOB,
};

/*
 * All kinds and all reasons there are, in the order in which people are told
 * of them; whatever else lists them - the log's views, manual pages,
 * completions - is held against these by tests.
 */
struct policy_kind_row {
	enum policy_kind kind;
	enum policy_family family;
	const char *word; /* NULL: the end */
};

struct policy_reason_row {
	enum policy_reason reason;
	enum policy_family family; /* of what it is said */
	const char *sentence;	   /* NULL: the end */
	const char *allowed;	   /* where the answer is yes; NULL: likewise */
};

extern const struct policy_kind_row policy_kinds[];
extern const struct policy_reason_row policy_reasons[];

/* The word for each, as in the log and in --json; "?" for another number. */
const char *policy_kind_word(uint32_t kind);
const char *policy_family_word(uint32_t family);
const char *policy_access_word(uint32_t access);
const char *policy_verdict_word(uint32_t verdict);
const char *policy_protocol_word(uint32_t protocol);
const char *policy_inspect_word(uint32_t kind);

/* The sentence behind a reason: "no rule allows it (default deny)". */
const char *policy_reason_text(uint32_t reason, uint32_t verdict);

/* The number of a word, or of a sentence of either verdict; 0: none. */
uint32_t policy_kind_read(const char *word);
uint32_t policy_reason_read(const char *sentence);
