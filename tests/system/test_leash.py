"""leash: what a person types, on a live gatekeeper and on a dead one."""

import grp
import json
import os
import re
import socket
import subprocess
import threading

from harness import *

FILE, OTHER = f"{BOX}/box/file", f"{BOX}/other/file"
SECOND = f"{BOX}/box/second"
LOCAL = "/etc/leash.d/50-local.conf"
OPERATOR = 64010

tap = Tap()
write_file(FILE)
write_file(SECOND)
write_file(OTHER, mode=0o644)
with open("/etc/group", "a") as groups:
    groups.write("leash:x:64011:\n")
POLICY = config(
    files=f'read = [ "{BOX}/other" ]; deny = [ "**/*.pem" ];',
    extra='network = { allow = ( { host = "*.example.org"; '
          'ports = [ 443 ]; } ); };')
gatekeeper = Gatekeeper(POLICY)


def leash(*arguments, uid=0, group=None, seconds=60, folder="/"):
    def be():
        if group is not None:
            os.setgroups([group])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        else:
            become(uid)
    done = subprocess.run(["leash", *arguments], capture_output=True,
                          text=True, preexec_fn=be, timeout=seconds, cwd=folder,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def leash_json(*arguments, code=0):
    done = leash(*arguments, "--json")
    tap.equal(f"{arguments[0]} --json: exit code", done[0], code)
    return json.loads(done[1])


def opened(path=FILE):
    return as_user(PUPPY, lambda: open_close(path))


def says(name, result, code, *words):
    text = result[1] + result[2]
    tap.check(name, result[0] == code and all(word in text for word in words),
              f"{result[0]}, not {code}, or not {words}:\n{text}")


# Status, for whom it is.
says("status: on", leash("status"), 0, "Leash", "generation 1", "enforcing",
     "puppy (uid 64001)")
status = json.loads(leash("status", "--json")[1])
tap.equal("status --json: accounts", status["account"],
          [{"name": "puppy", "uid": 64001, "mode": "enforce"}])
tap.equal("status --json: the gate that answers", status["file_gate"],
          gatekeeper.active())
says("status: the group leash may ask", leash("status", uid=OPERATOR,
                                               group=64011), 0, "Leash")
says("status: a stranger may not", leash("status", uid=KITTEN), 2, "only root")
says("status: the account may not", leash("status", uid=PUPPY), 2, "only root")
says("status: nor in the group", leash("status", uid=PUPPY, group=64011), 2,
     "only root")

# Explain agrees with the gates, and with itself.
for path, allowed in ((FILE, False), (OTHER, True),
                      (f"{BOX}/other/key.pem", False)):
    if not os.path.exists(path):
        write_file(path, mode=0o644)
    code, out, _ = leash("explain", "file", path, "--json")
    tap.equal(f"explain and the gate agree on {path}",
              (code == 0, opened(path) == "ok"), (allowed, allowed))
answer = json.loads(leash("explain", "file", OTHER, "--json")[1])
tap.equal("explain: the rule", (answer["verdict"], answer["origin"]),
          ("allow", "/etc/leash.conf:8"))
answer = json.loads(leash("explain", "file", f"{BOX}/other/key.pem",
                          "--json")[1])
tap.equal("explain: the rule that loses", answer["other"],
          [{"origin": "/etc/leash.conf:8", "verdict": "allow",
            "rule": "/etc/leash.conf:8"}])
says("explain: what would change it", leash("explain", "file", FILE), 1,
     "denied", "no rule allows it", f"leash allow file {FILE} --account puppy")
says("explain: writing", leash("explain", "file", OTHER, "--write"), 1,
     "reading only", "--write")
says("explain: a pattern cannot be outdone",
     leash("explain", "file", f"{BOX}/other/key.pem"), 1,
     "change or remove the rule at /etc/leash.conf:8")
says("explain: a program", leash("explain", "exec", "/usr/bin/env"), 0,
     "allowed", "profiles/base")
says("explain: another", leash("explain", "exec", "/usr/bin/perl"), 1,
     "leash allow program /usr/bin/perl")
says("explain: a host", leash("explain", "host", "a.example.org"), 0,
     "may be asked for")
says("explain: its other port", leash("explain", "host", "a.example.org:80"),
     1, "leash allow host a.example.org:80")
says("explain: an address", leash("explain", "host", "192.0.2.1"), 1, "denied")
says("explain: the account about itself",
     leash("explain", "file", FILE, uid=PUPPY), 1, "denied")
says("explain: the account about others",
     leash("explain", "file", FILE, "--account", "kitten", uid=PUPPY), 2,
     "not others")
says("explain: a stranger", leash("explain", "file", FILE, uid=KITTEN), 2,
     "you are not leashed")
for wrong in (["explain"], ["explain", "file"], ["explain", "x", "y"],
              ["explain", "file", FILE, "--no"], ["allow"], ["allow", "file"],
              ["deny", "--last"], ["undo", "x"], ["mode"], ["mode", "off"],
              ["reload", "x"], ["status", "x"], ["watch", "x"], ["nothing"],
              [], ["check", "--x"], ["watch", "--top", "--json"],
              ["allow", "--last", "x"], ["tools", "x"], ["undo", "--write"],
              ["learn", "--since"], ["explain", "file", FILE, "x"]):
    says(f"wrong usage: {' '.join(wrong)}", leash(*wrong), 2,
         f"; see leash {wrong[0]} --help" if wrong and wrong[0] != "nothing"
         else "; see leash --help")

# Every program says how it is used, and which it is, without a gatekeeper.
for program in ("gatekeeper", "leash", "leash-query", "leash-hook",
                "leash-mcp"):
    done = subprocess.run([program, "--help"], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    tap.check(f"{program} --help", done.returncode == 0 and not done.stderr and
              done.stdout.startswith("Usage:") and
              f" {program} " in done.stdout, done)
    done = subprocess.run([program, "--version"], capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    tap.check(f"{program} --version", done.returncode == 0 and not done.stderr
              and re.fullmatch(program + r" \S+\n", done.stdout), done)
for command in ("init", "status", "watch", "explain", "allow", "deny", "undo",
                "mode", "learn", "reload", "check", "tools"):
    code, out, err = leash(command, "--help")
    tap.check(f"leash {command} --help", code == 0 and not err and
              out.startswith(f"Usage: leash {command} ") and
              max(map(len, out.splitlines())) < 80, (code, out, err))
says("an option that is none", leash("allow", "--frob"), 2,
     "leash allow: there is no option --frob; see leash allow --help")

# The loop people live in: refused, why, allow, works.
wait_rows("target LIKE '%key.pem' AND verdict = 'deny'")
says("allow --last: no rule helps against a rule", leash("allow", "--last"),
     2, "key.pem", "/etc/leash.conf:8")


def refusal(what, path):
    """Refused, and the row of it is in the log."""
    seen = len(rows("target = ?", path))
    tap.equal(what, opened(path), "EPERM")
    while len(rows("target = ?", path)) == seen:
        time.sleep(0.05)


refusal("refused", FILE)
says("allow --last shows the rule, and does nothing unasked",
     leash("allow", "--last"), 1, f'path = "{FILE}"', "--yes")
# What the store has yet to write is waited for.
store, = gatekeeper.pids("leash-store")
os.kill(store, signal.SIGSTOP)
tap.equal("refused while the log stands still", opened(SECOND), "EPERM")
asked = subprocess.Popen(["leash", "allow", "--last"], stdout=subprocess.PIPE,
                         text=True, stdin=subprocess.DEVNULL)
time.sleep(0.5)
os.kill(store, signal.SIGCONT)
out = asked.communicate(timeout=60)[0]
tap.check("allow --last: that it is, not what was refused before",
          f"last refused: open {SECOND}, by puppy" in out, out)
os.kill(store, signal.SIGSTOP)
tap.equal("refused once more", opened(SECOND), "EPERM")
begun = time.monotonic()
says("allow --last waits, and not for ever", leash("allow", "--last"), 1,
     "last refused: ")
tap.check("but two seconds", 1.5 < time.monotonic() - begun < 4 *
          float(os.environ.get("LEASH_SLOW", "1")))
os.kill(store, signal.SIGCONT)
refusal("still refused", FILE)
shown = leash("allow", "--last")
number = re.search(r"leash allow --last=(\d+) --yes does it", shown[1])[1]
says("what is to be typed has all that was said",
     leash("allow", "--last", "--for", "8h", "--why", "it's mine"), 1,
     f"leash allow --last={number} --for 8h --why 'it'\\''s mine' --yes does it")
says("--yes alone says yes to nothing", leash("allow", "--last", "--yes"), 2,
     "--last=NUMBER")
says("nor to what is no refusal", leash("allow", "--last=1", "--yes"), 2,
     "is no refusal")
for wrong in ("0", "x", "-1", "1x", "9" * 30, ""):
    says(f"nor to number {wrong[:9]!r}", leash("allow", f"--last={wrong}",
                                               "--yes"), 2, "the number of")
says("nor for another account", leash("allow", f"--last={number}", "--yes",
                                      "--account", "kitten"), 2)
tap.check("and no file is written", not os.path.exists(LOCAL))
refusal("refused something else meanwhile", SECOND)
says("allow --dry-run", leash("allow", "file", FILE, "--dry-run"), 0,
     f"nothing was changed; leash allow file {FILE} does it\n")
says("allow --dry-run: with all that was said", leash(
    "allow", "--dry-run", "host", "a.b:443", "--for", "1h", "--account",
    "puppy", "--why", "a b", "--protocol", "tcp", "--program", "/usr/bin/curl"),
    0, "nothing was changed; leash allow host a.b:443 --account puppy --for 1h "
    "--why 'a b' --protocol tcp --program /usr/bin/curl does it\n")
says("deny --dry-run", leash("deny", "file", FILE, "--dry-run"), 0,
     f"nothing was changed; leash deny file {FILE} does it\n")
says("mode --dry-run", leash("mode", "observe", "--dry-run"), 0,
     "nothing was changed; leash mode observe does it\n")
says("allow --last --dry-run", leash("allow", "--last", "--dry-run", "--for",
                                     "1h"), 0, "nothing was changed; leash "
     "allow --last=", " --for 1h --yes does it\n")
tap.check("and no file is written", not os.path.exists(LOCAL))
says("allow --last=NUMBER --yes", leash("allow", f"--last={number}", "--yes"),
     0, "live as generation 2")
tap.equal("works", opened(), "ok")
tap.equal("and that alone", opened(SECOND), "EPERM")
tap.equal("for reading alone",
          as_user(PUPPY, lambda: open_close(FILE, os.O_WRONLY)), "EPERM")
tap.check("who and when stand in the file",
          " root puppy files.read" in open(LOCAL).read())
says("explain names it", leash("explain", "file", FILE), 0, LOCAL, "local 1")
says("a rule that cannot decide is added, and said to be in vain",
     leash("allow", "file", f"{BOX}/other/key.pem", "--dry-run"), 0,
     "can never decide anything: /etc/leash.conf:8 (deny)")
says("undo --dry-run", leash("undo", "--dry-run"), 0,
     "nothing was changed; leash undo does it\n")
says("undo", leash("undo"), 0, f'-\t\t\t\t{{ path = "{FILE}"')
tap.equal("refused again", opened(), "EPERM")
says("undo of nothing", leash("undo"), 2, "nothing to undo")

says("allow --for", leash("allow", "file", FILE, "--for", "3s", "--why",
                          "a\ntrick"), 0, "until = ")
tap.equal("works for a while", opened(), "ok")
time.sleep(4)
tap.equal("and no longer", opened(), "EPERM")
gatekeeper.wait_for("a rule has ended")
says("a newline in --why stays one line", leash("reload"), 0, "live")
says("allow host", leash("allow", "host", "b.example.net:443,8000-8010"), 0,
     'host = "b.example.net"', 'ports = ( 443, "8000-8010" )')
says("and explain knows", leash("explain", "host", "b.example.net:8005"), 0,
     "local")
says("allow net", leash("allow", "host", "192.0.2.0/24"), 0, 'net = "192')
for odd in ("x/y", "*/0", "/", "a.example/24"):
    says(f"a network that is none: {odd}", leash("allow", "host", odd), 2,
         "name such as")
says("deny host", leash("deny", "host", "c.example.org"), 0, "deny = (")
says("denied though *. allows", leash("explain", "host", "c.example.org"), 1,
     "leash undo")
says("deny program", leash("deny", "program", "/usr/bin/env"), 0, "deny = (")
says("denied", leash("explain", "exec", "/usr/bin/env"), 1, "a rule denies")
tap.equal("to the account, too", run_as(PUPPY, ["/usr/bin/env"]), "EPERM")
says("undo", leash("undo"), 0, "live")
tap.check("and runs again", "=" in run_as(PUPPY, ["/usr/bin/env"]))
before = open(LOCAL).read()
says("what contradicts is refused, with both places",
     leash("deny", "file", f"{BOX}/other"), 2, LOCAL, "/etc/leash.conf:8")
says("a host that is none", leash("allow", "host", "a..b"), 2, "name such as")
says("ports that are none", leash("allow", "host", "a.b:https"), 2, "ports")
says("--for that is none", leash("allow", "file", FILE, "--for", "soon"), 2,
     "90s")
says("an account that is none",
     leash("allow", "file", FILE, "--account", "kitten"), 2, "not leashed")
says("a kind that is none", leash("allow", "thing", "x"), 2, "host or tool")
tap.equal("none of these changed the file", open(LOCAL).read(), before)
# All in /, and in /srv.
for folder, typed, want in (("/", "srv/o", "/srv/o"), ("/", "o", "/o"),
                            ("/", "./srv//o", "/srv/o"),
                            ("/", "srv/../o", "/o"),
                            ("/srv", "o", "/srv/o"), ("/srv", "../o", "/o"),
                            ("/srv", "//srv///o", "/srv/o")):
    done = leash("allow", "file", typed, "--dry-run", folder=folder)
    says(f"{typed} in {folder}", done, 0, f'{{ path = "{want}"; ')
    says(f"explain {typed} in {folder}", leash(
        "explain", "file", typed, folder=folder), 1,
        f"open {want}, by puppy")
says("a tool", leash("allow", "tool", "Read"), 0, "tools = {", 'tool = "Read"')
says("undo that", leash("undo"), 0, "live")

# What the account chose to be refused is taken for what it is, no more.
def refused(name, action, target, code, *words, grants=()):
    """allow --last after action, and what stands open when it is agreed to."""
    before = rows()[-1]["seq"]
    as_user(PUPPY, action)
    wait_rows("seq > ? AND target = ? AND verdict = 'deny'", before, target)
    shown = leash("allow", "--last")
    says(f"last: {name}", shown, code, *words)
    found = re.search(r"--last=(\d+) --yes", shown[1])
    if not found:
        tap.check(f"last: {name}: and no number to say yes to", code == 2)
        return
    says(f"last: {name}: yes", leash("allow", f"--last={found[1]}", "--yes"),
         0, "live")
    for path, want in grants:
        tap.equal(f"last: {name}: {path}", opened(path), want)
    leash("undo")


def lists(path):
    return lambda: os.listdir(path)


write_file("/srv/lists/plain/a.txt", mode=0o644)
write_file("/srv/lists/project/sub/.env", mode=0o644)
write_file("/srv/secrets/plans", mode=0o644)
write_file(f"{BOX}/box/[ab]", mode=0o644)
write_file(f"{BOX}/box/a", mode=0o644)
write_file(f"{BOX}/box/*", mode=0o644)
write_file(f"{BOX}/box/q'; x\n\\", mode=0o644)
for folder in ("/", "/srv", "/etc", "/home", "/var", "/usr/local", "/home/puppy",
               "/home/kitten", "/var/lib"):
    refused(folder, lists(folder), folder, 2, "would open all below",
            "leash allow file PATH")
refused("a folder", lists("/srv/lists/plain"), "/srv/lists/plain", 1,
        grants=[("/srv/lists/plain/a.txt", "ok"),
                ("/srv/lists/project/sub/.env", "EPERM")])
refused("a folder with secrets", lists("/srv/lists/project"),
        "/srv/lists/project", 2, "open the secrets below")
for secret in ("/srv/lists/project/sub/.env", "/srv/secrets/plans",
               "/etc/shadow"):
    refused(secret, lambda: open_close(secret), secret, 2,
            "it may hold secrets")
refused("a name that is a pattern", lambda: open_close(f"{BOX}/box/[ab]"),
        f"{BOX}/box/[ab]", 1,
        grants=[(f"{BOX}/box/[ab]", "ok"), (f"{BOX}/box/a", "EPERM")])
refused("a name that is all patterns", lambda: open_close(f"{BOX}/box/*"),
        f"{BOX}/box/*", 1,
        grants=[(f"{BOX}/box/*", "ok"), (FILE, "EPERM")])
refused("a name with all that quotes", lambda: open_close(
    f"{BOX}/box/q'; x\n\\"), f"{BOX}/box/q'; x\n\\", 1,
        grants=[(f"{BOX}/box/q'; x\n\\", "ok"), (FILE, "EPERM")])

# A link of the account's is not followed for it.
os.symlink("/srv/secrets", "/home/puppy/link")
os.lchown("/home/puppy/link", PUPPY, PUPPY)
says("allow file through a link of the account's",
     leash("allow", "file", "/home/puppy/link"), 0,
     "a symlink that an account can change", "(/srv/secrets)")
tap.equal("gives nothing of where it leads", opened("/srv/secrets/plans"),
          "EPERM")
leash("undo")
os.symlink("/srv/secrets", "/srv/of-root")
says("through one of root's", leash("allow", "file",
                                    "/srv/lists/../of-root/./plans"), 0)
tap.equal("it does", opened("/srv/secrets/plans"), "ok")
leash("undo")

# Who may change what.
for name, who in (("a stranger", {"uid": KITTEN}),
                  ("the account", {"uid": PUPPY}),
                  ("the account in the group", {"uid": PUPPY,
                                                "group": 64011})):
    for what in (["allow", "file", FILE], ["undo"], ["reload"],
                 ["mode", "observe"]):
        says(f"{name} may not {what[0]}", leash(*what, **who), 2, "only root")
says("the group leash may allow",
     leash("allow", "file", FILE, uid=OPERATOR, group=64011), 0, "live")
says("but not look away", leash("mode", "observe", uid=OPERATOR, group=64011),
     2, "only root")
says("undo by the group", leash("undo", uid=OPERATOR, group=64011), 0, "live")
leash("mode", "enforce")
says("nor by taking back what root has said of it",
     leash("undo", uid=OPERATOR, group=64011), 2, "only root")
says("which root may", leash("undo"), 0, "live")

# Whoever may list the folder of the rules may lock it.
holder = start_as(KITTEN, ["flock", "/etc/leash.d", "sleep", "60"])
while subprocess.run(["flock", "-n", "/etc/leash.d", "true"]).returncode == 0:
    time.sleep(0.02)
says("a lock of somebody's keeps no change out", leash("mode", "enforce"), 0,
     "live")
tap.check("and is there all the while", holder.poll() is None)
holder.kill()
holder.wait()
leash("undo")

# What is typed wrong, or does not fit, makes no rule, least of all a wide one.
for words, said in (
        (["allow", "file", ""], "empty"), (["deny", "program", ""], "empty"),
        (["explain", "file", ""], "empty"),
        (["allow", "host", "example.org:"], "ports are"),
        (["allow", "host", "example.org:443,"], "ports are"),
        (["allow", "host", "[::1]443"], "behind ]"),
        (["allow", "host", "https://example.org/x"], "no URL"),
        (["allow", "file", FILE, "--program", "/usr/bin/cat"], "for a host"),
        (["allow", "tool", "Read", "--protocol", "tcp"], "for a host"),
        (["allow", "program", "/usr/bin/id", "--write"], "allow file"),
        (["deny", "file", FILE, "--write"], "no option"),
        (["explain", "file", FILE, "--address", "192.0.2.1"], "for a host"),
        (["explain", "host", "example.org", "--write"], "for a file"),
        (["allow", "--last", "--program", "/usr/bin/id"], "--last makes"),
        (["allow", "--last", "--write"], "--last makes"),
        (["undo", "4294967297"], "no change")):
    says("leash " + " ".join(words), leash(*words), 2, said)

says("what changes is shown so that it does nothing to a terminal",
     leash("allow", "file", f"{BOX}/a\u009b2Jb\u202ec", "--dry-run"), 0,
     f"{BOX}/a\\xc2\\x9b2Jb\\xe2\\x80\\xaec")

# What explain proposes is what it was asked about.
for words, proposed in (
        (["host", "[2001:db8::1]:443"], "allow host '[2001:db8::1]:443' "),
        (["host", "198.51.100.9:53", "--protocol", "udp"],
         "allow host 198.51.100.9:53 --protocol udp "),
        (["host", "192.0.2.9", "--protocol", "icmp"],
         "allow host 192.0.2.9 --protocol icmp "),
        (["file", "/srv/a*[b]"], "allow file '/srv/a\\*\\[b"),
        (["tool", "a tool; id"], "allow tool 'a tool; id' --account puppy")):
    says("explain " + " ".join(words), leash("explain", *words), 1, proposed)

# What reads the log is for those who may read it; init is root's.
MEMBER = {"uid": OPERATOR, "group": 64011}
says("root learns", leash("learn", "--refused", "--account", "puppy"), 0,
     "rule(s)", "nothing was changed; leash learn --account puppy --refused "
     "--apply does it\n")
for name, who in (("a member", MEMBER), ("a stranger", {"uid": KITTEN}),
                  ("the account", {"uid": PUPPY})):
    for what in (["learn", "--account", "puppy"], ["watch"],
                 ["watch", "--top"], ["allow", "--last"]):
        says(f"{name} does not read the log: {' '.join(what)}",
             leash(*what, **who), 2, "log")
    says(f"{name} makes no account", leash("init", "--yes", **who), 2,
         "only root")
says("a member checks", leash("check", **MEMBER), 0, "correct")
says("a stranger, too", leash("check", uid=KITTEN), 0, "correct")
says("the account runs no gatekeeper", leash("check", uid=PUPPY), 2)

# Observe mode is said everywhere.
says("mode observe", leash("mode", "observe"), 0, "OBSERVE MODE")
tap.equal("nothing is refused", opened(), "ok")
says("status says so", leash("status"), 0, "OBSERVE MODE", "nothing is refused")
says("explain says so", leash("explain", "file", FILE), 1, "OBSERVE MODE")
tap.check("and the log", wait_rows("target = ? AND verdict = 'observe'", FILE))
says("mode enforce", leash("mode", "enforce"), 0, "live")
tap.equal("refused again", opened(), "EPERM")
says("mode observe, one account", leash("mode", "observe", "--account",
                                        "puppy"), 0, "OBSERVE")
tap.equal("nothing is refused to it", opened(), "ok")
says("status says which", leash("status"), 0, "enforcing",
     "puppy (uid 64001)  OBSERVE MODE")
says("undo", leash("undo"), 0, "live")
tap.equal("refused again", opened(), "EPERM")

# One rule alone.
with open("/etc/leash.conf") as file:
    text = file.read()
write_file("/etc/leash.conf", text.replace(
    'deny = [ "**/*.pem" ]',
    'deny = ( { path = "**/*.pem"; mode = "observe"; '
    'name = "keys on trial"; } )'), mode=0o644)
says("a rule on trial", leash("reload"), 0, "live")
tap.equal("refuses nothing", opened(f"{BOX}/other/key.pem"), "ok")
tap.equal("the others do", opened(), "EPERM")
tap.check("the log says what would have been",
          wait_rows("target LIKE '%key.pem' AND verdict = 'observe'"))
says("status names it", leash("status"), 0, "keys on trial")
tap.check("in JSON, too",
          "keys on trial" in leash_json("status")["observing"][0])
says("explain says so", leash("explain", "file", f"{BOX}/other/key.pem"), 1,
     "OBSERVE")
write_file("/etc/leash.conf", text, mode=0o644)
says("and back", leash("reload"), 0, "live")
tap.equal("refuses again", opened(f"{BOX}/other/key.pem"), "EPERM")

# The same, for programs.
answer = leash_json("allow", "file", FILE, "--dry-run")
tap.check("allow --dry-run --json: what it would be",
          f'path = "{FILE}"' in answer["diff"] and
          "generation" not in answer, answer)
seen = len(rows("target = ?", FILE))
opened()
while len(rows("target = ?", FILE)) == seen:
    time.sleep(0.05)
answer = leash_json("allow", "--last", code=1)
tap.equal("allow --last --json: what was refused",
          (answer["kind"], answer["refused"], answer["account"]),
          ("open", FILE, "puppy"))
tap.equal("and nothing is done unasked", opened(), "EPERM")
tap.equal("nor by --yes alone", leash("allow", "--last", "--yes",
                                      "--json")[0], 2)
done = leash_json("allow", f"--last={answer['seq']}", "--yes")
tap.equal("but with --yes", opened(), "ok")
answer = leash_json("undo")
tap.equal("undo --json: the same change, a generation later",
          (answer["change"], answer["generation"]),
          (done["change"], done["generation"] + 1))
tap.equal("reload --json: the next",
          leash_json("reload")["generation"], done["generation"] + 2)
tap.check("mode --json", 'mode = "observe"' in
          leash_json("mode", "observe", "--dry-run")["diff"])
tap.equal("check --json: nothing", leash_json("check"),
          {"config": "/etc/leash.conf", "mistakes": 0, "notes": 0,
           "mistake": [], "note": []})
write_file(f"{BOX}/vain.conf", text.replace(
    f'read = [ "{BOX}/other" ]',
    f'read = [ "{BOX}/other", "{BOX}/other/key.pem" ]'), mode=0o644)
found = leash_json("check", f"{BOX}/vain.conf")
tap.check("check --json: a rule in vain",
          len(found["note"]) == found["notes"] == 1 and "can never decide" in found["note"][0],
          found)
says("check: the same", leash("check", f"{BOX}/vain.conf"), 0, "vain.conf:8",
     "can never decide")
tap.equal("check: and that it is correct nonetheless",
          leash("check", f"{BOX}/vain.conf")[1],
          f"{BOX}/vain.conf: correct, with 1 note(s)\n")
tap.equal("check: without a note, no word of them", leash("check")[1],
          "/etc/leash.conf: correct\n")
write_file(f"{BOX}/vain.conf", text.replace("read = ", "raed = "), mode=0o644)
found = leash_json("check", f"{BOX}/vain.conf", code=1)
tap.check("check --json: a mistake", "raed" in found["mistake"][0], found)
tap.equal("and it is the only one, by its number, too",
          (len(found["mistake"]), found["mistakes"]), (1, 1))
write_file(f"{BOX}/vain.conf", text.replace("read = ", "raed = ").replace(
    "watch = ", "wacth = "), mode=0o644)
found = leash_json("check", f"{BOX}/vain.conf", code=1)
tap.equal("check --json: two", (len(found["mistake"]), found["mistakes"]),
          (2, 2))
tap.equal("check --json: all that is printed is JSON",
          leash("check", f"{BOX}/vain.conf", "--json")[2], "")
says("check says how many, too", leash("check", f"{BOX}/vain.conf"), 1,
     "vain.conf:8", "2 mistake(s)")
answer = leash_json("learn", "--refused", code=0)
tap.check("learn --json: a rule, its section and uses",
          {"section": "file.write", "uses": 1, "what": FILE} in
          answer["rule"], answer)
tap.check("learn --json: what is not learned",
          any("key.pem" in text for text in answer["not"]), answer)
watcher = subprocess.Popen(["leash", "watch", "--json", "--denied"],
                           stdout=subprocess.PIPE, text=True)
time.sleep(0.6)
opened()
opened()
lines = [json.loads(watcher.stdout.readline()) for _ in range(2)]
watcher.kill()
tap.equal("watch --json: each verdict one line",
          [(line["target"], line["verdict"], line["account"])
           for line in lines], [(FILE, "deny", "puppy")] * 2)

# Watch, at a few and at many.
says("watch: a kind that is none", leash("watch", "--kind", "fork"), 2,
     "open, list, ", " or daemon, not")
watcher = subprocess.Popen(["leash", "watch"], stdout=subprocess.PIPE,
                           text=True)
time.sleep(0.6)
opened()
tap.check("watch shows a refusal, and why",
          FILE in (line := watcher.stdout.readline()) and
          "no rule allows it" in line, line)
run_as(PUPPY, [PROBE, "hammer", "2", OTHER, FILE])
time.sleep(1.5)
watcher.kill()
lines = watcher.stdout.read().splitlines()
folded = sum(int(line.rsplit("  x", 1)[1]) for line in lines
             if "  x" in line and FILE in line)
happened = len(rows("target = ? AND verdict = 'deny' AND pid IN "
                    "(SELECT pid FROM verdicts WHERE target = ?)", FILE,
                    OTHER))
tap.check("thousands a second are a few lines", 0 < len(lines) < 200,
          len(lines))
tap.check("and all are counted", folded > 1000, (folded, happened))
top = subprocess.Popen(["leash", "watch", "--top"], stdout=subprocess.PIPE,
                       text=True)
time.sleep(2.5)
top.kill()
text = top.stdout.read()
tap.check("watch --top: accounts, files, programs, hosts",
          all(word in text for word in ("puppy", FILE, "probe", "hosts")),
          text[:2000])
watcher = subprocess.Popen(["leash", "watch"], stdout=subprocess.PIPE,
                           text=True)
time.sleep(0.6)
leash("reload")
time.sleep(1.5)
watcher.kill()
lines = watcher.stdout.read().splitlines()
tap.check("watch tells what happens to Leash itself",
          any(re.search(r" Leash: .*generation \d+", line)
              for line in lines), lines)

# Two at once.
results = []


def add(number):
    results.append(leash("allow", "file", f"{BOX}/both/{number}"))


threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
tap.equal("six changes at once: all done", [r[0] for r in results], [0] * 6)
text = open(LOCAL).read()
tap.check("and none lost", all(f"{BOX}/both/{n}" in text for n in range(6)),
          text)
changes = {line.split()[1] for line in text.splitlines() if "/both/" not in
           line and "#+" in line and "files.read" in line}
tap.equal("each with its number", len(changes), 6)

# Broken by hand, unreadable, no room.
before = open(LOCAL).read()
write_file(LOCAL, before.replace("account", "# mine\n\t\taccount", 1), mode=0o644)
says("a drop-in changed by hand is not touched",
     leash("allow", "file", FILE), 2, LOCAL, "by hand")
write_file(LOCAL, "accounts = (\n", mode=0o644)
says("nor one that is no configuration", leash("allow", "file", FILE), 2,
     LOCAL + ":1")
tap.equal("its text stays", open(LOCAL).read(), "accounts = (\n")
says("reload says what is wrong", leash("reload"), 2, LOCAL, "syntax")
tap.equal("and the old policy holds", opened(), "EPERM")
PROBLEM = ("PROBLEM", "the configuration is wrong", "stays in force")
says("status says so, too", leash("status"), 1, *PROBLEM)
write_file(LOCAL, before, mode=0o644)
says("until a right one", leash("status"), 1, *PROBLEM)
says("is read", leash("reload"), 0, "live")
says("and no longer", leash("status"), 0, "enforcing")
write_file(LOCAL, "accounts = (\n", mode=0o644)
gatekeeper.process.send_signal(signal.SIGHUP)
gatekeeper.wait_for("reload failed", times=2)
says("after a SIGHUP the same", leash("status"), 1, *PROBLEM)
write_file(LOCAL, before, mode=0o644)
says("and the same cure", leash("reload"), 0, "live")
says("which is one", leash("status"), 0, "enforcing")
os.rename("/etc/leash.conf", "/etc/leash.conf.away")
says("leash.conf gone", leash("allow", "file", FILE), 2, "/etc/leash.conf")
os.rename("/etc/leash.conf.away", "/etc/leash.conf")
tap.equal("nothing was changed", open(LOCAL).read(), before)
os.rename("/etc/leash.d", "/etc/leash.d.away")
os.mkdir("/etc/leash.d")
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=755", "none",
                "/etc/leash.d"], check=True)
full = os.open("/etc/leash.d/full", os.O_WRONLY | os.O_CREAT)
try:
    while os.write(full, b"x" * 512):
        pass
except OSError:
    pass
os.close(full)
says("a full disk", leash("allow", "file", FILE), 2, "cannot be written")
tap.equal("leaves nothing", os.listdir("/etc/leash.d"), ["full"])
subprocess.run(["umount", "/etc/leash.d"], check=True)
os.rmdir("/etc/leash.d")
os.rename("/etc/leash.d.away", "/etc/leash.d")
says("afterwards it goes on", leash("allow", "file", FILE), 0, "live")
says("check", leash("check"), 0, "correct")


# What an account can do to the sockets.
def flood(count):
    """Connect, say something odd, go."""
    import random
    chance = random.Random(1)
    reached = 0
    for number in range(count):
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(1)
        try:
            end.connect("/run/leash/toolcall.sock")
            kind = number % 6
            if kind == 0:
                end.send(chance.randbytes(chance.randrange(1, 3000)))
            elif kind == 1:
                end.send(b'{"ask":"explain",' + chance.randbytes(200) + b"}\n")
            elif kind == 2:
                end.send(json.dumps({
                    "ask": chance.choice(("trust", "pending", "mode")),
                    "account": "puppy", "mode": "observe"}).encode() + b"\n")
            elif kind == 3:
                socket.send_fds(end, [b'{"ask":"explain","kind":"open",'
                                      b'"path":"/"}\n'], [0, 1])
            elif kind == 4:
                end.send(b'{"ask":"explain","kind":"open"')
            reached += 1
        except OSError:
            pass
        finally:
            if number % 40:
                end.close()
            else:
                globals().setdefault("held", []).append(end)
    return reached


tap.check("the account does not reach gatekeeper's socket",
          as_user(PUPPY, lambda: socket.socket(
              socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(
                  "/run/leash/control")) == "EACCES")


def latency():
    """What an open of the account's takes, microseconds, the median."""
    took = []
    for _ in range(4000):
        begin = time.perf_counter()
        open_close(OTHER)
        took.append(time.perf_counter() - begin)
    return sorted(took)[len(took) // 2] * 1e6


before = as_user(PUPPY, latency)
wait = meanwhile(PUPPY, flood, 10000)
time.sleep(1)
print(f"# an open takes {before:.1f} us, {as_user(PUPPY, latency):.1f} in a "
      "flood")
worst, end = 0.0, time.monotonic() + 5
while time.monotonic() < end:
    begin = time.monotonic()
    result = leash("status")
    worst = max(worst, time.monotonic() - begin)
    if result[0]:
        break
says("under a flood, an administrator is served", result, 0, "enforcing")
print(f"# the longest status took {worst * 1000:.0f} ms")
print(f"# {wait()} of 10000 odd questions were sent")
tap.equal("refused as ever", opened(f"{BOX}/other/key.pem"), "EPERM")
says("and enforcing", leash("status"), 0, "enforcing")
tap.equal("gatekeeper is the same", gatekeeper.process.poll(), None)
tap.equal("and its gate", gatekeeper.file_gates(), 1)

# Nobody there.
os.kill(gatekeeper.process.pid, signal.SIGSTOP)
begin = time.monotonic()
says("stopped: said within a second", leash("status"), 2, "does not answer")
says("stopped: a change, too", leash("allow", "file", FILE), 2,
     "does not answer")
tap.check("both within 2.5 seconds", time.monotonic() - begin < 2.5)
os.kill(gatekeeper.process.pid, signal.SIGCONT)
says("and goes on", leash("status"), 0, "enforcing")
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.check("leaves no socket", not os.path.exists("/run/leash"))
for what in (["status"], ["explain", "file", FILE], ["allow", "file", FILE],
             ["deny", "file", FILE], ["undo"], ["mode", "observe"],
             ["reload"]):
    says(f"dead: {what[0]}", leash(*what), 2, "not running")
    says(f"dead: {what[0]}, by a stranger", leash(*what, uid=KITTEN), 2)
says("dead: check", leash("check"), 0, "correct")
says("dead: allow --last", leash("allow", "--last"), 2, "the refusal of")

# The log is where the configuration has it.
AWAY = "/mnt/away/verdicts.db"
THIRD = f"{BOX}/box/third"
write_file(THIRD)
gatekeeper = Gatekeeper(POLICY.replace(
    "accounts = (", f'log = {{ database = "{AWAY}"; }};\naccounts = (', 1))
watcher = subprocess.Popen(["leash", "watch"], stdout=subprocess.PIPE,
                           text=True)
time.sleep(0.6)
tap.equal("refused, and logged elsewhere", opened(THIRD), "EPERM")
says("allow --last finds it", leash("allow", "--last"), 1,
     f"last refused: open {THIRD}, by puppy")
says("learn, too", leash("learn", "--refused", "--account", "puppy"), 0,
     f'path = "{THIRD}"')
time.sleep(1)
watcher.kill()
tap.check("and watch", f"open {THIRD}" in (text := watcher.stdout.read()), text)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
