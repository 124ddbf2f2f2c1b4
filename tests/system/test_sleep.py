"""The machine goes to sleep while everybody opens files (gatekeeper/sleep/sleep.h).

Anywhere: whoever opens /sys/power/state for writing is prepared for, and may
think better of it.  Really asleep, as far as the kernel's own test goes (its
freezer), is only the emulated machine of tests/lab/boot: LEASH_SLEEPS times,
and a few times unprepared, which must fail there.
"""

import contextlib
import ctypes
import glob
import mmap
import struct
import threading

from harness import *

STATE, CGROUPS = "/sys/power/state", "/sys/fs/cgroup"
FINE, SECRET, ICE = (f"{BOX}/{name}" for name in ("fine", "secret", "ice"))
OPENERS = 8
EMULATED = "LEASH_SLOW" in os.environ and os.path.exists("/sys/power/pm_test")
ROUNDS = int(os.environ.get("LEASH_SLEEPS", "10"))
LIBC = ctypes.CDLL(None)
SYS_EXIT = 60 if os.uname().machine == "x86_64" else 93

tap = Tap()


def give_up(why):
    tap.skip("the machine goes to sleep", why)
    tap.finish()
    sys.exit()


if not os.access(STATE, os.W_OK):
    give_up(f"{STATE} is not there")
if subprocess.run(["mount", "-t", "cgroup2", "none", CGROUPS]).returncode:
    give_up("there is no cgroup v2 to be had")
if not EMULATED:
    # Since 6.9 there is nothing to prepare for: be told of an older one.
    os.environ["LEASH_PREFIX"] = "setarch --uname-2.6"

for folder in (FINE, SECRET):
    for number in range(4):
        write_file(f"{folder}/{number}", mode=0o644)
POLICY = config(files=f'read = [ "/" ]; write = [ "{ICE}" ];'
                f'deny = [ "{SECRET}" ];', profiles="")


def status():
    return json.loads(subprocess.run(["leash", "status", "--json"],
                                     capture_output=True, text=True).stdout)


class Openers:
    """Processes that open files all the time, in a cgroup of their own."""

    def __init__(self):
        self.counts = mmap.mmap(-1, 4096 * 8)
        self.cgroup = f"{CGROUPS}/leash-test-{os.getpid()}-{id(self)}"
        os.mkdir(self.cgroup)
        self.pids = [self.start(self.open, uid, number)
                     for number, uid in enumerate([PUPPY] * OPENERS +
                                                  [KITTEN] * OPENERS)]

    def start(self, function, uid, *arguments):
        pid = os.fork()
        if pid == 0:
            try:
                with open(f"{self.cgroup}/cgroup.procs", "w") as procs:
                    procs.write("0")
                become(uid)
                function(uid, *arguments)
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        return pid

    def put(self, number, *values):
        struct.pack_into("4Q", self.counts, number * 64, *values)

    def get(self, number):
        return struct.unpack_from("4Q", self.counts, number * 64)

    def open(self, uid, number):
        opened = refused = broken = forked = 0
        while True:
            try:
                open_close(f"{FINE}/{number % 4}")
                opened += 1
            except OSError:
                refused += 1
            if uid == PUPPY:
                try:
                    open_close(f"{SECRET}/{number % 4}")
                    broken += 1
                except OSError:
                    pass
            # One that is never the same process for long.
            if number == 0 and opened % 16 == 0:
                if os.fork():
                    os._exit(0)
                forked += 1
            self.put(number, opened, refused, broken, forked)

    def opened(self, uid):
        first = 0 if uid == PUPPY else OPENERS
        return [self.get(number)[0] for number in range(first, first + OPENERS)]

    def go_on(self, uid, seconds=PATIENCE_S):
        """Whether each of uid's opens something more within that time."""
        before, end = self.opened(uid), time.monotonic() + seconds
        while time.monotonic() < end:
            if all(b > a for a, b in zip(before, self.opened(uid))):
                return True
            time.sleep(0.02)
        return False

    def stand_still(self, uid):
        before = self.opened(uid)
        time.sleep(0.5)
        return self.opened(uid) == before

    def total(self, uid, index):
        first = 0 if uid == PUPPY else OPENERS
        return sum(self.get(number)[index]
                   for number in range(first, first + OPENERS))

    @contextlib.contextmanager
    def quiet(self):
        """Emulated processors stick in a function that the kernel patches
        while all are in it, as where the mount guard comes and goes."""
        with open(f"{self.cgroup}/cgroup.freeze", "w") as freeze:
            freeze.write("1" if EMULATED else "0")
        end = time.monotonic() + PATIENCE_S
        while EMULATED and time.monotonic() < end:
            with open(f"{self.cgroup}/cgroup.events") as events:
                if "frozen 1" in events.read():
                    break
            time.sleep(0.02)
        yield
        with open(f"{self.cgroup}/cgroup.freeze", "w") as freeze:
            freeze.write("0")

    def in_place(self):
        with open(f"{self.cgroup}/cgroup.procs") as procs:
            return len(procs.read().split())

    def end(self):
        with open(f"{self.cgroup}/cgroup.kill", "w") as kill:
            kill.write("1")
        for pid in self.pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        # The one that is never the same is init's to bury.
        for _ in range(500):
            with contextlib.suppress(OSError):
                for path in glob.glob(f"{self.cgroup}/*/"):
                    os.rmdir(path)
                os.rmdir(self.cgroup)
                return
            time.sleep(0.01)


