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
                                            value = "cat"; } ); },
                { tool = "Words"; by_name_only = true; name = "words";
                  when = ( { field = "text"; operator = "matches";
                             value = "^(\\\\w+\\\\s?)+$"; } ); },
                "Free2", "Sum" );
      deny  = ( "mcp__files__delete_*",
                { tool = "Bash"; name = "no pushing"; reason = "ask Alice";
                  when = ( { field = "command"; operator = "matches";
                             value = "^git\\\\s+push"; } ); },
                { tool = "Free2"; name = "not words";
                  when = ( { field = "text"; operator = "not_matches";
                             value = "^(\\\\w+\\\\s?)+$"; } ); },
                { tool = "Sum"; when = ( { field = "amount"; operator = "greater_than";
                                           value = 1000; } ); },
                { tool = "Sum"; when = ( { field = "to"; operator = "glob";
                                           value = "*evil*"; } ); } );
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


def test_untold():
    """What nobody can tell is no, for rules of both kinds."""
    costly = "a" * 40 + "; cat x; id"
    for tool, rule in (("Words", "words"), ("Free2", "not words")):
        tap.equal(f"{tool}: an expression that holds",
                  verdict(tool, {"text": "cat x id"}), "allow")
        tap.equal(f"{tool}: one that does not",
                  verdict(tool, {"text": "cat x; id"}), "deny")
        denied = call(tool, {"text": costly})
        tap.check(f"{tool}: one too costly for the text", denied["verdict"] ==
                  "deny" and denied.get("rule") == rule and
                  "cannot be told" in denied["reason"], denied)
        started = time.monotonic()
        denied = call(tool, {"text": ("a" * 24 + ";") * 40000})
        tap.check(f"{tool}: nor a long one, which takes no longer",
                  denied["verdict"] == "deny" and
                  time.monotonic() - started < 4, denied)
    tap.equal("a number", verdict("Sum", {"amount": 999}), "allow")
    tap.equal("one that is too much", verdict("Sum", {"amount": 1001}), "deny")
    tap.equal("however long it is written",
              verdict("Sum", {"amount": "0" * 70 + "1001"}), "deny")
    tap.equal("a text with a NUL in it is compared whole",
              [verdict("Sum", {"to": "x" + "\0" * 5000 + word})
               for word in ("Evil", "good")], ["deny", "allow"])


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


def tool_gate():
    return gatekeeper.pids("leash-toolcall")[0]


