#pragma once

/*
 * toolcall - how to ask whether a tool may be called
 *
 * The socket is a stream; anybody may connect.  Who asks is what the kernel
 * says (SO_PEERCRED): nobody can speak for another account, but root, who may
 * name one.  Whoever connects should make sure that the other side is root,
 * too: the socket is gatekeeper's.
 *
 * One request is one JSON object on one line, and so is its answer, in the
 * same order.  Requests:
 *
 *   {"ask": "call", "tool": "Bash", "arguments": {"command": "ls"}}
 *       server   the MCP server, if it is one's; its tool "t" is then known
 *                as mcp__SERVER__t
 *       cwd      what relative paths are relative to
 *       client   for the log; others are passed over
 *       account  for root: judge as this account
 *       explain  true: nothing is written down or counted
 *   {"ask": "result", "tool": "Bash", "result": ANYTHING}
 *       what came of a call, before the agent sees it
 *   {"ask": "prompt", "text": "..."}
 *       what a person tells the agent
 *   {"ask": "define", "server": "files", "tools": [DEFINITION, ...]}
 *       the tools that a server offers, as MCP's tools/list has them
 *       -> {"withheld": [null, "a reason", ...]}: null may be shown
 *   {"ask": "event", "event": "SessionStart", "detail": "..."}
 *       for the log alone
 *   {"ask": "explain", "kind": "open", "list", "exec" or "connect", ...}
 *       would it be allowed, and why (toolcall/explain.h); nothing is written
 *       down.  All are texts, numbers in digits: inodes are too big for JSON's.
 *       path, access (read, write), device, inode, size, changed_ns
 *       host, port, protocol, address, program
 *       account  for root and the group leash; an account's own
 *       -> {"verdict", "reason", "account", "mode": "enforce" or "observe",
 *           "rule", "origin", "note", "until": a number,
 *           "others": [{"origin", "verdict", "rule"}], next in turn, up to 8,
 *           "fix": what would change a no: "allow", "undo N", "edit ORIGIN",
 *           "resolve": for a host's name: may it be asked for}
 *       Without account, it is not answered, and reason says why.  A text that
 *       is no UTF-8 stands under KEY_hex instead, in hexadecimal.
 *   {"ask": "pending", "account": "puppy"}
 *       root: definitions that are withheld and could be trusted
 *       -> {"pending": [{server, tool, why, before, now, digest}]}
 *   {"ask": "trust", "account", "server", "tool", "digest"}
 *       root: show it from now on
 *
 * The answer to a call, a result or a prompt (whose text may be any JSON):
 *
 *   {"verdict": "allow", "deny" or "observe" (allowed, but would be denied),
 *    "reason": a sentence, "rule": its name, if one decided,
 *    "findings": [{"rule", "kind", "action", "path", "offset", "form"}],
 *    "arguments" or "result" or "text": the same, with what is to be redacted
 *        replaced; only where something was}
 *
 * No answer holds what was found.  A request that cannot be understood, is
 * too big is answered with verdict "deny" and the reason,
 * and the connection is closed where the next request cannot be found.
 */

#define TOOLCALL_FOLDER	     "/run/leash"
#define TOOLCALL_SOCKET	     "toolcall.sock"
#define TOOLCALL_REQUEST_MAX ((size_t)8 << 20) /* bytes, with the new line */
