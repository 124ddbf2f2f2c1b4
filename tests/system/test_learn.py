"""leash learn: observe a task, learn, enforce; the task still works, and
what was no part of it does not."""

import os
import re
import subprocess

from harness import *

HOME = "/home/puppy"
LOCAL = "/etc/leash.d/50-local.conf"
UPSTREAM = "/srv/upstream"

tap = Tap()


def git(*arguments, cwd):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b",
                    *arguments], cwd=cwd, check=True, capture_output=True)


def make_projects():
    """Two repositories, read-only to the account."""
    sources = {f"c/src/part{n}.c":
               f'#include "all.h"\nint part{n}(int x) {{ return x + {n}; }}\n'
               for n in range(30)}
    sources["c/include/all.h"] = "".join(
        f"int part{n}(int x);\n" for n in range(30))
    sources["c/src/main.c"] = (
        '#include <stdio.h>\n#include "all.h"\nint main(void) {\n int x = 0;\n'
        + "".join(f" x = part{n}(x);\n" for n in range(30)) +
        ' printf("%d\\n", x);\n return x != 435;\n}\n')
    sources["c/Makefile"] = (
        "CFLAGS = -O1 -Iinclude\n"
        "objects = $(patsubst src/%.c,obj/%.o,$(wildcard src/*.c))\n"
        "prog: $(objects)\n\t$(CC) -o $@ $^\n"
        "obj/%.o: src/%.c\n\t@mkdir -p obj\n\t$(CC) $(CFLAGS) -c -o $@ $<\n"
        "test: prog\n\t./prog\n")
    for n in range(20):
        sources[f"python/tool/part{n}.py"] = f"def run(x):\n    return x + {n}\n"
    sources["python/tool/__init__.py"] = ""
    sources["python/tests/__init__.py"] = ""
    sources["python/tests/test_tool.py"] = (
        "import importlib, json, ssl, sqlite3, unittest\n"
        "class Test(unittest.TestCase):\n"
        "    def test_all(self):\n"
        "        x = 0\n"
        "        for n in range(20):\n"
        "            x = importlib.import_module(f'tool.part{n}').run(x)\n"
        "        self.assertEqual(x, 190)\n")
    for path, text in sources.items():
        write_file(f"{UPSTREAM}/{path}", text, mode=0o644)
    for project in ("c", "python"):
        git("init", "-q", cwd=f"{UPSTREAM}/{project}")
        git("add", ".", cwd=f"{UPSTREAM}/{project}")
        git("commit", "-qm", "all", cwd=f"{UPSTREAM}/{project}")


TASK = f"""set -e
cd {HOME}; rm -rf work; mkdir work; cd work
git clone -q file://{UPSTREAM}/c c
git clone -q file://{UPSTREAM}/python python
cd c; make -s test; cd ..
cd python; python3 -m unittest -q 2>&1; cd ..
git -C c log --oneline >/dev/null
echo all done"""


def task():
    return run_as(PUPPY, ["sh", "-c", TASK], seconds=120,
                  env={"HOME": HOME, "PATH": "/usr/bin:/bin"})


def leash(*arguments):
    done = subprocess.run(["leash", *arguments], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=100)
    return done.returncode, done.stdout + done.stderr


def settle():
    """Until all that happened is in the log."""
    before = -1
    while before != (now := len(rows())):
        before = now
        time.sleep(0.7)


make_projects()
write_file(f"{HOME}/.ssh/id_ed25519", "secret\n", mode=0o644)
write_file(f"{HOME}/.gitconfig", "[safe]\n\tdirectory = *\n", mode=0o644)
gatekeeper = Gatekeeper(config(more='mode = "observe";'))
tap.check("the task works while nothing is refused",
          task().endswith("all done"), task())
as_user(PUPPY, lambda: open_close(f"{HOME}/.ssh/id_ed25519"))
as_user(PUPPY, lambda: os.listdir("/"))
settle()

code, text = leash("learn")
print("\n".join("# " + line for line in text.splitlines()
                if re.search(r"path =|host =|rule\(s\)|not learned", line)))
count = int(re.search(r"# (\d+) rule", text).group(1))
tap.check("at most 25 rules", code == 0 and count <= 25, (code, count))
tap.check("and nothing is changed unasked", not os.path.exists(LOCAL))
paths = re.findall(r'path = "([^"]*)"', text)
tap.check("hundreds of files are a few folders",
          len(rows("verdict = 'observe' AND kind = 'open'")) > 100, len(paths))
for broad in ("/", "/home", "/usr", "/etc", "/var", "/srv", "/usr/bin"):
    tap.check(f"{broad} is not learned", broad not in paths)
