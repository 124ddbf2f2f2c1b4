"""harness - a live gatekeeper, processes of accounts, and TAP

Runs inside tests/arena only: it marks "/" there, which is the arena's own.
"""

import errno
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT, HELPER, PUPPY, KITTEN = 0, 64000, 64001, 64002
SUBORDINATE = 6400005
PATIENCE_S = 20 * float(os.environ.get("LEASH_SLOW", "1"))
PROBE = "/usr/libexec/leash-tests/probe"
CONFIG = "/etc/leash.conf"
DATABASE = "/var/lib/leash/verdicts.db"
BOX = "/mnt/t"

if "ARENA_SOURCE" not in os.environ:
    sys.exit("run me through tests/arena")


def config(files="", programs="", extra="", profiles='"base"', more=""):
    """A leash.conf for puppy; arguments are the insides of its groups."""
    return f"""
watch = [ "/" ];
{more}
accounts = ( {{
    account = "puppy";
    profiles = [ {profiles} ];
    {extra}
    files = {{ {files} }};
    programs = {{ {programs or f'list = [ "{PROBE}" ];'} }};
}} );
"""


def write_config(text, path=CONFIG):
    with open(path + ".new", "w", errors="surrogateescape") as out:
        out.write(text)
    os.rename(path + ".new", path)


def find(name, *options):
    out = subprocess.run(["pgrep", "-x", name, *options],
                         capture_output=True, text=True).stdout
    return [int(pid) for pid in out.split()]


