"""Overlays that somebody mounts, as container runtimes do: nobody waits for the
gate, and the account gets nothing by them that is denied."""

import threading

from harness import *

DISK, MERGED, SECOND = "/srv/disk", "/srv/merged", "/srv/second"
IMAGE = "/mnt/disk.img"

tap = Tap()
for folder in (DISK, MERGED, SECOND):
    os.makedirs(folder)
subprocess.run(["truncate", "-s", "300M", IMAGE], check=True)
subprocess.run(["mkfs.ext4", "-q", IMAGE], check=True)
subprocess.run(["mount", "-o", "loop", IMAGE, DISK], check=True)
os.chmod(DISK, 0o755)
for name in ("lower", "upper", "work", "upper2", "work2"):
    os.makedirs(f"{DISK}/{name}", mode=0o755)
for name in ("file", "denied"):
    with open(f"{DISK}/lower/{name}", "w") as out:
        out.write(name)
subprocess.run(["cp", "/usr/bin/true", f"{DISK}/lower/program"], check=True)
gatekeeper = Gatekeeper(config(
    files=f'read = [ "{MERGED}", "{SECOND}" ]; '
          f'deny = [ "{MERGED}/denied", "{SECOND}/denied" ];'))
for lower, upper, work, point in ((f"{DISK}/lower", "upper", "work", MERGED),
                                  (MERGED, "upper2", "work2", SECOND)):
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    f"lowerdir={lower},upperdir={DISK}/{upper},"
                    f"workdir={DISK}/{work}", point], check=True)
    os.chmod(point, 0o777)
gatekeeper.wait_for(f"covered: {SECOND} (overlay)")

# From 6.5 on the kernel asks about layers, through mounts that are nobody's.
RELEASE = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))
BY_LAYERS = RELEASE >= (6, 5)


def attempt(path, mode="r"):
    begun = time.monotonic()
    try:
        with open(path, mode) as file:
            said = file.read() if mode == "r" else str(file.write("more"))
    except OSError as error:
        said = errno.errorcode[error.errno]
    return said, (time.monotonic() - begun) * 1000


SLOW_MS = 100 * float(os.environ.get("LEASH_SLOW", "1"))
for uid, name in ((KITTEN, "another user"), (ROOT, "root")):
    for path, mode, want in ((f"{MERGED}/file", "r", "file"),
                             (f"{MERGED}/denied", "r", "denied"),
                             (f"{MERGED}/new-{uid}", "w", "4"),
                             (f"{MERGED}/new-{uid}", "a", "4"),
                             (f"{SECOND}/file", "r", "file"),
                             (f"{SECOND}/newer-{uid}", "w", "4"),
                             (f"{DISK}/lower/file", "r", "file")):
        said, took_ms = as_user(uid, attempt, path, mode)
        tap.check(f"{name} opens {path} ({mode})",
                  said == want and took_ms < SLOW_MS, (said, took_ms))
    for folder in (MERGED, SECOND):
        begun = time.monotonic()
        listed = as_user(uid, lambda: sorted(os.listdir(folder)))
        tap.check(f"{name} lists {folder}", "file" in listed and
                  time.monotonic() - begun < SLOW_MS / 100, listed)
    tap.equal(f"{name} runs a program there", as_user(
        uid, lambda: subprocess.run([f"{MERGED}/program"]).returncode), 0)

for path in (f"{MERGED}/file", f"{SECOND}/file"):
    said, took_ms = as_user(PUPPY, attempt, path)
    tap.check(f"the account, {path}: allowed, or refused with its reason",
              said == ("EPERM" if BY_LAYERS else "file") and
              took_ms < SLOW_MS, (said, took_ms))
if BY_LAYERS:
    tap.check("the log says why", wait_rows(
        "account = 'puppy' AND reason LIKE '%mount that is not the host%'"))
for path in (f"{MERGED}/denied", f"{SECOND}/denied", f"{DISK}/lower/denied",
             f"{DISK}/lower/file"):
    said, took_ms = as_user(PUPPY, attempt, path)
    tap.check(f"the account, {path}: denied", said == "EPERM" and
              took_ms < SLOW_MS, (said, took_ms))


def crowd(stop):
    while not stop.is_set():
        as_user(KITTEN, attempt, f"{SECOND}/file")
        as_user(PUPPY, attempt, f"{MERGED}/denied")


stop = threading.Event()
threads = [threading.Thread(target=crowd, args=(stop,)) for _ in range(4)]
for thread in threads:
    thread.start()
worst = max(as_user(KITTEN, attempt, "/etc/hostname")[1] for _ in range(100))
stop.set()
for thread in threads:
    thread.join()
tap.check("others, elsewhere, wait for none of it", worst < 2 * SLOW_MS, worst)
tap.check("no file gate stood still",
          not re.search("file gates? .*stands? still", gatekeeper.words()),
          gatekeeper.words())
gatekeeper.stop()
for point in (SECOND, MERGED, DISK):
    subprocess.run(["umount", point], check=True)
tap.finish()
