"""leash-mcp between a client and a server: what passes, and what does not."""

import json
import os
import random
import select
import signal
import string
import subprocess
import time

from harness import (Gatekeeper, PUPPY, Tap, become, config, leaks,
                     wait_rows, write_file)

SERVER = "/srv/mcp_server.py"
# Sanitizers take their time.
HUGE = int(os.environ.get("LEASH_HUGE_MB", "100")) << 20
RECEIVED = "/srv/project/received"
random.seed(11)
SECRET = "ghp_" + "".join(random.choice(string.ascii_letters + string.digits)
                          for _ in range(36))
POLICY = config(
    files='read = [ "/usr", "/etc", "/srv" ]; write = [ "/srv/project" ]; '
          'deny = [ "/etc/shadow" ];',
    programs='list = [ "/usr/bin", "/usr/libexec/leash-tests" ];',
    profiles='"base", "python"',
    extra="""tools = { allow = [ "mcp__test__*" ];
      deny = [ "mcp__test__delete_*" ];
      inspect = ( "secrets", "commands", { what = "card"; action = "redact"; } ); };""")
tap = Tap()


class Client:
    """Speaks to a server through leash-mcp, as the account."""

    def __init__(self, tools="plain", command=None, proxy=True):
        open(RECEIVED, "w").close()
        os.chmod(RECEIVED, 0o666)
        server = command or ["python3", SERVER, RECEIVED]
        self.process = subprocess.Popen(
            (["leash-mcp", "--name", "test", "--"] if proxy else []) + server,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd="/srv/project", bufsize=0,
            env={**os.environ, "MCP_TOOLS": tools,
                 "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=lambda: become(PUPPY))
        self.left = b""
        self.number = 0

    def send(self, message):
        raw = message if isinstance(message, bytes) else \
            json.dumps(message).encode() + b"\n"
        self.process.stdin.write(raw)

    def line(self, seconds=20):
        end = time.monotonic() + seconds
        parts = [self.left]
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([self.process.stdout], [], [],
                                        max(0, end - time.monotonic()))
            part = os.read(self.process.stdout.fileno(), 1 << 20) if ready \
                else b""
            if not part:
                return None
            parts.append(part)
        whole = b"".join(parts)
        line, _, self.left = whole.partition(b"\n")
        return line + b"\n"

    def reply(self, seconds=20):
        line = self.line(seconds)
        return json.loads(line) if line else None

    def request(self, method, **params):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method,
                   "params": params})
        return self.reply()

    def call(self, tool, **arguments):
        return self.request("tools/call", name=tool, arguments=arguments)

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(20)
        self.errors = self.process.stderr.read()
        return code


def received():
    return open(RECEIVED, "rb").read()


def is_blocked(reply):
    return bool(reply) and (
        reply.get("result", {}).get("isError") or "error" in reply) and \
        "Blocked by Leash" in json.dumps(reply)