def memory_mb(key="VmRSS"):
    for line in open(f"/proc/{tool_gate()}/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1]) // 1024


def bomb(levels):
    """Variables of variables: a kilobyte that wants 10 ** levels of them."""
    lines = ["a0=" + "A" * 1000]
    for i in range(1, levels + 1):
        lines.append(f"a{i}=" + f"$a{i - 1}" * 10)
    return "\n".join(lines)


def test_sums():
    """Short texts that become long ones, or cost much: refused, and soon."""
    pid, before = tool_gate(), memory_mb("VmHWM")
    substitute = "a=" + "A" * 60000 + "\n"
    many = {
        "variables in variables": bomb(7),
        "a file's name of them": bomb(3) + "\ncat > $a3",
        "a here-string of them": bomb(3) + "\ncat <<<$a3",
        "one each, and many": substitute + "cat $a\n" * 900,
        "substitutions": substitute + "cat $(echo $a)\n" * 900,
        "words of a wrapper": "env " * 11 + "cat " + "a " * 32000 +
                              "\n" + ("env " * 11 + "a " * 9000 + "\n") * 3,
    }
    for name, command in many.items():
        denied = call("Bash", {"command": command})
        tap.check(f"refused: {name}", denied["verdict"] == "deny" and
                  "too long" in denied["reason"], denied)
    tap.equal("variables as people use them", verdict("Bash", {
        "command": "d=/srv/project; f=$d/a; cat $f $f | cat > $d/b"}), "allow")
    costly = {
        "a long way up": "rm -rf " + "../" * 80000,
        "to be written": "tee " + "a/" * 120000,
        "functions": "f(" * 60 + "|f" * 100000,
        "shells in a pipe": "|".join(["bash"] * 1000),
        "SQL": "git 'x'; cat 'update a set " + "update a set " * 18000 + "'",
    }
    for name, command in costly.items():
        started = time.monotonic()
        got = verdict("Bash", {"command": command})
        tap.check(f"in time: {name}", got in ("allow", "deny") and
                  time.monotonic() - started < 4, got)
    got = verdict("Free", {"k" * (1 << 20): ["a://"] * 400000})
    tap.equal("a long name of many addresses", got, "deny")
    tap.equal("values without end are no request", as_user(
        PUPPY, ask, b'{"ask":"call","tool":"Free","arguments":[' +
        b"[]," * 2000000 + b"[]]}")["verdict"], "deny")
    tap.equal("it is still the same gate", tool_gate(), pid)
    tap.check("and has needed little for it", memory_mb("VmHWM") - before <
              200, (before, memory_mb("VmHWM")))
    tap.equal("nor is it spared", open(f"/proc/{pid}/oom_score_adj").read(),
              "0\n")


def test_answers_not_taken():
    """Who fetches no answer gets no more than fits."""
    text = json.dumps({"ask": "call", "tool": "Free", "arguments": {
        "n": "4539526018159083", "x": "word " * 400000}}).encode() + b"\n"
    before = memory_mb()
    hoarded, looked = os.pipe(), os.pipe()

    def hoard():
        links, said = [], {"allow": 0, "deny": 0, "closed": 0}
        for _ in range(60):
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(20)
            link.connect(SOCKET)
            links.append(link)
            try:
                link.sendall(text)
            except OSError:  # refused before all of it was there
                said["closed"] += 1
        time.sleep(2)
        os.write(hoarded[1], b"x")
        os.read(looked[0], 1)
        for link in links:
            try:
                reply = link.makefile().readline()
                said[json.loads(reply)["verdict"]] += 1
            except (OSError, ValueError):
                pass
        return said

    child = os.fork()
    if child == 0:
        result = as_user(PUPPY, hoard, seconds=90)
        print("# answers:", result, flush=True)
        os._exit(0 if isinstance(result, dict) and
                 result["deny"] + result["closed"] > 20 and
                 10 < result["allow"] <= 32 else 1)
    os.read(hoarded[0], 1)
    tap.check("it keeps no more than it says", memory_mb() - before < 150,
              (before, memory_mb()))
    tap.equal("others are answered", call("x", uid=KITTEN)["verdict"], "allow")
    os.write(looked[1], b"x")
    tap.equal("what fits is there, the rest refused", os.waitpid(child, 0)[1],
              0)
    tap.equal("afterwards there is room again", verdict(
        "Free", {"n": "4539526018159083", "x": "word " * 400000}), "allow")


def test_turns():
    """An account's costly requests keep nobody else's waiting."""
    text = json.dumps({"ask": "call", "tool": "Free", "arguments": {
        "x": "curl " * (5 << 18)}}).encode() + b"\n"

    def flood():
        end = time.monotonic() + 8
        links = [socket.socket(socket.AF_UNIX) for _ in range(6)]
        for link in links:
            link.connect(SOCKET)
        while time.monotonic() < end:
            for link in links:
                link.sendall(text)
            for link in links:
                link.recv(65536)

    child = os.fork()
    if child == 0:
        as_user(PUPPY, flood, seconds=40)
        os._exit(0)
    time.sleep(1)
    waited = []
    for _ in range(12):
        started = time.monotonic()
        call("x", uid=KITTEN)
        waited.append(time.monotonic() - started)
    tap.check("somebody else waits for one request at most",
              max(waited) < 2.5 and sorted(waited)[6] < 1.5, waited)
    started = time.monotonic()
    code = subprocess.run(["leash-hook", "json"], input=json.dumps(
        {"ask": "call", "tool": "x"}).encode(), capture_output=True)
    tap.check("nor is a hook refused", code.returncode == 0 and
              time.monotonic() - started < 3, code)
    os.waitpid(child, 0)
    tap.equal("the gate is the same", gatekeeper.words().count(
        "tool gate stands still"), 0)


def define(server, *tools, uid=PUPPY):
    return as_user(uid, ask, {"ask": "define", "server": server, "tools": [
        {"name": name, "description": words} for name, words in tools]})


def pinned():
    folder = "/var/lib/leash/pins"
    names = os.listdir(folder)
    return len(names), sum(os.stat(f"{folder}/{name}").st_size
                           for name in names)


def test_definitions():
    tap.equal("definitions are pinned",
              [define(f"s{i}", (f"t{i}", "Adds."))["withheld"]
               for i in range(64)], [["no rule allows it"]] * 64)
    files, size = pinned()
    tap.equal("a file for each server", files, 64)
    denied = define("s64", ("t64", "Adds."))
    tap.check("up to a bound", "no room" in denied["withheld"][0] and
              pinned()[0] == 64, denied)
    tap.check("one that was not written down was not seen",
              "no room" in define("s64", ("t64", "Adds more."))["withheld"][0])
    tap.equal("what is pinned goes on",
              define("s3", ("t3", "Adds."))["withheld"], ["no rule allows it"])
    tap.check("a change of it is seen", "changed" in
              define("s4", ("t4", "Adds more."))["withheld"][0])
    for i in range(12):
        define(f"s{i}", (f"big{i}", "x" * (1 << 20)))
    files, size = pinned()
    tap.check("and bytes have one", files == 64 and size <= 8 << 20,
              (files, size))
    denied = define("s5", ("huge", "x" * (3 << 20)))
    tap.check("a file has its own", "no room" in denied["withheld"][0], denied)
    old = tool_gate()
    os.kill(old, signal.SIGKILL)
    tap.check("after a restart a name of another server's is still known",
              "same name" in define("s6", ("t3", "Adds."))["withheld"][0])
    tap.check("and what was not written down is not shown",
              "no room" in define("s70", ("t70", "x"))["withheld"][0])
    tap.check("the log says so", "cannot be kept" in gatekeeper.words(),
              gatekeeper.words()[-500:])
    for name in os.listdir("/var/lib/leash/pins"):
        os.unlink(f"/var/lib/leash/pins/{name}")
    os.kill(tool_gate(), signal.SIGKILL)
    tap.equal("with room again it is", define("s70", ("t70", "x"))["withheld"],
              ["no rule allows it"])
    owner = os.stat("/var/lib/leash/pins").st_uid
    os.chown("/var/lib/leash/pins", ROOT, ROOT)
    os.chmod("/var/lib/leash/pins", 0o755)
    tap.equal("where nothing can be written, nothing new is shown",
              [define("s71", ("t71", words))["withheld"]
               for words in ("x", "y")], [["it cannot be written down"]] * 2)
    tap.equal("and what is pinned goes on", define("s70", ("t70", "x"))
              ["withheld"], ["no rule allows it"])
    os.chown("/var/lib/leash/pins", owner, owner)
    os.chmod("/var/lib/leash/pins", 0o700)


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
test_untold()
test_rates()
test_subjects()
test_search()
test_results()
test_who()
test_bad_requests()
test_sums()
test_answers_not_taken()
test_turns()
test_definitions()
test_crowd()
test_life(gatekeeper)
test_log()
tap.equal("nothing that was found is in the log, or in what gatekeeper says",
          leaks(gatekeeper, SECRET, "4539526018159083", "4539 5260"), [])
gatekeeper.stop()
tap.check("nothing is left behind", not os.path.exists(SOCKET))
tap.finish()
