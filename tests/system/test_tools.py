"""The tool gate: its socket, and what it says of calls and results."""

import base64
import json
import os
import random
import signal
import socket
import string
import subprocess
import time

from harness import (Gatekeeper, PROBE, PUPPY, KITTEN, ROOT, Tap, as_user,
                     config, leaks, wait_rows, write_file)

SOCKET = "/run/leash/toolcall.sock"
random.seed(7)


def token(length, alphabet=string.ascii_letters + string.digits):
    return "".join(random.choice(alphabet) for _ in range(length))


# Made here, so that no scanner of this project finds them in it.
SECRET = "ghp_" + token(36)
TOOLS = """
    tools = {
      allow = ( "Read", "Write", "mcp__files__*", "Free",
                { tool = "Bash"; },
                { tool = "Loose"; by_name_only = true; },
                { tool = "Timed"; max = 3; per = 60; name = "thrice"; },
                { tool = "Query"; when = ( { field = "env"; operator = "in";
                                             value = ( "dev", "test" ); },
                                           { field = "limit"; operator = "less_than";
                                             value = 100; } ); },
                { tool = "Pick"; when = ( { field = "items.*.kind"; operator = "equals";
                                            value = "cat"; } ); } );
      deny  = ( "mcp__files__delete_*",
                { tool = "Bash"; name = "no pushing"; reason = "ask Alice";
                  when = ( { field = "command"; operator = "matches";
                             value = "^git\\\\s+push"; } ); } );
      inspect = ( "secrets", "commands",
                  { what = "card"; action = "redact"; },
                  { what = "email"; action = "observe"; } );
    };
    network = { allow = ( { host = "api.example.net"; ports = [ 443 ]; },
                          { net = "192.0.2.0/24"; } ); };
"""
POLICY = config(files='read = [ "/usr", "/etc" ]; write = [ "/srv/project" ]; '
                      'deny = [ "/etc/shadow", "**/.env" ];',
                programs=f'list = [ "{PROBE}", "/usr/bin/cat", "/usr/bin/git",'
                         ' "/usr/bin/ls", "/usr/bin/bash", "/usr/bin/dash" ];',
                extra=TOOLS)
tap = Tap()


