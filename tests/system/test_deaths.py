"""deaths: every process of ours killed, crashed and stopped, alone and in
pairs, on two busy cores, while two users open files and run programs.

LEASH_SECONDS is how long the random part goes on (soaks: ./check --long).
What a witness (probe.c) finds wrong or slow it says with its time, so that
each case is judged by what happened in it.  Of a shell it is what its beginning
waited for gates: an exec waits for much else, such as a page that the kernel is
just taking back.
"""

import random
import shutil

from harness import *

SECONDS = float(os.environ.get("LEASH_SECONDS", "15"))
LONG = SECONDS > 120
WATCHDOG_S = 10 if LONG else 3
SEED = int(os.environ.get("LEASH_SEED", "1"))
REPLACED_MS = 1100  # somebody's open while a gate is replaced
ABOVE_MS = 50  # and at any other time, above what it is without us
OPEN, SECRET = f"{BOX}/other/file", f"{BOX}/box/file"
TRUE, DENIED = "/usr/bin/true", "/srv/denied/true"
SHELL = "/bin/sh"
LEASE = "/usr/local/share/holds_leases.py"

tap = Tap()
chance = random.Random(SEED)
write_file(SECRET, mode=0o644)
write_file(OPEN, mode=0o644)
os.makedirs("/srv/denied", exist_ok=True)
os.makedirs(os.path.dirname(LEASE), exist_ok=True)
shutil.copy(os.path.join(os.environ["ARENA_SOURCE"], "tests/system",
                         os.path.basename(LEASE)), LEASE)
os.chmod(LEASE, 0o644)
shutil.copy(TRUE, DENIED)
POLICY = config(
    files=f'read = [ "{BOX}/other" ]; write = [ "/home/puppy" ];',
    programs=f'list = [ "{PROBE}", "/usr/bin" ];', profiles='"base", "python"')

# ---- the load, and the same without us

busy = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        become(KITTEN)
        while True:
            pass
    busy.append(pid)


def end_busy():
    for pid in busy:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# What it costs at that hour to wait for any process.
echo_process, ends = echo()
UNASKED = f"+={ends[0]},{ends[1]}"


def witnesses(leashed):
    """Of another user, then of the account."""
    no = "-" if leashed else "+"
    return ([Witness(KITTEN, "open", f"+{OPEN}", f"+{SECRET}",
                     UNASKED, pause_us=200, ends=ends),
             Witness(KITTEN, "watch", f"+{SHELL}", pause_us=10000)],
            [Witness(PUPPY, "open", f"+{OPEN}", f"{no}{SECRET}"),
             Witness(PUPPY, "open", f"+{OPEN}", f"{no}{SECRET}"),
             Witness(PUPPY, "run", f"+{TRUE}", f"{no}{DENIED}",
                     pause_us=2000)])


control = sum(witnesses(False), [])
time.sleep(min(max(SECONDS / 20, 4), 60))
for witness in control:
    witness.finish()
tap.equal("without us: nothing is wrong",
          [witness.wrong for witness in control], [[]] * 5)
control_open = max([ms for path, _, ms in control[0].slow
                    if path != UNASKED], default=0)
print(f"# without us, other user's worst open: {control_open:.0f} ms")
tap.equal("without us: no shell waits for a gate", control[1].slow, [])

service = Service(POLICY, watchdog_s=WATCHDOG_S)
tap.check("begins", service.wait_whole())
time.sleep(1)
others, accounts = witnesses(True)
excepted = []  # when a gate was replaced: (begin, end)
refusals = said = 0

# ---- one case


def starter():
    """It is made anew only when something is to be started."""
    found = service.children("leash-starter")
    if not found:
        for pid in service.children("leash-store"):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while not found and time.monotonic() < end:
        time.sleep(0.02)
        found = service.children("leash-starter")
    return found[0] if found else None


def who(part):
    """Its pid now."""
    if part == "gatekeeper":
        return service.pid
    if part == "starter":
        return starter()
    main, answering, spare = service.gates()
    return {"main": main, "answering": answering, "spare": spare}[part]


