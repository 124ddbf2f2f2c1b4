"""harness - a live gatekeeper, processes of accounts, and TAP

Runs inside tests/arena only: it marks "/" there, which is the arena's own.
"""

import errno
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
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
    with open(path + ".new", "w") as out:
        out.write(text)
    os.rename(path + ".new", path)


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

    def reload(self, text):
        write_config(text)
        # leash, and rules that end, reload too.
        last = re.findall(r"generation (\d+) live", self.words())
        self.generation = max([self.generation, *map(int, last)]) + 1
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(f"generation {self.generation} live")

    def pids(self, name):
        out = subprocess.run(["pgrep", "-x", name, "-P",
                              str(self.process.pid)],
                             capture_output=True, text=True).stdout
        return [int(pid) for pid in out.split()]

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
