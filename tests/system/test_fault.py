"""What may break, broken under load: helpers killed, stopped and crashed,
descriptors, disk and database gone."""

import os
import random
import signal
import sqlite3
import subprocess

from harness import *

SECONDS = float(os.environ.get("LEASH_FAULT_SECONDS", "60"))
FILE, OTHER = f"{BOX}/box/file", f"{BOX}/other/file"
SMALL_DISK = "/mnt/small"

tap = Tap()
write_file(FILE)
write_file(OTHER, mode=0o644)
POLICY = config(files=f'read = [ "{BOX}/other" ];',
                more=f'log = {{ database = "{SMALL_DISK}/log/v.db"; }};')
os.makedirs(SMALL_DISK)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "small",
                SMALL_DISK], check=True)
import harness  # noqa: E402
harness.DATABASE = f"{SMALL_DISK}/log/v.db"
gatekeeper = Gatekeeper(POLICY)


def hammer(seconds, uid=PUPPY):
    return start_as(uid, [PROBE, "hammer", str(seconds), OTHER, FILE])


def result(process):
    words = process.communicate()[0].split()
    return [int(word) for word in words[:4]] + [float(words[4])]


def healthy(name):
    """Both answers are right, now, and both gates are in place."""
    end = time.monotonic() + 8
    while (as_user(PUPPY, lambda: open_close(OTHER)) != "ok" or
           len(gatekeeper.pids("leash-fanotify")) < 2 or
           not gatekeeper.pids("leash-store")) and time.monotonic() < end:
        time.sleep(0.05)
    tap.equal(f"{name}: what is allowed opens",
              as_user(PUPPY, lambda: open_close(OTHER)), "ok")
    tap.equal(f"{name}: what is denied does not",
              as_user(PUPPY, lambda: open_close(FILE)), "EPERM")


# The answering gate, each signal once, seen by everybody.
for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP):
    load = [hammer(3), hammer(3), hammer(3, KITTEN)]
    time.sleep(1)
    os.kill(gatekeeper.active(), number)
    puppies, kitten = [result(load[0]), result(load[1])], result(load[2])
    name = f"{number.name} of the answering gate"
    print(f"# {name}: {puppies} {kitten}")
    tap.equal(f"{name}: nothing denied was opened",
              sum(counts[2] for counts in puppies), 0)
    tap.check(f"{name}: what is allowed went on",
              all(counts[0] > 500 for counts in puppies), puppies)
    tap.equal(f"{name}: another user was never refused",
              kitten[1] + kitten[3], 0)
    tap.check(f"{name}: nobody waited for over a second",
              max(counts[4] for counts in puppies + [kitten]) < 1000,
              f"{puppies} {kitten}")
    healthy(name)
tap.check("the deaths are in the log",
          len(wait_rows("note LIKE 'answering file gate%'")) >= 3)

# Any helper, at random, under load.
chance = random.Random(1)
load = [hammer(SECONDS) for _ in range(2)] + [hammer(SECONDS, KITTEN)]
end = time.monotonic() + SECONDS - 1
strikes = 0
while time.monotonic() < end:
    time.sleep(chance.uniform(0.01, 0.8))
    pids = gatekeeper.pids("leash-fanotify") + gatekeeper.pids("leash-store")
    for pid in chance.sample(pids, min(len(pids), chance.choice((1, 1, 2)))):
        try:
            os.kill(pid, chance.choice((signal.SIGKILL, signal.SIGSTOP,
                                        signal.SIGSEGV)))
            strikes += 1
        except ProcessLookupError:
            pass
puppies, kitten = [result(load[0]), result(load[1])], result(load[2])
print(f"# {strikes} strikes in {SECONDS} s: {puppies} {kitten}")
tap.check("helpers were struck often", strikes > SECONDS, strikes)
tap.equal("nothing denied was ever opened",
          sum(counts[2] for counts in puppies), 0)
tap.equal("another user was never refused", kitten[1] + kitten[3], 0)
tap.check("what is allowed went on",
          all(counts[0] > 500 * SECONDS / 10 for counts in puppies), puppies)
tap.check("nobody was ever held for over a second",
          max(counts[4] for counts in puppies + [kitten]) < 1000,
          f"{puppies} {kitten}")
time.sleep(2)
subprocess.run(["pkill", "-CONT", "leash-"])
healthy("after all that")
tap.check("the log says what happened",
          len(wait_rows("kind = 'daemon' AND (note LIKE '%file gate%' OR "
                        "note LIKE '%store%')")) > 10)


def speed(seconds=1.5):
    counts = result(hammer(seconds))
    return (counts[0] + counts[2] + counts[1] + counts[3]) / seconds, counts


