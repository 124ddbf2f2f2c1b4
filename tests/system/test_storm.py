"""Very many at once: threads, processes, rules."""

import os
import subprocess

from harness import *

FILE, OTHER = f"{BOX}/box/file", f"{BOX}/other/file"
THREADS = 17000

tap = Tap()
write_file(FILE)
write_file(OTHER, mode=0o644)
WRITABLE = f"{BOX}/other/writable"
write_file(WRITABLE, mode=0o666)
READ_OTHER = f'read = [ "{BOX}/other" ];'
gatekeeper = Gatekeeper(config(files=READ_OTHER))


def storm(uid, path, threads=THREADS):
    # Minutes, were the gate one of a crowd: each answer wakes every thread
    # that waits for one.
    return run_as(uid, [PROBE, "storm", str(threads), path], seconds=300)


def schedulings():
    return {os.sched_getscheduler(int(pid)) for pid in subprocess.run(
        ["pgrep", "-x", "leash-fanotify"], capture_output=True,
        text=True).stdout.split()}


tap.equal(f"{THREADS} threads open what is denied: none is let through",
          storm(PUPPY, FILE), f"0 {THREADS} 0")
tap.equal("4000 threads open what is allowed: none is refused",
          storm(PUPPY, OTHER, 4000), "4000 0 0")
tap.equal("then the gate is a process like any other",
          schedulings(), {os.SCHED_OTHER})
# Where modes allow writing and the policy reading only, each thread must have
# gone to sleep before it can be told apart; so many are waited for.
tap.equal("500 threads read what they might write: none is refused",
          run_as(PUPPY, [PROBE, "storm", "500", WRITABLE]), "500 0 0")
tap.equal("4000 of another user: none is refused",
          storm(KITTEN, FILE, 4000), "4000 0 0")

# So must one that for long has no processor to go to sleep by: woken, the gate
# takes its only one away, and then another process has it.
def read_starved(processor):
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    longest, end = 0, time.monotonic() + 8
    while time.monotonic() < end:
        begin = time.monotonic()
        open_close(WRITABLE)
        longest = max(longest, time.monotonic() - begin)
    return longest


def starve(processor, seconds):
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {processor})
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        os._exit(0)
    return pid


processor = min(os.sched_getaffinity(0))
everywhere = os.sched_getaffinity(0)
for pid in gatekeeper.pids("leash-fanotify"):
    os.sched_setaffinity(pid, {processor})
wait = meanwhile(PUPPY, lambda: [time.sleep(1), read_starved(processor)][1])
time.sleep(0.5)
burner = starve(processor, 16)
took = wait()
os.waitpid(burner, 0)
for pid in gatekeeper.pids("leash-fanotify"):
    os.sched_setaffinity(pid, everywhere)
print(f"# a starved thread's longest open: {took} s")
tap.check("a thread without a processor reads what it might write: not "
          "refused", isinstance(took, float), took)

# Two users fork at once in a PID space so small that each number is used
# again and again: a verdict for the wrong process would show in either.
# No mount namespace: what is opened through one of its own is denied.
SMALL = ["unshare", "--pid", "--fork", "sh", "-c"]
limited = os.path.exists("/proc/sys/kernel/pid_max") and subprocess.run(
    SMALL + ["echo 400 > /proc/sys/kernel/pid_max && "
             "test $(cat /proc/sys/kernel/pid_max) = 400"],
    capture_output=True).returncode == 0
body = (("echo 400 > /proc/sys/kernel/pid_max; " if limited else "") +
        "for i in 1 2; do "
        f"setpriv --reuid {PUPPY} --regid {PUPPY} --clear-groups {PROBE} "
        f"forks 6 {FILE} 1 & "
        f"setpriv --reuid {KITTEN} --regid {KITTEN} --clear-groups {PROBE} "
        f"forks 6 {FILE} 0 & "
        f"setpriv --reuid {PUPPY} --regid {PUPPY} --clear-groups {PROBE} "
        f"forks 6 {OTHER} 0 & done; wait")
before = rows()[-1]["seq"]
out = subprocess.run(SMALL + [body], capture_output=True, text=True).stdout
counts = [tuple(map(int, line.split())) for line in out.splitlines()]
print(f"# forks, right and wrong: {counts}; small pid space: {limited}")
tap.equal("six fork storms ran", len(counts), 6)
tap.check("each forked at least 200 times",
          all(right > 200 for right, _ in counts), counts)
tap.equal("and no process had another's verdict",
          sum(wrong for _, wrong in counts), 0)
tap.equal("no verdict was written down for another user",
          len(rows("seq > ? AND uid NOT IN (?, 0) AND kind != 'daemon'",
                   before, PUPPY)), 0)

tap.equal("the gates are the same as at the start",
          gatekeeper.file_gates(), 1)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