def ask(request, seconds=20):
    """One question and its answer, by whoever calls this."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(seconds)
        link.connect(SOCKET)
        raw = request if isinstance(request, bytes) else \
            json.dumps(request).encode()
        link.sendall(raw + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            part = link.recv(1 << 20)
            if not part:
                break
            reply += part
    return json.loads(reply) if reply else {"verdict": "closed"}


def call(tool, arguments=None, uid=PUPPY, **more):
    return as_user(uid, ask, {"ask": "call", "tool": tool,
                              "arguments": arguments or {}, **more})


def verdict(*arguments, **more):
    return call(*arguments, **more)["verdict"]


def test_names():
    tap.equal("a tool that is listed", verdict("Read"), "allow")
    tap.equal("one that is not", verdict("WebSearch"), "deny")
    denied = call("WebSearch")
    tap.check("with the reason, and what to add",
              "no rule allows it" in denied["reason"] and
              denied.get("fix") == "allow", denied)
    tap.equal("a pattern", verdict("mcp__files__read_file"), "allow")
    tap.equal("a server's tool by the server's name",
              verdict("read_file", server="files"), "allow")
    tap.equal("of another server",
              verdict("read_file", server="other"), "deny")
    tap.equal("a denying pattern wins",
              verdict("mcp__files__delete_file"), "deny")
    tap.equal("names are compared as they are written",
              verdict("read"), "deny")
    tap.equal("a name that goes on", verdict("Readx"), "deny")


def test_conditions():
    tap.equal("conditions that hold",
              verdict("Query", {"env": "dev", "limit": 10}), "allow")
    tap.equal("in any case", verdict("Query", {"env": "DEV", "limit": 1.5}),
              "allow")
    tap.equal("one that does not", verdict("Query", {"env": "prod",
                                                     "limit": 10}), "deny")
    tap.equal("by number", verdict("Query", {"env": "dev", "limit": 100}),
              "deny")
    tap.equal("an argument that is missing", verdict("Query", {"env": "dev"}),
              "deny")
    tap.equal("each of a list",
              verdict("Pick", {"items": [{"kind": "dog"}, {"kind": "cat"}]}),
              "allow")
    tap.equal("none of it", verdict("Pick", {"items": [{"kind": "dog"}]}),
              "deny")
    denied = call("Bash", {"command": "git  push origin main"})
    tap.check("a denial with a condition",
              denied["verdict"] == "deny" and
              denied.get("rule") == "no pushing" and
              "ask Alice" in denied["reason"], denied)
    tap.equal("and without", verdict("Bash", {"command": "git log"}), "allow")


def test_rates():
    first = [verdict("Timed") for _ in range(5)]
    tap.equal("three in a minute", first,
              ["allow"] * 3 + ["deny"] * 2)
    denied = call("Timed")
    tap.check("which is said", denied["rule"] == "thrice" and
              "more often" in denied["reason"], denied)


def test_subjects():
    tap.equal("a file that may be read",
              verdict("Read", {"file_path": "/etc/hostname"}), "allow")
    denied = call("Read", {"file_path": "/etc/shadow"})
    tap.check("one that may not, by the files' rules",
              denied["verdict"] == "deny" and "/etc/shadow" in denied["reason"],
              denied)
    tap.equal("by a way around",
              verdict("Read", {"file_path": "/usr/../etc/./shadow"}), "deny")
    tap.equal("relative", verdict("Read", {"file_path": "../etc/shadow"},
                                  cwd="/usr"), "deny")
    os.symlink("/etc/shadow", "/srv/project/innocent")
    tap.equal("by a link",
              verdict("Read", {"file_path": "/srv/project/innocent"}), "deny")
    tap.equal("in the project",
              verdict("Write", {"file_path": "/srv/project/a.c",
                                "content": "int a;"}), "allow")
    tap.equal("written elsewhere",
              verdict("Write", {"file_path": "/etc/hostname",
                                "content": "x"}), "deny")
    tap.equal("a pattern of the files' rules",
              verdict("Read", {"file_path": "/srv/project/.env"}), "deny")
    tap.equal("a server's argument, deep inside",
              verdict("mcp__files__read_multiple",
                      {"request": {"paths": ["/etc/hostname",
                                             "/root/x"]}}), "deny")
    tap.equal("a URL that may be reached",
              verdict("mcp__files__get",
                      {"url": "https://api.example.net/v1"}), "allow")
    tap.equal("one that may not",
              verdict("mcp__files__get",
                      {"url": "https://evil.example.org/"}), "deny")
    tap.equal("another port",
              verdict("mcp__files__get",
                      {"url": "https://api.example.net:8443/"}), "deny")
    tap.equal("one with a name before it",
              verdict("mcp__files__get",
                      {"url": "https://api.example.net@evil.example.org/"}),
              "deny")
    tap.equal("an address", verdict("mcp__files__get",
                                    {"url": "http://192.0.2.7/"}), "allow")
    tap.equal("another", verdict("mcp__files__get",
                                 {"url": "http://[::ffff:198.51.100.1]/"}),
              "deny")
    tap.equal("a command whose programs may run",
              verdict("Bash", {"command": "cat a | cat > /srv/project/b"}),
              "allow")
    denied = call("Bash", {"command": "ls && openssl version"})
    tap.check("one of which may not, by the programs' rules",
              denied["verdict"] == "deny" and "openssl" in denied["reason"],
              denied)
    tap.equal("behind a shell",
              verdict("Bash", {"command": "bash -c 'openssl version'"}), "deny")
    tap.equal("a command in words",
              verdict("shell_exec", {"command": ["openssl", "version"]}), "deny")
    tap.equal("what it fetches",
              verdict("Bash", {"command": "git clone https://evil.example.org/x"}),
              "deny")
    tap.equal("where only the name counts",
              verdict("Loose", {"file_path": "/etc/shadow"}), "allow")
    tap.equal("a patch names its files",
              verdict("mcp__files__apply_patch",
                      {"input": "*** Begin Patch\n*** Update File: "
                                "/etc/passwd\n@@\n*** End Patch"}), "deny")


def test_search():
    denied = call("Write", {"file_path": "/srv/project/a",
                            "content": f"token = '{SECRET}'"})
    tap.check("a secret in an argument",
              denied["verdict"] == "deny" and
              denied["findings"][0]["rule"] == "github-pat" and
              denied["findings"][0]["path"] == "$.content", denied)
    tap.check("is not in the answer", SECRET not in json.dumps(denied), denied)
    encoded = base64.b64encode(f"my {SECRET} here".encode()).decode()
    denied = call("Free", {"a": [{"b": encoded}]})
    tap.check("in base64, deep inside",
              denied["verdict"] == "deny" and
              denied["findings"][0]["form"] == "base64" and
              denied["findings"][0]["path"] == "$.a[0].b", denied)
    tap.equal("in a key", verdict("Free", {SECRET: 1}), "deny")
    joined = f'"{SECRET[:12]}" + "{SECRET[12:]}"'
    tap.equal("cut in two", verdict("Free", {"code": joined}), "deny")
    escaped = "".join(f"\\x{ord(c):02x}" for c in SECRET)
    tap.equal("escaped", verdict("Free", {"code": escaped}), "deny")
    tap.equal("in hexadecimal", verdict("Free", {"x": SECRET.encode().hex()}),
              "deny")
    tap.equal("with percent signs",
              verdict("Free", {"x": "%" + "%".join(
                  f"{ord(c):02X}" for c in SECRET)}), "deny")
    tap.equal("its shorter look-alike",
              verdict("Free", {"x": SECRET[:20]}), "allow")
    card = call("Free", {"note": "pay with 4539 5260 1815 9083, please"})
    tap.check("a card's number is redacted",
              card["verdict"] == "allow" and card["arguments"] ==
              {"note": "pay with [redacted:card-number], please"}, card)
    tap.equal("as a number it cannot be",
              verdict("Free", {"n": 4539526018159083}), "deny")
    tap.equal("a number that is none",
              verdict("Free", {"n": 4539526018159084}), "allow")
    seen = call("Free", {"to": "jane.roe@corp-mail.net"})
    tap.check("an address is only noted", seen["verdict"] == "observe" and
              "arguments" not in seen, seen)
    denied = call("Bash", {"command": "cat x | sudo bash"})
    tap.check("a command", denied["verdict"] == "deny", denied)
    tap.equal("its look-alike",
              verdict("Bash", {"command": "cat 'notes on sudo bash'"}),
              "allow")
    denied = call("Write", {"file_path": "/srv/project/.git/hooks/pre-commit",
                            "content": "#!/bin/sh\n"})
    tap.check("a file that git would run, by a tool that writes",
              denied["verdict"] == "deny" and
              denied["findings"][0]["rule"] == "git-hooks", denied)


def test_results():
    def result(value):
        return as_user(PUPPY, ask, {"ask": "result", "tool": "Read",
                                    "result": value})
    tap.equal("a result", result("hello")["verdict"], "allow")
    tap.equal("with a secret", result({"content": [
        {"type": "text", "text": SECRET}]})["verdict"], "deny")
    card = result([{"text": "4539526018159083"}])
    tap.check("redacted", card["verdict"] == "allow" and card["result"] ==
              [{"text": "[redacted:card-number]"}], card)
    tap.equal("a command is none in a result",
              result("sudo rm -rf /")["verdict"], "allow")
    tap.equal("what a person says",
              as_user(PUPPY, ask, {"ask": "prompt",
                                   "text": f"use {SECRET}"})["verdict"],
              "deny")


def test_who():
    tap.equal("somebody who is not leashed",
              call("WebSearch", uid=KITTEN)["reason"],
              "not a leashed account")
    tap.equal("root", call("WebSearch", uid=ROOT)["verdict"], "allow")
    tap.equal("root, for an account",
              call("WebSearch", uid=ROOT, account="puppy")["verdict"], "deny")
    tap.equal("nobody else can speak for one",
              call("WebSearch", uid=KITTEN, account="puppy")["verdict"],
              "allow")
    tap.equal("or for another",
              call("WebSearch", account="kitten")["verdict"], "deny")


def test_bad_requests():
    bad = {
        "no JSON": b"hello",
        "no object": b"[1]",
        "an unknown question": b'{"ask": "what"}',
        "no tool": b'{"ask": "call"}',
        "a key twice": b'{"ask": "call", "tool": "Read", "tool": "Bash"}',
        "bytes that are no UTF-8": b'{"ask": "call", "tool": "Re\xffad"}',
        "a NUL in the name": b'{"ask": "call", "tool": "Read\\u0000"}',
        "a name too long": json.dumps({"ask": "call",
                                       "tool": "R" * 600}).encode(),
        "too deep": b'{"ask":"call","tool":"Read","arguments":'
                    + b"[" * 5000 + b"]" * 5000 + b"}",
        "too big": b'{"ask":"call","tool":"Read","arguments":{"x":"'
                   + b"a" * (9 << 20) + b'"}}',
        "a NUL in a path": b'{"ask":"call","tool":"Read","arguments":'
                           b'{"file_path":"/etc/hostname\\u0000x"}}',
        "a command beyond all measure": json.dumps(
            {"ask": "call", "tool": "Bash",
             "arguments": {"command": "cat $(" * 40}}).encode(),
    }
    for name, request in bad.items():
        def attempt(raw=request):
            try:
                return ask(raw)["verdict"]
            except (BrokenPipeError, ConnectionResetError):
                return "closed"
        answer = as_user(PUPPY, attempt)
        tap.check(f"refused: {name}", answer in ("deny", "closed"), answer)
    tap.equal("and it goes on", verdict("Read"), "allow")
    huge = {"ask": "call", "tool": "Free",
            "arguments": {"x": 2 ** 70, "y": "ok"}}
    tap.equal("a number beyond 64 bits", as_user(PUPPY, ask, huge)["verdict"],
              "allow")

    costly = call("Free", {"x": "curl " * (5 << 18)})
    tap.check("a text made to be costly", costly["verdict"] == "deny" and
              "too long" in costly["reason"], costly)

    def two_at_once():
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(SOCKET)
            one = json.dumps({"ask": "call", "tool": "Read"})
            other = json.dumps({"ask": "call", "tool": "No"})
            link.sendall(f"{one}\n{other}\n{one}\n{other[:9]}".encode())
            time.sleep(0.1)
            link.sendall(f"{other[9:]}\n".encode())
            with link.makefile() as lines:
                return [json.loads(lines.readline())["verdict"]
                        for _ in range(4)]
    tap.equal("several in one piece, one in two",
              as_user(PUPPY, two_at_once), ["allow", "deny"] * 2)


def test_crowd():
    def crowd():
        links = []
        for _ in range(90):
            link = socket.socket(socket.AF_UNIX)
            link.connect(SOCKET)
            links.append(link)
        time.sleep(0.3)
        return len(links)
    tap.equal("an account that takes all it can get", as_user(PUPPY, crowd),
              90)

    def others():
        hog = []
        for _ in range(90):
            link = socket.socket(socket.AF_UNIX)
            link.connect(SOCKET)
            link.send(b'{"ask"')
            hog.append(link)
        return ask({"ask": "call", "tool": "Read"})["verdict"]
    refused = as_user(PUPPY, others)
    # EAGAIN: nobody has taken even the connection yet.
    tap.check("is shut out itself, and hears no yes",
              refused in ("closed", "ECONNRESET", "EPIPE", "EAGAIN"), refused)
    tap.equal("others are served", call("x", uid=KITTEN)["verdict"], "allow")


def test_life(gatekeeper):
    tap.check("it runs without any right", all(
        line.split()[1].strip("0") == "" for pid in
        gatekeeper.pids("leash-toolcall")
        for line in open(f"/proc/{pid}/status")
        if line.startswith(("CapPrm", "CapEff", "CapAmb"))))
    old = gatekeeper.pids("leash-toolcall")[0]
    tap.equal("and can leave no core dump: /proc is root's there",
              os.stat(f"/proc/{old}/status").st_uid, ROOT)
    os.kill(old, signal.SIGKILL)
    started = time.monotonic()
    tap.equal("killed, the next one answers those who wait", verdict("Read"),
              "allow")
    tap.check("within two seconds", time.monotonic() - started < 2)
    old = gatekeeper.pids("leash-toolcall")[0]
    os.kill(old, signal.SIGSTOP)
    tap.equal("stopped, it is replaced",
              as_user(PUPPY, lambda: ask({"ask": "call", "tool": "Read"},
                                         15).get("verdict")) in
              ("allow", "closed"), True)
    tap.check("by another", gatekeeper.pids("leash-toolcall") != [old])
    gatekeeper.reload(POLICY.replace('"Read", ', ""))
    tap.equal("a rule that is gone", verdict("Read"), "deny")
    gatekeeper.reload("mode = \"observe\";" + POLICY)
    tap.equal("observe mode", verdict("WebSearch"), "observe")
    looked = call("Free", {"x": SECRET, "n": "4539526018159083"})
    tap.check("changes nothing", looked["verdict"] == "observe" and
              "arguments" not in looked, looked)
    changed = [as_user(PUPPY, ask, {"ask": "define", "server": "files",
                                    "tools": [{"name": "x",
                                               "description": words}]})
               for words in ("One.", "Another.")]
    tap.equal("not even by a definition that has changed",
              [one["withheld"] for one in changed], [[None], [None]])
    tap.equal("nor its call", verdict("x", server="files"), "observe")
    gatekeeper.reload(POLICY)
    tap.equal("enforced, it is withheld", verdict("x", server="files"), "deny")
    call(SECRET)
    as_user(PUPPY, ask, {"ask": "event", "event": "SessionStart",
                         "client": SECRET, "detail": SECRET})
    status = subprocess.run(["leash", "status", "--json"],
                            capture_output=True, text=True)
    tap.check("leash status knows it", json.loads(status.stdout)["tool_gate"]
              in (gatekeeper.pids("leash-toolcall")[0],
                  str(gatekeeper.pids("leash-toolcall")[0])), status.stdout)


def test_log():
    found = wait_rows("kind = 'call' AND target = 'WebSearch' "
                      "AND verdict = 'deny'")
    tap.check("a refusal is in the log", found and
              found[0]["account"] == "puppy" and
              found[0]["uid"] == PUPPY, [dict(row) for row in found])
    found = wait_rows("kind = 'call' AND note LIKE '%github-pat%'")
    tap.check("what kind of thing was found, and where",
              found and "$.content" in found[0]["note"])
    found = wait_rows("kind = 'result' AND verdict = 'deny'")
    tap.check("and in a result", bool(found))
    said = subprocess.run(["leash-query", "--kind", "call", "--denied",
                           "--format", "json", "--limit", "3"],
                          capture_output=True, text=True)
    tap.check("leash-query knows calls", said.returncode == 0 and
              '"call"' in said.stdout, said)


write_file("/srv/project/x")
gatekeeper = Gatekeeper(POLICY)
gatekeeper.wait_for("tool gate")
test_names()
test_conditions()
test_rates()
test_subjects()
test_search()
test_results()
test_who()
test_bad_requests()
test_crowd()
test_life(gatekeeper)
test_log()
tap.equal("nothing that was found is in the log, or in what gatekeeper says",
          leaks(gatekeeper, SECRET, "4539526018159083", "4539 5260"), [])
gatekeeper.stop()
tap.check("nothing is left behind", not os.path.exists(SOCKET))
tap.finish()
