"""Programs of an account started while very many others open files, while its
own threads do, and more at once than a gate can remember: each runs."""

import threading

from harness import *

SECONDS = 5
ITSELF = "/usr/libexec/leash-tests/runs_itself"
TRUE, FALSE = f"{BOX}/may/true", f"{BOX}/not/true"

tap = Tap()
for path in (TRUE, FALSE):
    os.makedirs(os.path.dirname(path))
    subprocess.run(["cp", "/usr/bin/true", path], check=True)
write_file(f"{BOX}/open", mode=0o644)
POLICY = config(files=f'read = [ "{BOX}" ];',
                programs=f'list = [ "{PROBE}", "{ITSELF}", "{BOX}/may" ];')
gatekeeper = Gatekeeper(POLICY)


def open_for(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        open_close(f"{BOX}/open")
        time.sleep(0.0005)


def start(path):
    """0, or why it did not run."""
    pid = os.posix_spawn(path, [path], {})
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_for(seconds, threads_that_open=0):
    """How many ran, and how many of them did not do so well."""
    for _ in range(threads_that_open):
        threading.Thread(target=open_for, args=(seconds,)).start()
    end, runs, failed, passed = time.monotonic() + seconds, 0, 0, 0
    while time.monotonic() < end:
        runs += 1
        try:
            failed += start(TRUE) != 0
        except OSError:
            failed += 1
        if runs % 10 == 0:
            try:
                passed += start(FALSE) == 0
            except OSError:
                pass
    return runs, failed, passed


def run_at_once(count):
    """All of them begun before any has ended; how many failed."""
    reader, writer = os.pipe()
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)
            try:
                os.execv(TRUE, ["true"])
            except OSError:
                os._exit(1)
        pids.append(pid)
    os.close(writer)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)


def start_beside_sleepers(count):
    sleepers = [os.posix_spawn(ITSELF, [ITSELF], {}) for _ in range(count)]
    result = start(TRUE)
    for pid in sleepers:
        os.kill(pid, signal.SIGKILL)
    return result


def all_ran(name, others, threads=0):
    crowd = [meanwhile(KITTEN, open_for, SECONDS) for _ in range(others)]
    runs, failed, passed = as_user(PUPPY, run_for, SECONDS, threads,
                                   seconds=60)
    for wait in crowd:
        wait()
    print(f"# {name}: {runs} runs")
    tap.check(f"{name}: there were runs", runs > 20, runs)
    tap.equal(f"{name}: all that is allowed ran", failed, 0)
    tap.equal(f"{name}: nothing else did", passed, 0)


all_ran("30 processes of another user open files", 30)
all_ran("30 threads of its own process open files", 0, 30)
tap.equal("300 at once", as_user(PUPPY, run_at_once, 300, seconds=60), 0)
gatekeeper.stop()
gatekeeper = Gatekeeper(POLICY, log="/mnt/few.log", command=[
    "prlimit", "--nofile=80:80", "gatekeeper", "--foreground", "--config",
    CONFIG])
tap.equal("more at once than can be remembered: they wait, and run",
          as_user(PUPPY, run_at_once, 20, seconds=60), 0)
tap.equal("and what is denied is", as_user(PUPPY, start, FALSE), "EPERM")
if os.path.exists(ITSELF):
    tap.equal("nor do those count for ever that have run themselves again and "
              "open nothing", as_user(PUPPY, start_beside_sleepers, 8), 0)
else:
    tap.skip("programs that run themselves again", "nothing static is built")
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