def test_session():
    client = Client()
    first = client.request("initialize", protocolVersion="2025-03-26",
                           capabilities={},
                           clientInfo={"name": "t", "version": "1"})
    tap.check("a session begins", first["result"]["serverInfo"]["name"] ==
              "test", first)
    client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    listed = client.request("tools/list")
    names = [tool["name"] for tool in listed["result"]["tools"]]
    tap.equal("a denied tool is missing from the list", names,
              ["read", "write", "echo"])
    reply = client.call("read", path="/etc/hostname")
    tap.equal("an allowed one is called",
              reply["result"]["content"][0]["text"], "done")
    before = received()
    reply = client.call("delete_all")
    tap.check("the denied one is refused when called anyway",
              is_blocked(reply) and reply["result"]["isError"] is True, reply)
    reply = client.call("read", path="/etc/shadow")
    tap.check("an argument that the files' rules deny", is_blocked(reply) and
              "/etc/shadow" in json.dumps(reply), reply)
    reply = client.call("write", content=f"x {SECRET}")
    tap.check("an argument with a secret", is_blocked(reply) and
              SECRET not in json.dumps(reply), reply)
    tap.equal("the server has heard of none of these", received(), before)
    reply = client.call("echo", text=f"the token is {SECRET}"[:10])
    tap.equal("a result passes", reply["result"]["content"][0]["text"],
              "the token ")
    reply = client.call("echo", raw=(json.dumps(
        {"jsonrpc": "2.0", "id": client.number + 1, "result": {
            "content": [{"type": "text", "text": SECRET}]}}) + "\n"
        ).encode().hex())
    tap.check("one with a secret does not", is_blocked(reply) and
              SECRET not in json.dumps(reply), reply)
    reply = client.call("echo", text="card 4539526018159083.")
    tap.equal("one with a card's number, redacted",
              reply["result"]["content"][0]["text"],
              "card [redacted:card-number].")
    tap.check("as are arguments", b"4539526018159083" not in received() and
              b"[redacted:card-number]" in received())
    reply = client.request("prompts/get", name=SECRET)
    tap.check("another request with a secret", is_blocked(reply), reply)
    reply = client.request("resources/read", uri="x://y")
    tap.equal("and without", reply["result"], {})
    tap.equal("the server's exit status is ours", client.close(), 0)
    tap.check("what it says on standard error is ours",
              b"server says hello" in client.errors, client.errors)


def test_c_client():
    server = ["python3", SERVER, RECEIVED]
    said = [subprocess.run(
        ["/usr/libexec/leash-tests/mcp_client", "200", *proxy, *server],
        capture_output=True, text=True, preexec_fn=lambda: become(PUPPY),
        cwd="/srv/project", timeout=60)
        for proxy in ([], ["leash-mcp", "--name", "test", "--"])]
    tap.equal("a client in C: the server alone",
              said[0].stdout.splitlines()[:1],
              ["read write delete_all echo"])
    tap.equal("and by leash-mcp", said[1].stdout.splitlines()[:1],
              ["read write echo"])
    tap.check("two hundred calls, each with its answer",
              said[1].returncode == 0 and len(said[1].stdout.split()) == 5,
              said[1])


def test_bytes():
    client = Client()
    lines = [
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        b'  { "method" : "ping", "id":"a\\u0062", "jsonrpc":"2.0" }  \r\n',
        b'{"id":null,"jsonrpc":"2.0","method":"ping"}\n',
        b'{"id":1.50,"jsonrpc":"2.0","method":"ping","x":1e2}\n',
        b'{"id":12345678901234567890123,"jsonrpc":"2.0","method":"ping"}\n',
        b'{"id":{"a":[1]},"jsonrpc":"2.0","method":"ping"}\n',
        b'{"id":true,"jsonrpc":"2.0","method":"ping"}\n',
        '{"id":"\u00e9\U0001f600","jsonrpc":"2.0","method":"ping"}\n'.encode(),
        b'\n',
        b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":'
        b'"echo","arguments":{"b":1,"a":0.10,"text":"\\u0041\\/"}}}\n',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled",'
        b'"params":{"requestId":2}}\n',
        b'[{"jsonrpc":"2.0","id":3,"method":"ping"},'
        b'{"jsonrpc":"2.0","id":4,"method":"ping"}]\n',
        b'{"jsonrpc":"2.0","id":9,"result":{"roots":[]}}\n',
    ]
    for line in lines:
        client.send(line)
    answers = [client.line() for _ in range(11)]
    tap.equal("what is allowed passes as the bytes it was", received(),
              b"".join(lines))
    direct = Client(proxy=False)
    for line in lines:
        direct.send(line)
    tap.equal("and so do the answers, of ids of every type", answers,
              [direct.line() for _ in range(11)])
    direct.close()
    client.send(b'{"jsonrpc":"2.0","id":7,"met')
    time.sleep(0.1)
    client.send(b'hod":"ping"}\n{"jsonrpc":"2.0","id":8,"method":"ping"}\n')
    tap.equal("one in two pieces, two in one",
              [client.reply()["id"], client.reply()["id"]], [7, 8])
    client.send(b'{"jsonrpc":"2.0","id":10,"method":"ping"}')
    client.process.stdin.close()
    tap.equal("a last one without its end", client.reply()["id"], 10)
    tap.equal("and the end", client.process.wait(20), 0)