class Gatekeeper:
    """gatekeeper in the foreground, its words in self.log."""

    def __init__(self, text, log="/mnt/gatekeeper.log", command=None):
        write_config(text)
        self.log_path = log
        self.log = open(log, "w+")
        self.process = subprocess.Popen(
            os.environ.get("LEASH_PREFIX", "").split() +
            (command or ["gatekeeper", "--foreground", "--config", CONFIG]),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait_for("generation 1 live")
        self.generation = 1

    def words(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def wait_for(self, words, times=1, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while self.words().count(words) < times:
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(
                    f"gatekeeper did not say {words!r}:\n{self.words()}")
            time.sleep(0.005)

    def live(self):
        """The last generation that was said to be live."""
        return max(map(int, re.findall(r"generation (\d+) live",
                                       self.words())), default=0)

    def reload(self, text):
        write_config(text)
        # leash, and rules that end, reload too; two at once become one.
        self.generation = max(self.generation, self.live()) + 1
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE_S
        while self.live() < self.generation:
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"generation {self.generation} does not "
                                     f"come:\n{self.words()}")
            time.sleep(0.005)
        self.generation = self.live()

    def pids(self, name):
        """Its helpers of that name; file gates are its grandchildren."""
        parents = ",".join(map(str, [self.process.pid] + find(
            "leash-fan-main", "-P", str(self.process.pid))))
        return find(name, "-P", parents)

    def active(self):
        """The pid of the gate that answers, as last said."""
        lines = [line for line in self.words().splitlines()
                 if "file gate" in line and " answers, " in line]
        return int(lines[-1].split("file gate ")[1].split()[0])

    def file_gates(self):
        """How many have answered, one after the other."""
        return sum("file gate" in line and " answers, " in line
                   for line in self.words().splitlines())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def of_process(pid):
    """Its name and state, from /proc alone; None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            head, _, tail = file.read().rpartition(")")
    except OSError:
        return None
    state, parent = tail.split()[:2]
    return head.split("(", 1)[1], state, int(parent)


def our_processes():
    """Every process of ours that lives: (pid, name, state, parent)."""
    found = []
    for entry in os.listdir("/proc"):
        about = of_process(entry) if entry.isdigit() else None
        if about and about[1] not in "ZX" and \
                (about[0] == "gatekeeper" or about[0].startswith("leash-")):
            found.append((int(entry), *about))
    return found


class Service:
    """gatekeeper as systemd keeps it (leash.service): started again 200 ms
    after its death, killed by the watchdog when it has said nothing for long.

    It forks by itself, since subprocess waits for the exec, which may have to
    wait for the gates."""

    def __init__(self, text, log="/mnt/gatekeeper.log", watchdog_s=10):
        write_config(text)
        self.log_path, self.watchdog_s = log, watchdog_s
        self.log = open(log, "a+")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("\0leash-notify")
        self.notify.settimeout(0.01)
        self.environment = dict(os.environ, NOTIFY_SOCKET="@leash-notify",
                                WATCHDOG_USEC=str(int(watchdog_s * 1e6)))
        self.pid, self.starts, self.statuses = None, 0, []
        self.ready = self.ending = False
        self.thread = threading.Thread(target=self.keep, daemon=True)
        self.start()
        self.thread.start()
        self.wait_ready()

    def words(self):
        """Of it and its helpers; opens nothing."""
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def start(self):
        self.starts += 1
        self.ready, self.heard = False, time.monotonic()
        pid = os.fork()
        if pid == 0:
            for end in (1, 2):
                os.dup2(self.log.fileno(), end)
            os.execve("/usr/sbin/gatekeeper",
                      ["gatekeeper", "--foreground", "--fall-back",
                       "--config", CONFIG], self.environment)
        self.pid = pid

    def keep(self):
        start_at = None
        while not self.ending:
            try:
                said = self.notify.recv(4096)
                self.heard = time.monotonic()
                self.ready |= said.startswith(b"READY=1")
            except OSError:
                pass
            now = time.monotonic()
            if self.pid and now - self.heard > \
                    (self.watchdog_s if self.ready else 60):
                os.kill(self.pid, signal.SIGKILL)
            if self.pid:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.statuses.append(status)
                    self.pid, self.ready, start_at = None, False, now + 0.2
            elif now >= start_at:
                self.start()

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while not self.ready:
            if time.monotonic() > end:
                raise AssertionError(f"not ready:\n{self.words()[-4000:]}")
            time.sleep(0.01)

    def children(self, name, of=None):
        parents = of or [self.pid]
        return [pid for pid, its, state, parent in our_processes()
                if its == name and parent in parents]

    def gates(self):
        """Its main process, the gate that answers, the spare; None for
        none."""
        mains = self.children("leash-fan-main")
        found = sorted(self.children("leash-fanotify", mains or [-1]))
        said = re.findall(r"file gate (\d+) answers", self.words()[-20000:])
        answering = int(said[-1]) if said else None
        spares = [pid for pid in found if pid != answering]
        return (mains[-1] if mains else None,
                answering if answering in found else None,
                spares[0] if spares else None)

    def is_whole(self):
        """All are there, and none of those that answer is stopped."""
        if not self.pid or not self.ready:
            return False
        states = {pid: state for pid, _, state, _ in our_processes()}
        return all(pid in states and states[pid] not in "Tt"
                   for pid in (self.pid, *self.gates()))

    def wait_whole(self, seconds=30):
        """When it was; None: it was not."""
        end = time.monotonic() + seconds
        while not self.is_whole():
            if time.monotonic() > end:
                return None
            time.sleep(0.02)
        return time.monotonic()

    def stop(self):
        self.ending = True
        self.thread.join()
        os.kill(self.pid, signal.SIGTERM)
        return os.waitpid(self.pid, 0)[1]


def echo():
    """A process of root's that sends back what it gets, as a gate would and
    with a gate's priority, and the two ends of it."""
    inner_in, outer_in = os.pipe()
    outer_out, inner_out = os.pipe()
    process = subprocess.Popen(["cat"], stdin=inner_in, stdout=inner_out,
                               preexec_fn=lambda: os.nice(-5))
    os.close(inner_in), os.close(inner_out)
    return process, (outer_in, outer_out)


class Witness:
    """probe witness as a user, and what it has said."""

    def __init__(self, uid, what, *paths, pause_us=0, ends=()):
        self.uid, self.what, self.paths = uid, what, paths
        # Not a pipe: a witness waits for nobody but the gates.
        self.file = tempfile.TemporaryFile("w+", dir="/dev/shm")
        self.process = subprocess.Popen(
            [PROBE, "witness", what, str(pause_us), *paths],
            stdout=self.file, pass_fds=ends, preexec_fn=lambda: become(uid), cwd="/")
        self.reader = os.open(f"/proc/self/fd/{self.file.fileno()}",
                              os.O_RDONLY)
        self.rest, self.slow, self.wrong = b"", [], []
        self.at, self.counts = 0.0, [0] * len(paths)

    def read(self):
        self.rest += os.read(self.reader, 1 << 24)
        *lines, self.rest = self.rest.split(b"\n")
        for line in lines:
            kind, *words = line.decode().split()
            if kind == "slow":
                self.slow.append((words[0], float(words[1]), float(words[2])))
            elif kind == "wrong":
                self.wrong.append((words[0], float(words[1]), words[2]))
            else:
                self.at = float(words[0])
                self.counts = [int(word) for word in words[1:]]
        return self

    def slow_since(self, begin, sign="+-"):
        """The longest, in ms, of what began since."""
        return max((ms for path, at, ms in self.read().slow
                    if at + ms / 1000 >= begin and path[0] in sign),
                   default=0)

    def goes_on(self, since, seconds=15):
        """Whether it has counted after that moment."""
        end = time.monotonic() + seconds
        while self.read().at <= since:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def finish(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.wrong.append(("hangs", time.monotonic(), "for ever"))
        return self.read()


def rows(where="1", *values):
    """Rows of the verdict log, once all that has been put is in it."""
    db = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=20)
    db.row_factory = sqlite3.Row
    found = db.execute(
        f"SELECT * FROM verdicts WHERE {where} ORDER BY seq", values).fetchall()
    db.close()
    return found


def wait_rows(where, *values, seconds=10):
    end = time.monotonic() + seconds
    while True:
        try:
            found = rows(where, *values)
        except sqlite3.OperationalError:
            found = []
        if found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def leaks(gatekeeper, *secrets):
    """Which of these are in the log, or in what gatekeeper has said."""
    time.sleep(0.5)
    raw = gatekeeper.words().encode()
    for end in ("", "-wal"):
        if os.path.exists(DATABASE + end):
            with open(DATABASE + end, "rb") as file:
                raw += file.read()
    return [secret for secret in secrets if secret.encode() in raw]


def become(uid):
    """Be that user, with all four uids, and no capability."""
    if isinstance(uid, tuple):
        os.setgroups([])
        os.setresuid(*uid)
    elif uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def as_user(uid, function, *arguments, seconds=30):
    """function's result in a fresh process of that user: what it returns, or
    the name of the errno that it met."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(seconds)
        os.close(reader)
        try:
            become(uid)
            result = function(*arguments)
            result = "ok" if result is None else result
        except OSError as error:
            result = errno.errorcode.get(error.errno, str(error))
        except BaseException:
            result = traceback.format_exc()
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text) if text else "died"


def meanwhile(uid, function, *arguments):
    """Start function as a user; yields what waits for its result."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        result = as_user(uid, function, *arguments, seconds=120)
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)

    def wait():
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read()
        os.waitpid(pid, 0)
        return json.loads(text)
    return wait


def run_as(uid, command, seconds=60, **more):
    """Run a program as a user; its standard output, or the errno of exec."""
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              preexec_fn=lambda: become(uid), cwd="/",
                              timeout=seconds, **more)
    except OSError as error:
        return errno.errorcode[error.errno]
    return (done.stdout or done.stderr).strip()


def start_as(uid, command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                            preexec_fn=lambda: become(uid), cwd="/")


def open_close(path, flags=os.O_RDONLY, mode=0o666):
    os.close(os.open(path, flags, mode))


def write_file(path, text="content\n", mode=0o666):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.write(text)
    os.chmod(path, mode)


class Tap:
    """Collects checks; exits non-zero where one failed."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, name, right, detail=""):
        self.count += 1
        name = name.replace("\n", "\\n").replace("#", "")
        print(f"{'ok' if right else 'not ok'} {self.count} - {name}",
              flush=True)
        if not right:
            self.failed += 1
            for line in str(detail).splitlines():
                print(f"# {line}", flush=True)

    def equal(self, name, have, want):
        self.check(name, have == want, f"have {have!r}\nwant {want!r}")

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)