def send(pid, number):
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def judge(name, begin, may_refuse=False, quiet=False, replaced=1):
    """What has happened since; the next case begins with all in place."""
    global refusals, said
    whole = service.wait_whole(60)
    now = time.monotonic()
    excepted.append((begin, now + 0.2))
    going = [witness.goes_on(now) for witness in others + accounts]
    wrong = [(witness.what, *entry) for witness in others
             for entry in witness.wrong]
    passed = [(witness.what, *entry) for witness in accounts
              for entry in witness.wrong if entry[0][0] == "-"]
    refused = [(witness.what, *entry) for witness in accounts
               for entry in witness.wrong if entry[0][0] == "+"]
    opens = max([ms for path, at, ms in others[0].slow if path != UNASKED and
                 at + ms / 1000 >= begin], default=0)
    shells = others[1].slow_since(begin)
    account = max(witness.slow_since(begin) for witness in accounts[:2])
    noise = max([ms for path, at, ms in others[0].slow if path == UNASKED and
                 at + ms / 1000 >= begin], default=0)
    for witness in others + accounts:
        witness.wrong = []
    recovered = f"{whole - begin:.2f} s" if whole else "never"
    print(f"# {name}: whole after {recovered}; worst open {opens:.0f} ms "
          f"(an echo {noise:.0f}), shell {shells:.0f} ms, the account's "
          f"{account:.0f} ms; {len(refused)} refused", flush=True)
    bad = []
    if not whole:
        bad.append("does not recover: " + repr(our_processes()))
    if not all(going):
        bad.append(f"somebody waits for ever: {going}")
    if wrong:
        bad.append(f"another user was refused: {wrong[:5]}")
    if passed:
        bad.append(f"what is denied passed: {passed[:5]}")
    if refused and not may_refuse:
        bad.append(f"what is allowed was refused: {refused[:5]}")
    if opens > REPLACED_MS + noise:
        bad.append(f"another user's open took {opens:.0f} ms")
    # A shell is six opens and more; where there are several replacements one
    # may meet the first, and another the second.
    if shells > replaced * REPLACED_MS + noise:
        bad.append(f"a shell waited {shells:.0f} ms for gates to begin")
    refusals += len(refused)
    if bad or not quiet:
        tap.check(name, not bad, "\n".join(
            bad + ([service.words()[said:][-3000:]] if bad else [])))
    said = len(service.words())
    return not bad


# ---- directed: pairs

service.wait_whole()
excepted.append((0, time.monotonic()))
PARTS = ("gatekeeper", "starter", "main", "answering", "spare")
for stopped in PARTS:
    for killed in PARTS:
        if stopped == killed or (not LONG and stopped == "gatekeeper" and
                                 killed in ("starter", "spare")):
            continue
        pids = who(stopped), who(killed)
        begin = time.monotonic()
        send(pids[0], signal.SIGSTOP)
        send(pids[1], signal.SIGKILL)
        judge(f"{killed} killed, {stopped} stopped", begin)

# ---- directed: all at once; here the account may be refused, nobody else


def family():
    main, answering, spare = service.gates()
    return [pid for pid in (main, answering, spare) if pid]


for number in (signal.SIGKILL, signal.SIGSTOP):
    begin = time.monotonic()
    for pid in family():
        send(pid, number)
    judge(f"{number.name} of all file gates at once", begin, may_refuse=True)

begin = time.monotonic()
send(service.pid, signal.SIGSTOP)
for part in ("answering", "answering", "spare", "answering"):
    for pid in service.children("leash-fanotify", service.children(
            "leash-fan-main"))[:1 if part == "spare" else 2][-1:]:
        send(pid, signal.SIGKILL)
    time.sleep(0.3)
judge("gatekeeper stopped while gates are killed", begin)

begin = time.monotonic()
for turn in range(3):
    service.wait_ready()
    send(service.pid, signal.SIGHUP)
    time.sleep((0, 0.003, 0.03)[turn])
    send(service.pid, signal.SIGKILL)
    time.sleep(0.3)
judge("gatekeeper killed while a reload is under way", begin)

# A stopped main process does nothing until it is needed; that must be seen
# before it is.
main = service.gates()[0]
begin = time.monotonic()
send(main, signal.SIGSTOP)
time.sleep(3)
for _ in range(4):
    for pid in service.children("leash-fanotify", service.children(
            "leash-fan-main"))[:1]:
        send(pid, signal.SIGKILL)
    time.sleep(0.5)
