"""leash-query, on the log of a live gatekeeper and of a dead one."""

import csv
import io
import json
import os
import subprocess

from harness import *

FILE, OTHER = f"{BOX}/box/file", f"{BOX}/other/file"
ODD = f"{BOX}/box/\x1b[31mred\nline"

tap = Tap()
write_file(FILE)
write_file(OTHER, mode=0o644)
write_file(ODD)
gatekeeper = Gatekeeper(config(files=f'read = [ "{BOX}/other" ];'))


def query(*arguments, **environment):
    done = subprocess.run(["leash-query", *arguments], capture_output=True,
                          text=True, timeout=40,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


follower = subprocess.Popen(["leash-query", "--follow", "--denied",
                             "--format", "json", "--limit", "1"],
                            stdout=subprocess.PIPE, text=True)
time.sleep(0.5)
for path in (FILE, OTHER, ODD):
    as_user(PUPPY, lambda: open_close(path))
wait_rows("target = ?", ODD)
first = json.loads(follower.stdout.readline())
tap.equal("--follow shows what happens from now on", first["target"], FILE)
follower.kill()
follower.wait()

code, out, _ = query("--denied", "--format", "json")
found = [json.loads(line) for line in out.splitlines()]
tap.equal("--denied: two rows", [row["target"] for row in found], [FILE, ODD])
tap.equal("a row tells who, what and why",
          [found[0][key] for key in ("account", "uid", "kind", "verdict",
                                     "reason")],
          ["puppy", PUPPY, "open", "deny", "no rule allows it (default deny)"])
tap.equal("no colour without a terminal", "\x1b" in query("--denied")[1],
          False)
out = query("--denied")[1]
tap.check("a name cannot speak to the terminal",
          "\\x1b[31mred\\nline" in out and len(out.splitlines()) == 3, out)
for width in (60, 80, 120):
    out = query("--limit", "0", COLUMNS=str(width))[1]
    tap.check(f"a table fits {width} columns",
              max(len(line) for line in out.splitlines()) <= width, out)
out = query("--denied", "--format", "csv")[1]
table = list(csv.DictReader(io.StringIO(out)))
tap.equal("CSV reads back", [row["target"] for row in table], [FILE, ODD])

for name, arguments, wanted in (
        ("--path", ["--path", f"{BOX}/other/*"], {OTHER}),
        ("--account", ["--account", "kitten"], set()),
        ("--since", ["--since", "2099-01-01"], set()),
        ("--until", ["--until", "2020-01-01"], set()),
        ("--program", ["--program", "/nowhere/*"], set()),
        ("--kind and --since", ["--kind", "open", "--since", "1h"],
         {FILE, OTHER, ODD})):
    out = query(*arguments, "--format", "json", "--limit", "0")[1]
    tap.equal(name, {json.loads(line)["target"] for line in out.splitlines()},
              wanted)
out = query("--sql", "SELECT verdict, count(*) AS n FROM verdicts WHERE kind "
            "= 'open' GROUP BY 1", "--format", "csv")[1]
tap.equal("--sql", out, "verdict,n\nallow,1\ndeny,2\n")
with open("/etc/hosts", "a") as hosts:
    hosts.write("192.0.2.77 known.example\n")
tap.equal("ptr()", query("--sql", "SELECT ptr('192.0.2.77') AS a, "
                         "ptr('192.0.2.77') AS b, ptr('x') AS c, "
                         "ptr(NULL) AS d", "--format", "csv")[1],
          "a,b,c,d\nknown.example,known.example,,\n")
for view in ("verdicts", "denials", "files", "programs"):
    tap.equal(f"the view {view}", query("--sql", f"SELECT * FROM {view}")[0],
              0)


# A child that still runs in its parent's memory, and one that does not.
def spawn():
    os.waitpid(os.posix_spawn(PROBE, [PROBE], {}), 0)


def fork():
    pid = os.fork()
    if pid == 0:
        os.execv(PROBE, [PROBE])
    os.waitpid(pid, 0)


for how in (spawn, fork):
    before = len(rows("kind = 'exec' AND target = ?", PROBE))
    as_user(PUPPY, how)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        found = rows("kind = 'exec' AND target = ?", PROBE)[before:]
        if found:
            break
        time.sleep(0.05)
    tap.equal(f"a program run by {how.__name__} is logged once, with what ran it",
              [row["program"] for row in found],
              [os.path.realpath(sys.executable)])

for name, arguments in (
        ("SQL that writes", ["--sql", "DELETE FROM log"]),
        ("SQL that attaches", ["--sql", "ATTACH '/tmp/x' AS x"]),
        ("SQL that is none", ["--sql", "SELEKT"]),
        ("two statements", ["--sql", "SELECT 1; SELECT 2"]),
        ("SQL without an end",
         ["--seconds", "2", "--sql", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
          "FROM n) SELECT count(*) FROM n"]),
        ("no time at all", ["--seconds", "0", "--sql", "SELECT 1"]),
        ("a wrong time", ["--since", "soon"]),
        ("a wrong kind", ["--kind", "fork"]),
        ("a wrong format", ["--format", "xml"]),
        ("a missing log", ["--database", "/nowhere"])):
    code, out, err = query(*arguments)
    tap.check(f"{name}: one line and exit 2",
              code == 2 and len(err.splitlines()) == 1,
              f"{code}\n{out}{err}")
tap.check("another user cannot read the log",
          "only root may read" in run_as(KITTEN, ["leash-query"]),
          run_as(KITTEN, ["leash-query"]))
gatekeeper.process.kill()
subprocess.run(["pkill", "leash-"])
time.sleep(0.3)
tap.equal("the log is readable when every daemon is dead",
          len(query("--denied", "--format", "json")[1].splitlines()), 2)
tap.finish()