def test_bad():
    client = Client()
    before = received()
    bad = {
        "no JSON": b"hello\n",
        "a key twice": b'{"jsonrpc":"2.0","id":1,"method":"ping",'
                       b'"method":"tools/call","params":{"name":"delete_all"}}'
                       b"\n",
        "a key twice, deep inside":
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
            b'"read","name":"delete_all","arguments":{}}}\n',
        "a key twice, spelt in two ways":
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
            b'"read","n\\u0061me":"delete_all","arguments":{}}}\n',
        "bytes that are no UTF-8":
            b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"\xff\xfe"}\n',
        "nested deeply": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                         b'"params":{"name":"read","arguments":'
                         + b"[" * 90000 + b"]" * 90000 + b"}}\n",
        "no message": b'{"jsonrpc":"2.0","id":1}\n',
        "a number": b"7\n",
        "an empty batch": b"[]\n",
        "a method that is none": b'{"jsonrpc":"2.0","id":1,"method":7}\n',
        "a call of nothing": b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}'
                             b"\n",
        "a name with a NUL": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
                             b'"params":{"name":"read\\u0000x"}}\n',
    }
    for name, raw in bad.items():
        client.send(raw)
        reply = client.reply()
        tap.check(f"refused: {name}", is_blocked(reply), reply)
    tap.equal("none of it has reached the server", received(), before)
    client.send([{"jsonrpc": "2.0", "id": 21, "method": "tools/call",
                  "params": {"name": "delete_all"}},
                 {"jsonrpc": "2.0", "id": 22, "method": "tools/call",
                  "params": {"name": "echo", "arguments": {}}},
                 {"jsonrpc": "2.0", "method": "tools/call",
                  "params": {"name": "delete_all"}}])
    replies = [client.reply() for _ in range(2)]
    flat = [one for reply in replies
            for one in (reply if isinstance(reply, list) else [reply])]
    tap.check("of a batch only what is allowed",
              sorted(one["id"] for one in flat) == [21, 22] and
              b"delete_all" not in received(), flat)
    client.send({"jsonrpc": "2.0", "id": 30, "method": "tools/call",
                 "params": {"name": "echo", "arguments": {
                     "raw": b"not json\n".hex()}}})
    client.send({"jsonrpc": "2.0", "id": 31, "method": "tools/call",
                 "params": {"name": "echo", "arguments": {
                     "raw": b'{"jsonrpc":"2.0","id":31,"result":{"a":1,"a":'
                            b'"\xff"}}\n'.hex()}}})
    reply = client.reply()
    tap.check("what is no message is left out, and a response that cannot be "
              "read becomes an error", reply and reply.get("id") == 31 and
              "error" in reply, reply)
    client.close()