judge("gates killed one after the other, the main process stopped", begin)

# ---- directed: nobody but the fallback

GATE = "/usr/libexec/leash/leash-fanotify"
begin = time.monotonic()
os.rename(GATE, GATE + ".away")
shutil.copy("/usr/bin/false", GATE)
for pid in family():
    send(pid, signal.SIGKILL)
for turn, number in enumerate((signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV,
                               signal.SIGSTOP, signal.SIGKILL)):
    time.sleep(0.7)
    end = time.monotonic() + 3
    while not service.children("leash-fallback") and time.monotonic() < end:
        time.sleep(0.01)
    struck = service.children("leash-fallback")
    tap.check(f"lockdown: a fallback answers ({turn})", struck,
              our_processes())
    if number == signal.SIGSEGV:
        for pid in service.children("leash-starter"):
            send(pid, signal.SIGSTOP)
    for pid in struck:
        send(pid, number)
os.rename(GATE + ".away", GATE)
judge("the fallback killed and stopped in lockdown", begin, may_refuse=True,
      replaced=2)

# ---- at random, with the account holding leases on files of its own

holder = subprocess.Popen(
    ["/usr/bin/python3", LEASE, "/home/puppy", "4", str(SECONDS + 600)],
    preexec_fn=lambda: become(PUPPY), cwd="/", stdout=subprocess.DEVNULL)
end = time.monotonic() + SECONDS
strikes = cases = 0
good = True
while time.monotonic() < end:
    # Some quiet, so that the law outside replacements is measured, too.
    time.sleep(chance.uniform(0, 0.5) if chance.random() < 0.8 else 1.5)
    begin = time.monotonic()
    living = our_processes()
    struck = chance.sample(living, min(chance.choice((1, 2)), len(living)))
    told = []
    for pid, name, *_ in struck:
        number = chance.choice((signal.SIGKILL, signal.SIGSTOP,
                                signal.SIGSEGV))
        send(pid, number)
        strikes += 1
        told.append(f"{number.name} {name}")
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0, 0.3))
    cases += 1
    names = [name for _, name, *_ in struck]
    # A pair never takes all of a family: only who strikes the fallback, which
    # answers where there is none, finds the account refused.
    good &= judge(" and ".join(told), begin, quiet=True, replaced=2,
                  may_refuse="leash-fallback" in names)
tap.check(f"{strikes} strikes at random in {cases} cases (seed {SEED})", good)
holder.kill()
holder.wait()

# ---- the law, outside all of that

service.wait_whole()
excepted.append((time.monotonic(), float("inf")))
tap.check("each of them recovers by itself", service.is_whole())


def outside(witness, unasked):
    """The worst while no gate was replaced."""
    return max((ms for path, at, ms in witness.read().slow
                if (path == UNASKED) == unasked and
                not any(begin <= at + ms / 1000 and at <= end
                        for begin, end in excepted)), default=0)


opens, unasked = outside(others[0], False), outside(others[0], True)
shells = outside(others[1], False)
print(f"# other user's worst outside replacements: open {opens:.0f} ms, an "
      f"echo of another process {unasked:.0f} ms, shell {shells:.0f} ms")
tap.check("another user's opens: at most 50 ms above what they wait without "
          "us", opens <= max(control_open, unasked) + ABOVE_MS)
tap.check("another user's shells, likewise",
          shells <= unasked + 2 * ABOVE_MS)
tap.check("how long a shell waits for a gate was seen",
          others[1].slow_since(0) > 2 * ABOVE_MS)
for witness in others + accounts:
    witness.finish()
counts = [witness.counts for witness in others + accounts]
print(f"# tried, in all: {counts}; gatekeeper was started {service.starts} "
      f"times; {refusals} refused by the fallback")
tap.check("each of them has tried often",
          all(min(of) > 20 for of in counts), counts)
tap.check("nothing is wrong at the end", not any(
    witness.wrong for witness in others + accounts))
tap.equal("stops cleanly", service.stop(), 0)
end_busy()
echo_process.kill()
tap.finish()