def left():
    return glob.glob(f"{openers.cgroup}/**/leash-sleep.*", recursive=True)


def wait_left(seconds=PATIENCE_S):
    """What is still there of ours when all ought to be taken away."""
    end = time.monotonic() + seconds
    while left() and time.monotonic() < end:
        time.sleep(0.02)
    return left()


@contextlib.contextmanager
def about_to_sleep():
    """In a process of its own, so that whoever is started meanwhile, and may
    be frozen, does not have the file open, too."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.open(STATE, os.O_WRONLY | os.O_TRUNC)
        os.write(writer, b"x")
        signal.pause()
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def first_thread_ends(uid):
    """Its number stays a zombie's, other threads go on opening."""
    number = 2 * OPENERS
    opened = 0

    def go_on():
        nonlocal opened
        for _ in range(8):
            open_close(f"{FINE}/0")
            opened += 1
            openers.put(number, opened, 0, 0, 0)
        threading.Thread(target=go_on).start()
    threading.Thread(target=go_on).start()
    LIBC.syscall(SYS_EXIT, 0)


gatekeeper = Gatekeeper(POLICY)
guarded = status()["new_mounts"] == "closed"
openers = Openers()
openers.pids.append(openers.start(first_thread_ends, PUPPY))

tap.equal("status says that sleep is prepared for", status()["sleep"],
          "prepared")
tap.check("all open files", openers.go_on(PUPPY) and openers.go_on(KITTEN))
with about_to_sleep():
    begun = time.monotonic()
    tap.check("before sleep the account stands still",
              openers.stand_still(PUPPY), openers.opened(PUPPY))
    tap.check("others go on", openers.go_on(KITTEN))
    before = openers.get(2 * OPENERS)
    time.sleep(0.3)
    tap.check("so does not a process whose first thread has ended",
              before[0] > 0 and openers.get(2 * OPENERS) == before, before)
    tap.equal("status says so", status()["sleep"], "under way")
    os.kill(gatekeeper.active(), signal.SIGSTOP)
    tap.check("others do not wait for a gate", openers.go_on(KITTEN, 3))
    os.kill(gatekeeper.active(), signal.SIGCONT)
    late = [meanwhile(PUPPY, open_close, f"{SECRET}/{number}")
            for number in range(4)]
    time.sleep(0.5)
late = [wait() for wait in late]
if guarded:
    # At once, or by a gate because it was found and frozen before.
    tap.check("who becomes the account meanwhile is refused",
              set(late) <= {"EACCES", "EPERM"}, late)
else:
    tap.skip("who becomes the account meanwhile is refused", "no mount guard")
tap.check("afterwards the account goes on", openers.go_on(PUPPY))
tap.equal("nothing of ours is left", wait_left(), [])
tap.check("all are where they were", openers.in_place() >= 2 * OPENERS)
tap.equal("what is denied is refused",
          as_user(PUPPY, open_close, f"{SECRET}/0"), "EPERM")
tap.equal("what is allowed is not",
          as_user(PUPPY, open_close, f"{FINE}/0"), "ok")

