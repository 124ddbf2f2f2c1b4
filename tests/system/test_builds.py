"""builds: what an account builds beside 2, 30 and 500 busy processes of others
and of its own, with file gates being killed all the while: not one refusal of
what is allowed, the same bytes as without a leash, and of what is denied
nothing that succeeds.

LEASH_SECONDS is how long it goes on (soaks: ./check --long).
"""

import hashlib
import random
import shutil

from harness import *

SECONDS = float(os.environ.get("LEASH_SECONDS", "45"))
LONG = SECONDS > 120
DENIED_WANTED = 100000 if SECONDS >= 1800 else 30 * int(min(SECONDS, 600))
CROWDS = (2, 30, 500)
OPEN, SECRET = f"{BOX}/other/file", f"{BOX}/box/file"
TRUE, DENIED = "/usr/bin/true", "/srv/denied/true"
SOURCES = 12

tap = Tap()
bad = {kind: [] for kind in ("failed", "differ", "refused", "passed",
                             "another user's")}
chance = random.Random(int(os.environ.get("LEASH_SEED", "1")))
write_file(SECRET, mode=0o644)
write_file(OPEN, mode=0o644)
os.makedirs("/srv/denied", exist_ok=True)
shutil.copy(TRUE, DENIED)
POLICY = config(
    files=f'read = [ "{BOX}/other", "/srv/source", "/proc" ]; '
          'write = [ "/home/puppy", "/tmp", "/dev/null" ];',
    programs=f'list = [ "{PROBE}", "/home/puppy", "/usr/bin", "/usr/lib/gcc", '
             '"/usr/libexec/gcc" ];', profiles='"base", "python"')


# ---- what is built


def write_project():
    """A library of small functions and its program, by make; 300 short
    commands by sh; and what Python writes and runs."""
    for n in range(SOURCES):
        write_file(f"/srv/source/part{n}.h",
                   f"#pragma once\nint part{n}(int x);\n", 0o644)
        write_file(f"/srv/source/part{n}.c", f"""#include <stdio.h>
#include <string.h>
#include "part{n}.h"
#include "part{(n + 1) % SOURCES}.h"
int part{n}(int x)
{{
	char text[64];

	snprintf(text, sizeof(text), "{n}:%d", x);
	return x > {n + 2} ? part{(n + 1) % SOURCES}(x / 2) : (int)strlen(text);
}}
""", 0o644)
    write_file("/srv/source/main.c", """#include <stdio.h>
#include "part0.h"
int main(void)
{
	for (int i = 0; i < 100; i++)
		printf("%d\\n", part0(i * 37));
	return 0;
}
""", 0o644)
    write_file("/srv/source/Makefile", f"""
parts = $(foreach n,$(shell seq 0 {SOURCES - 1}),part$(n).o)
all: said
%.o: /srv/source/%.c
	gcc -O1 -I/srv/source -c -o $@ $<
parts.a: $(parts)
	ar rcD $@ $(parts)
program: main.o parts.a
	gcc -o $@ main.o parts.a
said: program
	./program > $@
""", 0o644)
    lines = ["set -eu"]
    for n in range(60):  # five commands each
        lines.append(f"echo line {n} | sha1sum | cut -c1-8 >> out.{n % 5}")
        lines.append(f"/usr/bin/true && expr {n} + 1 > last")
    write_file("/srv/source/script.sh", "\n".join(lines) + "\n", 0o644)
    write_file("/srv/source/script.py", """import hashlib, json, subprocess
found = {}
for n in range(20):
    said = subprocess.run(["/usr/bin/expr", str(n + 1), "*", "7"],
                          stdout=subprocess.PIPE, check=True).stdout
    found[n] = hashlib.sha256(said).hexdigest()
    with open(f"python.{n}", "wb") as out:
        out.write(said)
json.dump(found, open("python.json", "w"))
""", 0o644)


STEPS = (["make", "-j2", "-f", "/srv/source/Makefile"],
         ["sh", "/srv/source/script.sh"],
         ["/usr/bin/python3", "/srv/source/script.py"])