def not_held_up(name, before, now, counts):
    """What would be wrong is a gate that waits for what is broken: that is
    hundreds of times slower.  A gate that sleeps between questions because
    somebody else wants the processor (gatekeeper/base/busy_poll.h) is five
    times slower than one that need not, and not held up.  How fast it is,
    bench/run tells."""
    tap.check(f"{name}: not held up",
              now > before / 20 and counts[4] < 1000,
              f"{before:.0f} {now:.0f} a second, longest {counts[4]} ms")



# Descriptors: the gate shares out what it may have, so it never runs out,
# which the kernel would answer by refusing whoever asked.
normal, _ = speed()
gatekeeper.stop()
gatekeeper = Gatekeeper(POLICY, command=[
    "prlimit", "--nofile=80:80", "gatekeeper", "--foreground", "--config",
    CONFIG], log="/mnt/few.log")
few, counts = speed()
print(f"# opens a second: {normal:.0f}; with 80 descriptors: {few:.0f}")
not_held_up("with 80 descriptors", normal, few, counts)
for uid, path, want in ((PUPPY, OTHER, "3000 0 0"), (PUPPY, FILE, "0 3000 0"),
                        (KITTEN, FILE, "3000 0 0")):
    tap.equal(f"with 80 descriptors, 3000 threads at once, {uid} {path}",
              run_as(uid, [PROBE, "storm", "3000", path]), want)
tap.check("and the gate never ran out of them",
          "cannot hand over" not in gatekeeper.words(), gatekeeper.words())
gatekeeper.stop()
gatekeeper = Gatekeeper(POLICY, log="/mnt/many.log")

# The database locked by another process: verdicts go on.
free, _ = speed()
lock = sqlite3.connect(harness.DATABASE, isolation_level=None, timeout=20)
lock.execute("BEGIN EXCLUSIVE")
seen = lock.execute("SELECT max(seq) FROM log").fetchone()[0]
locked, counts = speed(10)
print(f"# opens a second: {free:.0f} free, {locked:.0f} locked")
tap.equal("database locked for 10 s: nothing denied opens", counts[2], 0)
tap.equal("database locked for 10 s: nothing allowed is refused", counts[1],
          0)
not_held_up("database locked for 10 s", free, locked, counts)
lock.execute("COMMIT")
lock.close()
tap.check("what happened meanwhile is written afterwards",
          wait_rows("seq > ? AND target = ?", seen, FILE))
tap.check("and how long it could not be",
          wait_rows("note LIKE 'the log could not be written%locked%'"))

# The database taken away.
for suffix in ("", "-wal", "-shm"):
    os.unlink(harness.DATABASE + suffix)
gone, counts = speed(2)
tap.equal("database removed: nothing denied opens", counts[2], 0)
tap.equal("database removed: nothing allowed is refused", counts[1], 0)
tap.check("a new one is begun", wait_rows("target = ?", FILE))

# The database damaged.
os.kill(gatekeeper.pids("leash-store")[0], signal.SIGSTOP)
for suffix in ("-wal", "-shm"):
    os.unlink(harness.DATABASE + suffix)
with open(harness.DATABASE, "r+b") as out:
    out.write(b"this is no database" * 5000)
os.kill(gatekeeper.pids("leash-store")[0], signal.SIGKILL)
time.sleep(1)
as_user(PUPPY, lambda: open_close(FILE))
tap.check("a damaged one is set aside and a new one begun",
          wait_rows("target = ?", FILE) and
          any(".damaged-" in name
              for name in os.listdir(f"{SMALL_DISK}/log")))

# The store cannot be started at all.
STORE = "/usr/libexec/leash/leash-store"
os.rename(STORE, STORE + ".away")
os.kill(gatekeeper.pids("leash-store")[0], signal.SIGKILL)
without, counts = speed(3)
tap.equal("no store: nothing denied opens", counts[2], 0)
tap.equal("no store: nothing allowed is refused", counts[1], 0)
os.rename(STORE + ".away", STORE)
time.sleep(1.5)
healthy("the store back")

# The disk full.
ballast = os.open(f"{SMALL_DISK}/ballast", os.O_CREAT | os.O_WRONLY)
size, step = 0, 1 << 28
while step >= 4096:
    try:
        os.posix_fallocate(ballast, size, step)
        size += step
    except OSError:
        step //= 2
os.close(ballast)
full, counts = speed(6)
print(f"# opens a second: {free:.0f} free, {full:.0f} with a full disk")
tap.equal("disk full: nothing denied opens", counts[2], 0)
tap.equal("disk full: nothing allowed is refused", counts[1], 0)
not_held_up("disk full", free, full, counts)
os.unlink(f"{SMALL_DISK}/ballast")
tap.check("rows resume when there is room",
          wait_rows("note LIKE 'the log could not be written%full%'",
                    seconds=15))
healthy("at the end")
tap.equal("stops cleanly", gatekeeper.stop(), 0)
print("# " + "\n# ".join(sorted(set(
    line for line in gatekeeper.words().splitlines()
    if "error" in line or "warning" in line))[:20]))
tap.finish()