# Who has no say in it.
noted = gatekeeper.words().count("going to sleep")
for uid, flags in ((ROOT, os.O_RDONLY), (PUPPY, os.O_RDONLY),
                   (KITTEN, os.O_RDONLY), (PUPPY, os.O_WRONLY)):
    as_user(uid, open_close, STATE, flags)
time.sleep(0.5)
tap.equal("reading, and whoever may not write, stops nobody",
          gatekeeper.words().count("going to sleep"), noted)

# Killed meanwhile.
with about_to_sleep():
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    tap.check("gatekeeper killed: the account stays frozen",
              openers.stand_still(PUPPY), gatekeeper.words())
    tap.check("others go on", openers.go_on(KITTEN))
with openers.quiet():
    gatekeeper = Gatekeeper(POLICY, log="/mnt/second.log")
    time.sleep(0.2)
tap.check("the next one thaws it", openers.go_on(PUPPY))
tap.equal("nothing of ours is left", wait_left(), [])

tap.equal("until now nothing denied was opened, and nothing else refused",
          [openers.total(PUPPY, 2), openers.total(PUPPY, 1),
           openers.total(KITTEN, 1)], [0, 0, 0])
with about_to_sleep():
    with openers.quiet():
        gatekeeper.stop()
    tap.check("a stop thaws", openers.go_on(PUPPY))
broken = openers.total(PUPPY, 2)
tap.check("and takes the leash off", broken > 0)
with openers.quiet():
    gatekeeper = Gatekeeper(POLICY, log="/mnt/third.log")
tap.equal("until it is put on again", as_user(
    PUPPY, open_close, f"{SECRET}/0"), "EPERM")

with about_to_sleep():
    gatekeeper.process.send_signal(signal.SIGUSR1)
    gatekeeper.process.wait()
    tap.check("gatekeeper gone for a restart: the account stays frozen",
              openers.stand_still(PUPPY), gatekeeper.words())
with openers.quiet():
    subprocess.run(["gatekeeper", "--take-off"], check=True,
                   stdout=subprocess.DEVNULL)
    time.sleep(0.2)
tap.check("--take-off thaws it",
          openers.go_on(PUPPY) and not left())
openers.end()
gatekeeper = Gatekeeper(POLICY, log="/mnt/fourth.log")
openers = Openers()

# As systemd does it since 254: its cgroup is frozen before we hear of it.
def freeze_by_manager(value):
    with open(f"{openers.cgroup}/cgroup.freeze", "w") as freeze:
        freeze.write(value)


freeze_by_manager("1")
with about_to_sleep():
    tap.equal("a manager has frozen it before: status says so, too",
              status()["sleep"], "under way")
time.sleep(0.5)
tap.check("it is thawed by none but the manager", openers.stand_still(PUPPY))
freeze_by_manager("0")
tap.check("and then goes on", openers.go_on(PUPPY) and not left())
tap.check("nobody was left out",
          "could not be frozen" not in gatekeeper.words())


def goes_on(number):
    before, end = openers.get(number)[0], time.monotonic() + PATIENCE_S
    while openers.get(number)[0] <= before and time.monotonic() < end:
        time.sleep(0.02)
    return openers.get(number)[0] > before


# What an account may do in cgroups of its own.
own = f"{openers.cgroup}/leash-sleep.0123456789abcdef"
os.mkdir(own)
for name in ("", "/cgroup.procs", "/cgroup.freeze"):
    os.chown(own + name, PUPPY, PUPPY)
hidden = 2 * OPENERS
openers.pids.append(os.fork())
if not openers.pids[-1]:
    with open(f"{own}/cgroup.procs", "w") as procs:
        procs.write("0")
    become(PUPPY)
    openers.open(PUPPY, hidden)
tap.check("one opens files in a cgroup of the account's", goes_on(hidden))
with about_to_sleep():
    before = openers.get(hidden)
    time.sleep(0.3)
    tap.equal("that is named like ours: that saves nobody",
              openers.get(hidden), before)
    tap.check("and ours in it is not the account's",
              as_user(KITTEN, lambda: [os.stat(path).st_uid
                                       for path in left() if path != own]) ==
              [0, 0])

tap.check("who was there goes on", goes_on(hidden))
tap.check("and it is left alone", os.path.isdir(own))


