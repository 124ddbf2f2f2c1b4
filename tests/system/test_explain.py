"""leash explain: who may ask about whom, and what a flood of questions costs."""

import json
import os
import socket
import struct
import subprocess

from harness import *

FILE, KEY = f"{BOX}/box/file", f"{BOX}/box/key.pem"
ODD = f"{BOX}/box/\udcff.pem"  # no UTF-8
OPERATOR, GROUP = 64010, 64011
TOOL_SOCKET, CONTROL_SOCKET = "/run/leash/toolcall.sock", "/run/leash/control"
REFUSED = 102

tap = Tap()
for path in (FILE, KEY, ODD):
    write_file(path, mode=0o644)
with open("/etc/group", "a") as groups:
    groups.write(f"leash:x:{GROUP}:\n")
gatekeeper = Gatekeeper(f"""
watch = [ "/" ];
accounts = (
  {{ account = "puppy"; profiles = [ "base" ];
     files = {{ read = [ "{BOX}/box" ];
                deny = ( {{ path = "**/*.pem"; reason = "k\xffy"; }} ); }};
     network = {{ allow = ( {{ host = "*.example.org"; ports = [ 443 ]; }} ); }};
     programs = {{ list = [ "{PROBE}" ]; }}; }},
  {{ account = "kitten"; profiles = [ "base" ];
     files = {{ read = [ "/usr" ]; }};
     programs = {{ list = [ "{PROBE}" ]; }}; }} );
""".encode("latin-1").decode("utf-8", "surrogateescape"))


