"""gatekeeper itself: start, wrong configurations, reload, stop, and what is
left behind."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading

from harness import *

FILE, OTHER = f"{BOX}/box/file", f"{BOX}/other/file"

tap = Tap()
write_file(FILE)
write_file(OTHER)
READ_BOX = f'read = [ "{BOX}/box" ];'
READ_OTHER = f'read = [ "{BOX}/other" ];'


def opening(path):
    return lambda: open_close(path)


def gatekeeper_says(*arguments):
    done = subprocess.run(["gatekeeper", *arguments], capture_output=True,
                          text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


# Usage and configurations that cannot be.
tap.equal("--help", gatekeeper_says("--help")[0], 0)
tap.equal("no --config", gatekeeper_says()[0], 2)
tap.equal("an unknown option", gatekeeper_says("--bypass")[0], 2)
tap.equal("a configuration that is not there",
          gatekeeper_says("--config", "/nowhere")[0], 2)
write_config('mode = "enforce"\naccounts = (;')
code, words = gatekeeper_says("--config", CONFIG, "--check")
tap.equal("--check of a syntax error", code, 1)
tap.check("names file and line", f"{CONFIG}:2: " in words, words)
tap.equal("and gatekeeper does not start",
          gatekeeper_says("--config", CONFIG)[0], 1)
write_config(config(files=READ_BOX))
os.chmod(CONFIG, 0o666)
code, words = gatekeeper_says("--config", CONFIG, "--check")
tap.check("a configuration that others may write to is refused",
          code == 1 and "chmod go-w" in words, words)
write_config(config(files=READ_BOX))
tap.equal("--check of a right one",
          gatekeeper_says("--config", CONFIG, "--check")[0], 0)
tap.equal("only root may start it",
          run_as(KITTEN, ["gatekeeper", "--config", CONFIG]),
          "gatekeeper: error: must be started by root")

# Readiness: told to systemd, and only when the leash holds.
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind("/run/notify")
os.environ["NOTIFY_SOCKET"] = "/run/notify"
gatekeeper = Gatekeeper(config(files=READ_OTHER))
notify.settimeout(10)
told = notify.recv(1000).decode()
tap.check("readiness is told by sd_notify", told.startswith("READY=1"), told)
del os.environ["NOTIFY_SOCKET"]
tap.equal("denied from the start", as_user(PUPPY, opening(FILE)), "EPERM")
tap.equal("allowed from the start", as_user(PUPPY, opening(OTHER)), "ok")

# The helpers hold what they need and nothing else.
for name, capabilities in (("leash-fanotify", (1 << 23) | (1 << 19) | (1 << 2)),
                           ("leash-store", 0)):
    for pid in gatekeeper.pids(name):
        status = dict(line.split(":\t", 1) for line in
                      open(f"/proc/{pid}/status").read().splitlines()
                      if ":\t" in line)
        tap.equal(f"{name} runs as _leash", status["Uid"].split()[0],
                  str(HELPER))
        tap.equal(f"{name} holds only its capabilities",
                  int(status["CapPrm"], 16), capabilities)
        tap.equal(f"{name} can gain nothing", status["NoNewPrivs"], "1")
        tap.equal(f"{name} is confined by seccomp", status["Seccomp"], "2")
for name in ("leash-fanotify", "leash-nfqueue", "leash-dns", "leash-store",
             "leash-toolcall"):
    for pid in gatekeeper.pids(name):
        limit = re.search(r"Max address space +(\d+)",
                          open(f"/proc/{pid}/limits").read())
        tap.check(f"{name} cannot take all memory", limit and
                  int(limit.group(1)) <= 4 << 30, limit)
for pid in gatekeeper.pids("leash-fanotify"):
    root = os.stat(f"/proc/{pid}/root/")
    tap.check("the gate's root is a /proc",
              os.path.exists(f"/proc/{pid}/root/{pid}/status"))
    tap.check("of its own", root.st_dev != os.stat("/proc").st_dev, root)

code, words = gatekeeper_says("--config", CONFIG)
tap.check("a second instance is refused",
          code == 2 and "another gatekeeper" in words, words)
tap.equal("and the first goes on", as_user(PUPPY, opening(FILE)), "EPERM")

# Drop-ins, in the order of their names, and only .conf.
os.makedirs("/etc/leash.d", exist_ok=True)
write_config(f'accounts = ( {{ account = "puppy"; files = {{ {READ_BOX} }}; '
             '} );', "/etc/leash.d/50-local.conf")
write_config("nonsense", "/etc/leash.d/50-local.conf.bak")
gatekeeper.reload(config(files=READ_OTHER))
tap.equal("a drop-in adds rules", as_user(PUPPY, opening(FILE)), "ok")
tap.equal("to those of the main file", as_user(PUPPY, opening(OTHER)), "ok")
shutil.rmtree("/etc/leash.d")
gatekeeper.reload(config(files=READ_OTHER))
tap.equal("and takes them with it", as_user(PUPPY, opening(FILE)), "EPERM")

# Broken reloads change nothing and are reported.
BROKEN = [
    ("a syntax error", "accounts = (", "syntax error"),
    ("an unknown key", config(extra='color = "red";'), "there is no such key"),
    ("a rule not absolute", config(files='read = [ "srv" ];'),
     "is not absolute"),
    ("an account that does not exist",
     config(files=READ_BOX).replace("puppy", "nobody-at-all"),
     "does not exist"),
]
for name, text, words in BROKEN:
    failed = gatekeeper.words().count("reload failed")
    write_config(text)
    gatekeeper.process.send_signal(signal.SIGHUP)
    gatekeeper.wait_for("reload failed", failed + 1)
    tap.check(f"{name}: reported", words in gatekeeper.words(),
              gatekeeper.words())
    tap.equal(f"{name}: what was denied stays denied",
              as_user(PUPPY, opening(FILE)), "EPERM")
    tap.equal(f"{name}: what was allowed stays allowed",
              as_user(PUPPY, opening(OTHER)), "ok")
tap.check("a failed reload is in the log",
          wait_rows("kind = 'daemon' AND note LIKE 'reload failed%'"))

# 100 reloads under load, flipping one rule: each open has one of the two
# answers that were in force, and the rule that never changes always holds.
STABLE = f"{BOX}/stable/file"
write_file(STABLE)
STABLE_RULE = f'read = [ "{BOX}/stable" ];'
gatekeeper.reload(config(files=STABLE_RULE))
probe = start_as(PUPPY, [PROBE, "hammer", "60", STABLE, FILE])
flipper = start_as(PUPPY, [PROBE, "hammer", "60", STABLE, f"{BOX}/other/no"])
# The denied file of the first is denied by both policies.
for turn in range(100):
    flips = STABLE_RULE if turn % 2 else \
        f'read = [ "{BOX}/stable", "{BOX}/other" ];'
    gatekeeper.reload(config(files=flips))
    want = "EPERM" if turn % 2 else "ok"
    have = as_user(PUPPY, opening(OTHER))
    if have != want:
        tap.equal(f"reload {turn} is in force once it is said to be", have,
                  want)
        break
else:
    tap.check("each of 100 reloads is in force once it is said to be", True)
probe.send_signal(signal.SIGKILL)
flipper.send_signal(signal.SIGKILL)
probe.wait(), flipper.wait()


def count_answers(seconds, path):
    import collections
    answers = collections.Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            open_close(path)
            answers["ok"] += 1
        except OSError as error:
            answers[errno.errorcode[error.errno]] += 1
    return dict(answers)


def reload_for(seconds):
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        gatekeeper.reload(config(files=STABLE_RULE if turn % 2 else
                                 f'read = [ "{BOX}/stable", "{BOX}/other" ];'))


reloading = threading.Thread(target=reload_for, args=(6,))
reloading.start()
stable = as_user(PUPPY, count_answers, 2, STABLE)
denied = as_user(PUPPY, count_answers, 2, FILE)
flipped = as_user(PUPPY, count_answers, 1.5, OTHER)
reloading.join()
tap.equal("what both policies allow is never refused", list(stable), ["ok"])
tap.equal("what both policies deny never opens", list(denied), ["EPERM"])
tap.equal("what they differ on has both answers", sorted(flipped),
          ["EPERM", "ok"])
generations = {row["generation"] for row in
               wait_rows("target = ? AND kind = 'open'", OTHER)}
tap.check("each record names the generation that decided",
          len(generations) > 10, generations)

# Once it is up it opens nothing by itself, nor runs a program.
status = open(f"/proc/{gatekeeper.process.pid}/status").read()
tap.check("gatekeeper's main thread has a filter",
          "\nSeccomp:\t2\n" in status, status)

# gatekeeper killed: the gate at work holds on, the next one takes over.
gatekeeper.reload(config(files=READ_OTHER))
gate = gatekeeper.active()
gatekeeper.process.kill()
gatekeeper.process.wait()
time.sleep(0.3)
tap.equal("gatekeeper killed: what is denied stays denied",
          as_user(PUPPY, opening(FILE)), "EPERM")
tap.equal("gatekeeper killed: what is allowed stays allowed",
          as_user(PUPPY, opening(OTHER)), "ok")
gatekeeper = Gatekeeper(config(files=READ_OTHER), log="/mnt/second.log")
gatekeeper.wait_for("took over from")
time.sleep(0.3)


def is_running(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")")[1].split()[0] \
            not in "ZX"
    except FileNotFoundError:
        return False


tap.check("the old gate is ended once the new one is in place",
          not is_running(gate))
tap.equal("and the leash holds", as_user(PUPPY, opening(FILE)), "EPERM")
tap.equal("as it did", as_user(PUPPY, opening(OTHER)), "ok")

# On SIGUSR1 it goes and leaves all at work: a restart without a moment
# of no leash, under load.
def try_both(times):
    """Both opens, and an exec now and then."""
    found = []
    for turn in range(times):
        if turn % 20 == 0:
            # Its loader is asked about, too.
            pid = os.posix_spawn(PROBE, [PROBE, "none"], {}, file_actions=[
                (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
            os.waitpid(pid, 0)
        for path in (FILE, OTHER):
            try:
                open_close(path)
                found.append("ok")
            except OSError as error:
                found.append(errno.errorcode[error.errno])
    return found


load = meanwhile(PUPPY, try_both, 30000)
time.sleep(0.2)
gate = gatekeeper.active()
gatekeeper.process.send_signal(signal.SIGUSR1)
tap.equal("SIGUSR1: it goes with 0", gatekeeper.process.wait(10), 0)
tap.check("its gate does not", is_running(gate))
time.sleep(0.3)
gatekeeper = Gatekeeper(config(files=READ_OTHER), log="/mnt/third.log")
gatekeeper.wait_for("took over from")
# A new gate believes loaders, and nothing is gained by that.
loader = "/lib64/ld-linux-x86-64.so.2"
tap.check("a loader by hand runs nothing, just then", not any(
    "ran" in run_as(PUPPY, [loader, "/usr/bin/perl", "-e", "print 'ran'"])
    for _ in range(20)))
tap.check("as root it does",
          "ran" in run_as(0, [loader, "/usr/bin/perl", "-e", "print 'ran'"]))
time.sleep(0.3)
tap.check("but ends once there is a successor", not is_running(gate))
found = load()
tap.equal("nothing denied was opened in all that time",
          set(found[0::2]), {"EPERM"})
tap.check("and nothing allowed refused", isinstance(found, list) and
          set(found[1::2]) == {"ok"}, found[:100])

# Many restarts: an open that the old gate alone was asked about is not let
# through when that one ends.
loads = [start_as(PUPPY, [PROBE, "hammer", "12", OTHER, FILE])
         for _ in range(3)]
time.sleep(0.3)
# Others may call theirs what they like: that crowds nobody out.
copy = "/home/kitten/leash-fanotify"
shutil.copy("/usr/bin/sleep", copy)
os.chown(copy, KITTEN, KITTEN)
crowd = [start_as(KITTEN, [copy, "60"]) for _ in range(40)]
restarts, end = 0, time.monotonic() + 11
while time.monotonic() < end:
    gatekeeper.process.send_signal(signal.SIGUSR1)
    gatekeeper.process.wait(10)
    restarts += 1
    gatekeeper = Gatekeeper(config(files=READ_OTHER),
                            log=f"/mnt/restart{restarts}.log")
counts = [load.communicate()[0].split() for load in loads]
tap.check("who is called as a helper is, and is none, is left alone",
          all(process.poll() is None for process in crowd))
for process in crowd:
    process.kill()
    process.wait()

# Nor does a crowd that stands in a helper's program, each before its first
# instruction, hide those that are to be ended.
def stand_in(program):
    PTRACE_TRACEME = 0
    libc = ctypes.CDLL(None)
    for _ in range(80):
        if os.fork() == 0:
            libc.ptrace(PTRACE_TRACEME, 0, 0, 0)
            os.execv(program, [program])
    open("/home/kitten/standing", "w").close()
    time.sleep(60)


crowd = os.fork()
if crowd == 0:
    become(KITTEN)
    stand_in("/usr/libexec/leash/leash-store")
while not os.path.exists("/home/kitten/standing"):
    time.sleep(0.02)
time.sleep(0.3)
tap.check("eighty stand there", len(find("leash-store")) > 80)
for number in range(2):
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    gatekeeper = Gatekeeper(config(files=READ_OTHER),
                            log=f"/mnt/crowd{number}.log")
    gatekeeper.wait_for("took over from")
os.kill(crowd, signal.SIGKILL)
os.waitpid(crowd, 0)

tap.check("there were many restarts", restarts > 5, restarts)
tap.equal("nothing denied was opened in any",
          [int(count[2]) for count in counts], [0, 0, 0])
tap.equal("and nothing allowed refused",
          [int(count[1]) for count in counts], [0, 0, 0])

# No account, no mark: harmless until there is one.
gatekeeper.reload('watch = [ "/" ];')
tap.equal("without accounts nobody is leashed", as_user(PUPPY, opening(FILE)),
          "ok")
gatekeeper.reload(config(files=READ_OTHER))
tap.equal("and with one again it is", as_user(PUPPY, opening(FILE)), "EPERM")

pids = gatekeeper.pids("leash-fanotify") + gatekeeper.pids("leash-store")
tap.equal("SIGTERM ends it with 0", gatekeeper.stop(), 0)
tap.check("no process is left", not any(is_running(pid) for pid in pids))
tap.check("nothing is left in /run", not os.path.exists("/run/leash"))
tap.equal("nobody is leashed", as_user(PUPPY, opening(FILE)), "ok")
tap.equal("the log ends with it", rows("kind = 'daemon'")[-1]["note"],
          "stopped; no account is leashed now")

# What an earlier version has left there goes with the rest.
os.makedirs("/run/leash")
write_file("/run/leash/explain")

# In the background: the command comes back when the leash holds.
with open("/mnt/background.log", "w") as log:
    tap.equal("gatekeeper --config FILE",
              subprocess.run(["gatekeeper", "--config", CONFIG], stdout=log,
                             stderr=log, timeout=30).returncode, 0)
tap.equal("holds when it comes back", as_user(PUPPY, opening(FILE)), "EPERM")
subprocess.run(["pkill", "-x", "gatekeeper"])
while os.path.exists("/run/leash"):
    time.sleep(0.05)

# Rules that end while the configuration cannot be read: each is noticed.
good = open(CONFIG).read()
now = time.time()
ends = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + seconds))
        for seconds in (3, 6)]
gatekeeper = Gatekeeper(config(files=f"""read = (
    {{ path = "{FILE}"; until = "{ends[0]}"; }},
    {{ path = "{OTHER}"; until = "{ends[1]}"; }} );"""), log="/mnt/ends.log")
write_config("accounts = nonsense;")
gatekeeper.wait_for("a rule has ended", times=2, seconds=15)
tap.check("a rule's end is noticed after a reload that failed",
          gatekeeper.words().count("a rule has ended") == 2,
          gatekeeper.words())
gatekeeper.stop()
write_config(good)

# A start with a configuration that has been broken since.
FALL_BACK = ["gatekeeper", "--foreground", "--fall-back", "--config", CONFIG]
write_config("accounts = nonsense;")
done = subprocess.run(FALL_BACK, capture_output=True, text=True, timeout=30)
tap.check("--fall-back: on nothing, at first", done.returncode == 1 and
          "no earlier policy" in done.stderr, done)
gatekeeper = Gatekeeper(good, log="/mnt/fourth.log", command=FALL_BACK)
gatekeeper.stop()
gatekeeper = Gatekeeper("accounts = nonsense;", log="/mnt/fifth.log",
                        command=FALL_BACK)
tap.equal("then on the last that was right",
          (as_user(PUPPY, opening(FILE)), as_user(PUPPY, opening(OTHER))),
          ("EPERM", "ok"))
status = subprocess.run(["leash", "status"], capture_output=True, text=True)
tap.check("which leash status calls a problem", status.returncode == 1 and
          "the last policy that was right is in force" in status.stdout,
          status.stdout)
gatekeeper.reload(good)
status = subprocess.run(["leash", "status"], capture_output=True, text=True)
tap.equal("until it is right again", status.returncode, 0)
# One that cannot start leaves no gates of its own.
gatekeeper.stop()
hidden = [path for name in ("nft", "iptables-legacy-restore",
                            "iptables-restore", "ip6tables-legacy-restore",
                            "ip6tables-restore")
          for path in [shutil.which(name)] if path]
for path in hidden:
    os.rename(path, path + ".away")
write_config(good)
with open("/mnt/cannot.log", "w") as log:
    starting = subprocess.Popen(["gatekeeper", "--foreground", "--config",
                                 CONFIG], stdout=log, stderr=log)
end = time.monotonic() + PATIENCE_S
while time.monotonic() < end and " answers, policy" not in open(
        "/mnt/cannot.log").read():
    time.sleep(0.02)
tap.check("it waits for network rules, and its gates answer",
          as_user(PUPPY, opening(FILE)) == "EPERM" and
          starting.poll() is None, open("/mnt/cannot.log").read())
starting.terminate()
tap.check("told to stop, it has not started", starting.wait(30) != 0)
end = time.monotonic() + PATIENCE_S
while any(map(is_running, find("leash-fanotify"))) and \
        time.monotonic() < end:
    time.sleep(0.02)
tap.equal("and nothing of it stays",
          [pid for pid in find("leash-fanotify") if is_running(pid)], [])
for path in hidden:
    os.rename(path + ".away", path)
gatekeeper = Gatekeeper(good, log="/mnt/sixth.log", command=FALL_BACK)

take_off = ["gatekeeper", "--take-off"]
done = subprocess.run(take_off, capture_output=True, text=True)
tap.check("--take-off: not while one runs", done.returncode == 2 and
          "is running" in done.stderr, done)
gatekeeper.process.kill()
gatekeeper.process.wait()
tap.equal("killed: it holds", as_user(PUPPY, opening(FILE)), "EPERM")
done = subprocess.run(take_off, capture_output=True, text=True)
tap.check("--take-off ends what it left", done.returncode == 0 and
          "no account is leashed" in done.stdout, done)
tap.equal("and nobody is leashed", as_user(PUPPY, opening(FILE)), "ok")
tap.check("nothing is left in /run", not os.path.exists("/run/leash"))
os.chown("/var/lib/gatekeeper/policy", PUPPY, PUPPY)
write_config("accounts = nonsense;")
tap.equal("one that is not root's is none",
          subprocess.run(FALL_BACK, capture_output=True,
                         timeout=30).returncode, 1)
tap.finish()