def hop(uid):
    """Never the same process for two opens: hard to catch."""
    broken = 0
    while True:
        try:
            open_close(f"{SECRET}/0")
            broken += 1
        except OSError:
            pass
        openers.put(hidden + 1, broken, 0, 0, 0)
        if os.fork():
            os._exit(0)


hopping = [openers.start(hop, PUPPY) for _ in range(3)]
openers.pids += hopping
for _ in range(3):
    with about_to_sleep():
        time.sleep(0.3)
tap.equal("who is hard to catch opens nothing denied",
          openers.get(hidden + 1)[0], 0)
openers.end()
openers = Openers()

# One who cannot be frozen, in a filesystem that is.
os.makedirs(ICE)
with open("/mnt/image", "wb") as out:
    out.truncate(16 << 20)
subprocess.run(["mkfs.ext4", "-q", "/mnt/image"], check=True)
subprocess.run(["mount", "-o", "loop", "/mnt/image", ICE], check=True)
os.chmod(ICE, 0o777)
gatekeeper.wait_for(f"covered: {ICE}")
subprocess.run(["fsfreeze", "--freeze", ICE], check=True)
stuck = meanwhile(PUPPY, open_close, f"{ICE}/new", os.O_CREAT | os.O_WRONLY)
time.sleep(0.5)
begun = time.monotonic()
with about_to_sleep():
    waited = time.monotonic() - begun
    gatekeeper.wait_for("could not be frozen")
    tap.check("who cannot be frozen holds it up for a few seconds",
              2 < waited < 8 * float(os.environ.get("LEASH_SLOW", 1)), waited)
    late = meanwhile(PUPPY, open_close, f"{SECRET}/0")
    time.sleep(0.5)
tap.check("and nobody may open what is denied", late() in ("EACCES", "EPERM"))
subprocess.run(["fsfreeze", "--unfreeze", ICE], check=True)
tap.check("it ends", stuck() in ("ok", "EACCES"))
subprocess.run(["umount", ICE], check=True)
tap.check("the account goes on", openers.go_on(PUPPY))
tap.equal("nothing of ours is left", wait_left(), [])


def sleep_once():
    """Whether the kernel could freeze everybody."""
    try:
        with open(STATE, "w") as state:
            state.write("freeze\n")
    except OSError:
        return False
    return True


def sleep_all(times):
    return sum(sleep_once() for _ in range(times))


if EMULATED:
    for path, value in (("/sys/power/pm_test", "freezer"),
                        ("/sys/module/suspend/parameters/pm_test_delay", "0")):
        with open(path, "w") as out:
            out.write(value)
    slept = 0
    for _ in range(ROUNDS):
        slept += sleep_once()
        openers.go_on(PUPPY)
    tap.equal(f"of {ROUNDS} times, the machine could sleep", slept, ROUNDS)
    tap.check("afterwards the account goes on", openers.go_on(PUPPY))
    tap.check("so do others", openers.go_on(KITTEN))
else:
    tap.skip(f"of {ROUNDS} times, the machine could sleep",
             "only where it is emulated (tests/lab/boot)")
tap.equal("nothing denied was opened", openers.total(PUPPY, 2), 0)
tap.equal("nothing allowed was refused",
          [openers.total(uid, 1) for uid in (PUPPY, KITTEN)], [0, 0])
tap.check("one process after the other", openers.get(0)[3] > 3)
tap.equal("nothing of ours is left", wait_left(), [])
tap.equal("what is denied is refused",
          as_user(PUPPY, open_close, f"{SECRET}/0"), "EPERM")
tap.check("the log has it", wait_rows("note LIKE 'going to sleep%'") and
          wait_rows("note LIKE 'awake:%'"))
with openers.quiet():
    gatekeeper.stop()

if EMULATED:
    # The control: another file lay over this one when gatekeeper looked.
    with open("/sys/power/pm_freeze_timeout", "w") as out:
        out.write("4000")
    write_file("/mnt/another")
    subprocess.run(["mount", "--bind", "/mnt/another", STATE], check=True)
    with openers.quiet():
        gatekeeper = Gatekeeper(POLICY, log="/mnt/fifth.log")
    subprocess.run(["umount", STATE], check=True)
    slept = sleep_all(3)
    tap.check("unprepared, it could not", slept < 3, slept)
    with openers.quiet():
        gatekeeper.stop()
openers.end()
tap.finish()