def digest(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(f"{folder}/{name}", "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def build(uid, home, number):
    """Its output's digest, and what went wrong."""
    folder = f"{home}/build{number}"
    os.makedirs(folder)
    os.chown(folder, uid, uid)
    wrong = []
    for step in STEPS:
        try:
            done = subprocess.run(
                step, cwd=folder, capture_output=True, text=True, timeout=600,
                env={"PATH": "/usr/bin:/bin", "HOME": home, "LC_ALL": "C"},
                preexec_fn=lambda: become(uid))
        except OSError as error:
            wrong.append(f"{step[0]}: {error}")
            continue
        if done.returncode or done.stderr:
            wrong.append(f"{step[0]}: {done.returncode} {done.stderr[-600:]}")
    out = digest(folder)
    shutil.rmtree(folder)
    return out, wrong


# ---- what goes on meanwhile


class Killer:
    """Kills a gate or their main process, every 100 to 500 ms, once they are
    all there again: the last gate of all is nobody's to replace."""

    def __init__(self, service):
        self.service, self.strikes, self.ending = service, 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending:
            time.sleep(chance.uniform(0.1, 0.5))
            if not self.service.is_whole():
                continue
            pid = chance.choice(self.service.gates())
            try:
                os.kill(pid, signal.SIGKILL)
                self.strikes += 1
            except (ProcessLookupError, TypeError):
                pass

    def stop(self):
        self.ending = True
        self.thread.join()


def crowd(count):
    """Half of it is another user's, half the account's; half of each opens,
    half runs.  What all of it does in a second is the same for each count:
    thousands of opens, hundreds of programs, but no more than a third of what
    one alone can do here, or whatever comes would wait behind all of them.
    They begin together: the last of hundreds would be minutes in starting
    beside those that are at it."""
    found = []
    for n in range(count):
        uid, what = (KITTEN, PUPPY)[n % 2], ("open", "run")[n // 2 % 2]
        sign = "-" if uid == PUPPY else "+"
        paths = (f"+{OPEN}", f"{sign}{SECRET}") if what == "open" else (
            f"+{TRUE}", f"{sign}{DENIED}")
        try:
            found.append(Witness(uid, what, *paths,
                                 pause_us=count * every_us[what]))
        except PermissionError as error:
            bad["another user's" if uid == KITTEN else "refused"].append(
                f"beside {count}: {error}")
            continue
        found[-1].process.send_signal(signal.SIGSTOP)
    for witness in found:
        witness.process.send_signal(signal.SIGCONT)
    return found


# ----

write_project()
for uid, home in ((KITTEN, "/home/kitten"), (PUPPY, "/home/puppy")):
    os.chown(home, uid, uid)
wanted, wrong = build(KITTEN, "/home/kitten", 0)
tap.check("an unleashed build", not wrong and len(wanted) > 40,
          f"{wrong} {sorted(wanted)}")
service = Service(POLICY)
tap.check("begins", service.wait_whole())
service.wait_ready()
out, wrong = build(PUPPY, "/home/puppy", 0)
tap.check("a build with nothing beside it", not wrong, "\n".join(wrong))
tap.check("and it is the same", out == wanted)

alone = {what: Witness(KITTEN, what, f"+{path}")
         for what, path in (("open", OPEN), ("run", TRUE))}
every_us = {}
for what, least in (("open", 17), ("run", 4000)):
    before = alone[what].read().counts[0], time.monotonic()
    time.sleep(1)
    each_us = (time.monotonic() - before[1]) * 1e6 / max(
        1, alone[what].read().counts[0] - before[0])
    every_us[what] = max(least, round(3 * each_us))
for witness in alone.values():
    witness.finish()
print(f"# one of a crowd acts every so many us: {every_us}")

killer = Killer(service)
begin, builds, tried_denied, rounds = time.monotonic(), 0, 0, 0
while rounds < len(CROWDS) or time.monotonic() - begin < SECONDS or \
        tried_denied < DENIED_WANTED:
    count = CROWDS[rounds % len(CROWDS)]
    rounds += 1
    beside = crowd(count)
    deniers = [Witness(PUPPY, "open", f"-{SECRET}", pause_us=500),
               Witness(PUPPY, "run", f"-{DENIED}", pause_us=2000)]
    round_end = time.monotonic() + SECONDS / (20 if LONG else 3) / 2
    while True:
        builds += 1
        out, wrong = build(PUPPY, "/home/puppy", builds)
        if wrong:
            bad["failed"].append(f"beside {count}: {wrong}")
        elif out != wanted:
            bad["differ"].append(f"beside {count}: " + " ".join(
                name for name in set(out) | set(wanted)
                if out.get(name) != wanted.get(name)))
        if time.monotonic() > round_end:
            break
    for witness in beside + deniers:
        witness.process.terminate()
    for witness in beside + deniers:
        witness.finish()
        for entry in witness.wrong:
            kind = "another user's" if witness.uid == KITTEN else \
                "passed" if entry[0][0] == "-" else "refused"
            bad[kind].append(f"beside {count}: {witness.what} {entry}")
        tried_denied += sum(
            n for n, path in zip(witness.counts, witness.paths)
            if path[0] == "-")
        os.close(witness.reader)
        witness.file.close()
    print(f"# beside {count}: {builds} builds so far, {killer.strikes} gates "
          f"killed, {tried_denied} denied; " +
          ", ".join(f"{len(of)} {name}" for name, of in bad.items()),
          flush=True)
killer.stop()


def none(name, kind):
    tap.check(name, not bad[kind],
              "\n".join([f"{len(bad[kind])} times"] + bad[kind][:10]))


none(f"{builds} builds: none fails", "failed")
none("and all are the same as the unleashed", "differ")
none("nothing that is allowed was refused to the account", "refused")
none(f"of {tried_denied} denied opens and execs none succeeded", "passed")
none("another user was never refused", "another user's")
tap.check("gates were killed all the while", killer.strikes > SECONDS / 3,
          killer.strikes)
tap.check("gatekeeper never had to be started again", service.starts == 1,
          service.words()[-2000:])
tap.check("ends whole", service.wait_whole())
tap.equal("stops cleanly", service.stop(), 0)
tap.finish()