def explain(*arguments, uid=ROOT, groups=(), gid=None):
    def be():
        os.setgroups(groups)
        gid_ = uid if gid is None else gid
        os.setresgid(gid_, gid_, gid_)
        os.setresuid(uid, uid, uid)
    done = subprocess.run(["leash", "explain", *arguments], capture_output=True,
                          text=True, errors="surrogateescape", preexec_fn=be,
                          timeout=60, cwd="/", stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def says(name, result, code, *words):
    text = result[1] + result[2]
    tap.check(name, result[0] == code and all(word in text for word in words),
              f"{result[0]}, not {code}, or not {words}:\n{text}")


def ask(request):
    """Of whoever calls this: the tool gate's answer to one line."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(TOOL_SOCKET)
        link.sendall(json.dumps(dict(request, ask="explain")).encode() + b"\n")
        with link.makefile("rb") as answers:
            return json.loads(answers.readline())


# One answer, whoever may ask for it.
for what, code in ((("file", FILE), 0), (("file", KEY), 1), (("file", ODD), 1),
                   (("file", FILE, "--write"), 1), (("file", BOX), 1),
                   (("exec", PROBE), 0), (("exec", "/usr/bin/perl"), 1),
                   (("host", "a.example.org"), 0),
                   (("host", "a.example.org:80"), 1),
                   (("host", "192.0.2.1:9", "--protocol", "udp"), 1)):
    for form in ((), ("--json",)):
        own = explain(*what, *form, uid=PUPPY)
        tap.equal(f"{ascii(what)} {form}: the account's answer", own[0], code)
        tap.equal("and root's is the same",
                  explain(*what, *form, "--account", "puppy"), own)
says("a path that is no UTF-8, and a reason that is none",
     explain("file", ODD, uid=PUPPY), 1,
     f"denied: open {BOX}/box/\\xff.pem, by puppy", "k\\xffy")
tap.equal("as JSON",
          json.loads(explain("file", ODD, "--json", uid=PUPPY)[1])["note"],
          "k\\xffy")
tap.equal("the other account has its own", explain(
    "file", "/usr/bin/env", "--account", "kitten"), explain(
    "file", "/usr/bin/env", uid=KITTEN))
says("the group may ask about any", explain(
    "file", KEY, "--account", "puppy", uid=OPERATOR, groups=(7, GROUP)), 1,
    "by puppy")
says("whose first group it is, too", explain(
    "file", KEY, "--account", "kitten", uid=OPERATOR, gid=GROUP), 1,
    "by kitten")
says("and must say which", explain(
    "file", KEY, uid=OPERATOR, groups=(GROUP,)), 2, "there are several",
    "puppy, kitten")
says("of those there are", explain("file", KEY, "--account", "fox"), 2,
     '"fox" is not leashed; these are: puppy, kitten')
says("a stranger may not", explain("file", KEY, uid=OPERATOR), 2,
     "you are not leashed")
says("nor by a name", explain("file", KEY, "--account", "puppy", uid=OPERATOR,
                              groups=(7, 8)), 2, "you are not leashed")
says("an account may not ask about another, whatever group it is in", explain(
    "file", KEY, "--account", "kitten", uid=PUPPY, groups=(GROUP,)), 2,
    "not others")
says("but about itself", explain("file", KEY, "--account", "puppy", uid=PUPPY,
                                 groups=(GROUP,)), 1, "by puppy")

# What cannot be answered.
for what, why in (({}, "kind is"), ({"kind": "open"}, "absolute"),
                  ({"kind": "open", "path": "x"}, "absolute"),
                  ({"kind": "open", "path": "/\0"}, "absolute"),
                  ({"kind": "open", "path_hex": "2f0"}, "absolute"),
                  ({"kind": "open", "path": "/a" * 3000}, "too long"),
                  ({"kind": "open", "path": "/", "inode": "-1"}, "numbers"),
                  ({"kind": "connect"}, "host is missing"),
                  ({"kind": "connect", "host": "a b"}, "neither"),
                  ({"kind": "connect", "host": "a", "port": "65536"}, "port"),
                  ({"kind": "open", "path": "/", "account": "kitten"},
                   "not others")):
    answer = as_user(PUPPY, ask, what)
    tap.check(f"no answer to {str(what)[:60]!r}",
              answer["verdict"] == "deny" and why in answer["reason"] and
              "account" not in answer, answer)
answer = as_user(PUPPY, ask, {"kind": "open", "path_hex": b"/\xff".hex()})
tap.equal("a path in hexadecimal", answer["account"], "puppy")

# Gatekeeper itself does not listen to accounts.
tap.equal("the sockets that there are", sorted(os.listdir("/run/leash")),
          ["control", "lock", "toolcall.sock"])


def knock():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(20)
        link.connect(CONTROL_SOCKET)
        return struct.unpack("=IHH", link.recv(4096)[:8])[2]


def knock_as_member():
    os.setgroups([GROUP])
    os.setresuid(PUPPY, PUPPY, PUPPY)
    return knock()


tap.equal("an account cannot connect", as_user(PUPPY, knock), "EACCES")
tap.equal("as a member of the group it is refused before it has said a word",
          as_user(ROOT, knock_as_member), REFUSED)


# A flood takes the account's own time.
def flood(seconds):
    """Questions that cost much, and nonsense, as fast as they are taken."""
    lines = [{"ask": "explain", "kind": "open", "path": "/a" * 2000 + ".pem"},
             {"ask": "explain", "kind": "connect", "host": "a.b.example.org"},
             {"ask": "explain", "kind": "x" * 1000}, {"ask": "nothing"}]
    batch = b"".join(json.dumps(line).encode() + b"\n" for line in lines) * 20
    end, answered = time.monotonic() + seconds, 0
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(TOOL_SOCKET)
        with link.makefile("rb") as answers:
            while time.monotonic() < end:
                link.sendall(batch)
                answered += sum(bool(answers.readline()) for _ in range(80))
    return answered


def flood_as_member(seconds):
    """At gatekeeper's own door, too."""
    os.setgroups([GROUP])
    os.setresuid(PUPPY, PUPPY, PUPPY)
    end, refused = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            refused += knock() == REFUSED
        except OSError:
            pass
    return refused


def processor_s(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def under(name, waits, seconds, shared=True):
    time.sleep(0.5)
    pid = gatekeeper.process.pid
    begin, used = time.monotonic(), processor_s(pid)
    slowest = {}
    while time.monotonic() - begin < seconds:
        for who, run in (
                ("status", lambda: subprocess.run(
                    ["leash", "status"], capture_output=True).returncode == 0),
                ("root", lambda: explain("file", KEY, "--account",
                                         "puppy")[0] == 1),
                ("the other", lambda: explain("file", "/usr/bin/env",
                                              uid=KITTEN)[0] == 0)):
            asked = time.monotonic()
            right = run()
            took = time.monotonic() - asked if right else 1e9
            slowest[who] = max(slowest.get(who, 0), took)
        time.sleep(0.3)
    share = (processor_s(pid) - used) / (time.monotonic() - begin)
    counts = [wait() for wait in waits]
    print(f"# {name}: {counts} answers; gatekeeper takes {share:.1%} of a "
          f"processor; slowest {slowest}")
    tap.check(f"{name}: it was one", all(isinstance(count, int) and count > 100
                                         for count in counts), counts)
    for who, took in slowest.items():
        tap.check(f"{name}: {who} is answered", took < PATIENCE_S / 4, slowest)
    tap.check(f"{name}: gatekeeper has nothing to do with it", share < 0.05,
              f"{share:.1%} of a processor")


under("a flood", [meanwhile(PUPPY, flood, 7) for _ in range(4)], 5)
under("a flood of knocks", [meanwhile(ROOT, flood_as_member, 7)], 5)

# The tool gate may die.
gate, = gatekeeper.pids("leash-toolcall")
os.kill(gate, signal.SIGKILL)
says("who asks meanwhile waits for the next", explain("file", KEY, uid=PUPPY),
     1, "denied")
tap.equal("gatekeeper is the same", gatekeeper.process.poll(), None)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
says("nobody there", explain("file", KEY, uid=PUPPY), 2, "is not running")
tap.finish()