tap.check("no secret is learned",
          not any("ssh" in path or "id_" in path for path in paths), paths)
tap.check("and that is said", "not learned: /home/puppy/.ssh/id_ed25519"
          in text, text[:500])
tap.check("how often each was used is said",
          text.count('reason = "learned, used ') == count)

code, text = leash("learn", "--apply")
tap.check("learn --apply", code == 0 and "live as generation" in text, text)
code, text = leash("mode", "enforce")
tap.equal("enforce", code, 0)
out = task()
tap.check("the same task works, enforced", out.endswith("all done"), out)
settle()
tap.equal("without a refusal",
          [row["target"] for row in rows(
              "verdict = 'deny' AND kind <> 'daemon'")], [])
tap.equal("the secret stays one",
          as_user(PUPPY, lambda: open_close(f"{HOME}/.ssh/id_ed25519")),
          "EPERM")
attacks = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "../../examples/attacks")
with open(attacks) as script:
    out = run_as(PUPPY, ["sh", "-c", script.read()], seconds=120,
                 env={"HOME": HOME, "PATH": "/usr/bin:/bin"})
print("\n".join("# " + line for line in out.splitlines()))
tap.check("the attacks of examples/attacks are held",
          out.endswith(" held, 0 got through"), out)
code, text = leash("learn", "--since", "1s")
tap.check("nothing more to learn", code == 1 and "nothing to learn" in text,
          text)
for wrong in (["--since", "soon"], ["--account", "kitten"], ["x"]):
    code, text = leash("learn", *wrong)
    tap.check(f"learn {wrong[0]} {wrong[-1]}", code in (1, 2), (code, text))
tap.equal("one change, undone at once", leash("undo", "1")[0], 0)
tap.check("and the task is refused", not task().endswith("all done"))

# Secrets among what is learned whole, and a home that is used everywhere.
WORK = "/srv/project"
SECRETS = [f"{WORK}/.env", f"{WORK}/server.key", f"{WORK}/sub/deep/id_rsa",
           f"{WORK}/odd[1]/token.pem", f"{HOME}/.ssh/id_ed25519",
           f"{HOME}/.netrc"]
PLAIN = [f"{WORK}/f{n}.c" for n in range(9)] + \
    [f"{WORK}/sub/g{n}.c" for n in range(9)] + \
    [f"{HOME}/n{n}" for n in range(9)]
for path in SECRETS + PLAIN + [f"{WORK}/never-read.c", f"{HOME}/never-read"]:
    write_file(path, mode=0o644)
for n in range(20):
    write_file(f"/srv/vault/key{n}.pem", mode=0o644)
    write_file(f"/srv/vault/note{n}", mode=0o644)
write_file(f"{WORK}/allowed.key", mode=0o644)
gatekeeper.reload(config(files=f'read = [ "{WORK}/allowed.key" ];'))
tap.equal("looked at again", leash("mode", "observe")[0], 0)
time.sleep(1)
begun = time.time()
for path in SECRETS + PLAIN + [f"/srv/vault/note{n}" for n in range(20)]:
    as_user(PUPPY, lambda: open_close(path))
for folder in (WORK, f"{WORK}/sub", HOME, "/srv/vault"):
    as_user(PUPPY, lambda: os.listdir(folder))
settle()
code, text = leash("learn", "--since", f"{time.time() - begun + 0.5:.0f}s",
                   "--apply")
tap.check("learned beside secrets", code == 0 and "file.deny" in
          open(LOCAL).read().replace("files.deny", "file.deny"), text)
tap.check("the folder of too many is not learned whole",
          'path = "/srv/vault";' not in text and "/srv/vault: a rule for it "
          "would open the secrets below" in text, text)
tap.check("the home neither", f'path = "{HOME}";' not in text)
tap.equal("enforced", leash("mode", "enforce")[0], 0)
tap.equal("what was read may be read", [
    path for path in PLAIN if as_user(
        PUPPY, lambda: open_close(path)) != "ok"], [])
tap.equal("the folder is learned whole",
          as_user(PUPPY, lambda: open_close(f"{WORK}/never-read.c")), "ok")
tap.equal("the secrets stay closed", [
    path for path in SECRETS + ["/srv/vault/key1.pem"] if as_user(
        PUPPY, lambda: open_close(path)) != "EPERM"], [])
tap.equal("the rest of the home, too",
          as_user(PUPPY, lambda: open_close(f"{HOME}/never-read")), "EPERM")
tap.equal("what a rule allows stays allowed",
          as_user(PUPPY, lambda: open_close(f"{WORK}/allowed.key")), "ok")
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