def test_huge():
    client = Client()
    client.request("initialize")
    reply = client.call("echo", size=HUGE)
    tap.equal(f"a result of {HUGE >> 20} MiB passes",
              len(reply["result"]["content"][0]["text"]), HUGE)
    text = "y" * (HUGE // 2) + " " + SECRET + " " + "y" * (HUGE // 8)
    raw = json.dumps({"jsonrpc": "2.0", "id": 5, "result": {
        "content": [{"type": "text", "text": text}]}})
    write_file("/srv/project/huge", raw + "\n")
    client.close()
    client = Client(command=["sh", "-c", "read x; cat /srv/project/huge"])
    client.send({"jsonrpc": "2.0", "id": 5, "method": "tools/call",
                 "params": {"name": "read"}})
    reply = client.reply(60)
    tap.check("with a secret in the middle it does not", is_blocked(reply),
              str(reply)[:300])
    client.close()
    client = Client()
    client.send({"jsonrpc": "2.0", "id": 6, "method": "tools/call",
                 "params": {"name": "write", "arguments": {
                     "content": "z" * (9 << 20)}}})
    reply = client.reply(60)
    tap.check("arguments too big to be judged", is_blocked(reply) and
              "too big" in json.dumps(reply), str(reply)[:300])
    client.send(b'{"jsonrpc":"2.0","id":7,"method":"ping","x":"')
    for _ in range(130):
        client.send(b"a" * (1 << 20))
    client.send(b'"}\n')
    reply = client.reply(60)
    tap.check("a message beyond all measure", is_blocked(reply),
              str(reply)[:300])
    tap.equal("and the session goes on",
              client.request("ping")["result"], {})
    client.close()


def test_definitions():
    first = Client()
    names = [tool["name"] for tool in
             first.request("tools/list")["result"]["tools"]]
    first.close()
    tap.equal("seen again, the same are shown", names,
              ["read", "write", "echo"])
    changed = Client("changed")
    names = [tool["name"] for tool in
             changed.request("tools/list")["result"]["tools"]]
    tap.equal("one that has changed is withheld", names, ["write", "echo"])
    reply = changed.call("read")
    tap.check("and not called", is_blocked(reply) and "changed" in
              json.dumps(reply), reply)
    changed.close()
    tap.check("which is said", b"read is withheld" in changed.errors,
              changed.errors)
    for kind in ("orders", "hidden", "shadow"):
        bad = Client(kind)
        listed = bad.request("tools/list")["result"]["tools"]
        names = [tool["name"] for tool in listed]
        tap.check(f"a definition that is suspicious: {kind}",
                  "sum" not in names and "Bash" not in names and
                  "write" in names, names)
        bad.close()
    found = wait_rows("target = 'mcp__test__read' AND verdict = 'deny'")
    tap.check("and in the log", found and any(
        "changed" in (row["note"] or "") for row in found))


def test_ends(gatekeeper):
    client = Client()
    client.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                 "params": {"name": "echo", "arguments": {"exit": 42}}})
    tap.equal("the server's exit code", client.process.wait(20), 42)
    client = Client()
    client.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                 "params": {"name": "echo",
                            "arguments": {"kill": signal.SIGKILL}}})
    tap.equal("the signal it died of", client.process.wait(20),
              -signal.SIGKILL)
    client = Client()
    client.request("ping")
    client.process.send_signal(signal.SIGTERM)
    tap.equal("a signal to us reaches it", client.process.wait(20), 77)
    client = Client(command=["/no/such/server"])
    tap.equal("a server that is not there", client.process.wait(20), 127)
    hung = Client()
    hung.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
               "params": {"name": "echo", "arguments": {"sleep": 3}}})
    hung.send({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
               "params": {"name": "delete_all"}})
    reply = hung.reply(2)
    tap.check("a server that hangs: a call is refused meanwhile",
              reply and reply["id"] == 2 and is_blocked(reply), reply)
    hung.close()
    pids = gatekeeper.pids("leash-toolcall")
    live = Client()
    live.request("ping")
    os.kill(pids[0], signal.SIGKILL)
    reply = live.call("echo", text="still")
    tap.check("the tool gate replaced in a session", reply and (
        is_blocked(reply) or
        reply["result"]["content"][0]["text"] == "still"), reply)
    time.sleep(1)
    reply = live.call("echo", text="again")
    tap.equal("which goes on", reply["result"]["content"][0]["text"], "again")
    gatekeeper.process.send_signal(signal.SIGTERM)
    gatekeeper.process.wait(30)
    before = received()
    reply = live.call("echo", text="x")
    tap.check("without gatekeeper nothing is called", is_blocked(reply) and
              received() == before, reply)
    live.close()


os.makedirs("/srv/project", exist_ok=True)
os.chmod("/srv/project", 0o777)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "mcp_server.py")) as source:
    write_file(SERVER, source.read(), 0o644)
gatekeeper = Gatekeeper(POLICY)
gatekeeper.wait_for("tool gate")
test_session()
test_c_client()
test_bytes()
test_bad()
test_huge()
test_definitions()
tap.equal("nothing that was found is in the log, or in what gatekeeper says",
          leaks(gatekeeper, SECRET, "4539526018159083"), [])
test_ends(gatekeeper)
tap.finish()
