"""What is mounted while Leash runs: covered, and closed until then.

The mount guard needs a kernel that calls BPF programs at its security hooks;
on others it is shown that `leash status` says so, and that mounts are covered.
"""

import ctypes

from harness import *

LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, MS_REC, MS_SLAVE = 0x20000, 0x10000000, 0x4000, 0x80000
PR_SET_DUMPABLE = 4

tap = Tap()
NEW, OWN, SLAVE, SECRET = (f"{BOX}/{name}" for name in
                           ("new", "own", "slave", "secret"))
IMAGE = "/mnt/image"
for folder in (NEW, OWN, SLAVE, SECRET):
    os.makedirs(folder, exist_ok=True)
subprocess.run(["mount", "--make-shared", "/"], check=True)
READ_ALL = f'read = [ "/" ]; write = [ "{OWN}" ]; deny = [ "{SECRET}" ];'


def policy(more=""):
    return config(files=READ_ALL, programs='mode = "ban"; list = [ "/none" ];',
                  profiles="", more=more)


gatekeeper = Gatekeeper(policy())
status = json.loads(subprocess.run(["leash", "status", "--json"],
                                   capture_output=True, text=True).stdout)
guarded = status["new_mounts"] == "closed"
if "LEASH_SLOW" in os.environ:  # tests/lab/boot
    tap.check("Debian's kernel takes the mount guard", guarded, str(status))


def mount(where):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "new", where],
                   check=True)
    write_file(f"{where}/file", mode=0o644)


def unmount(where):
    subprocess.run(["umount", where], check=True)


def wait_covered(where, uid=PUPPY):
    end = time.monotonic() + PATIENCE_S
    while as_user(uid, open_close, f"{where}/file") != "ok":
        if time.monotonic() > end:
            return "never"
        time.sleep(0.01)
    return "ok"


def counted(path, seconds):
    """Open path all the time; how often that worked."""
    end, opened = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            open_close(path)
            opened += 1
        except OSError:
            pass
    return opened


# What is denied, mounted again and again while the account tries.
with open(IMAGE, "wb") as out:
    out.truncate(16 << 20)
subprocess.run(["mkfs.ext4", "-q", IMAGE], check=True)
subprocess.run(["mount", "-o", "loop", IMAGE, SECRET], check=True)
os.chmod(SECRET, 0o755)
write_file(f"{SECRET}/file", mode=0o644)
unmount(SECRET)
SECONDS, TIMES = 8, 20
tries = [meanwhile(uid, counted, f"{SECRET}/file", SECONDS)
         for uid in (PUPPY, KITTEN)]
for _ in range(TIMES):
    subprocess.run(["mount", "-o", "loop", IMAGE, SECRET], check=True)
    time.sleep(SECONDS / TIMES / 2)
    while subprocess.run(["umount", SECRET], capture_output=True).returncode:
        time.sleep(0.002)
puppy, kitten = [wait() for wait in tries]
tap.check("another user opens what is mounted", kitten > TIMES, f"{kitten}")

if not guarded:
    tap.check("status says that new mounts are open, and why",
              status["new_mounts"] == "open" and status["new_mounts_why"])
    mount(NEW)
    tap.equal("a new mount is covered", wait_covered(NEW), "ok")
    mount(SECRET)
    gatekeeper.wait_for(f"covered: {SECRET}")
    tap.equal("a denied one as well",
              as_user(PUPPY, open_close, f"{SECRET}/file"), "EPERM")
    tap.finish()
    sys.exit()

tap.equal("the account never does what is denied", puppy, 0)


class Stopped:
    """While gatekeeper stands still: nothing new is covered."""

    def __enter__(self):
        gatekeeper.process.send_signal(signal.SIGSTOP)

    def __exit__(self, *_):
        gatekeeper.process.send_signal(signal.SIGCONT)


def opened(path=f"{NEW}/file", uid=PUPPY):
    return as_user(uid, open_close, path)


def in_namespace(uid, flags, path, tmpfs=None):
    """Open path as the account, in namespaces that uid has made; over tmpfs
    it mounts one of its own first, with a file."""
    def there():
        try:
            prepare()
        except OSError as error:
            return f"not prepared: {error}"
        return opened(path) if not uid else open_close(path)

    def prepare():
        LIBC.prctl(PR_SET_DUMPABLE, 1)
        if LIBC.unshare(flags):
            raise OSError(ctypes.get_errno(), "unshare")
        if uid:
            for name, text in (("setgroups", "deny"),
                               ("uid_map", f"0 {uid} 1"),
                               ("gid_map", f"0 {uid} 1")):
                with open(f"/proc/self/{name}", "w") as out:
                    out.write(text)
        LIBC.mount(b"none", b"/", None, MS_SLAVE | MS_REC, None)
        if tmpfs:
            if LIBC.mount(b"own", tmpfs.encode(), b"tmpfs", 0, b"mode=777"):
                raise OSError(ctypes.get_errno(), "mount")
            with open(f"{tmpfs}/file", "x"):
                pass
    return as_user(uid, there)


with Stopped():
    mount(NEW)
    tap.equal("before it is covered: closed, though a rule allows it",
              opened(), "EACCES")
    tap.equal("for listing as well", as_user(PUPPY, os.listdir, NEW), "EACCES")
    tap.equal("and for running", as_user(
        PUPPY, lambda: os.execv(f"{NEW}/file", ["file"])), "EACCES")
    tap.equal("with the account's uid as any of the four",
              [opened(uid=uids) for uids in
               ((PUPPY, 0, 0), (0, PUPPY, 0), (0, 0, PUPPY))], ["EACCES"] * 3)
    tap.equal("and a subordinate one", opened(uid=SUBORDINATE), "EACCES")
    tap.equal("open to another user", opened(uid=KITTEN), "ok")
    tap.equal("and to root", opened(uid=ROOT), "ok")
    tap.equal("what was covered before is open", opened("/etc/passwd"), "ok")
    tap.equal("closed where the account sees it in its own namespace",
              in_namespace(PUPPY, NEWUSER | NEWNS, f"{NEW}/file"), "EACCES")
    tap.equal("and where root made one for it",
              in_namespace(ROOT, NEWNS, f"{NEW}/file"), "EACCES")
    tap.equal("what the account mounts in its own is open to it",
              in_namespace(PUPPY, NEWUSER | NEWNS, f"{OWN}/file", OWN), "ok")
    tap.equal("and what root mounts in one for it",
              in_namespace(ROOT, NEWNS, f"{OWN}/file", OWN), "ok")
    subprocess.run(["mount", "-t", "proc", "proc", SLAVE], check=True)
    tap.equal("filesystems that hold no files are open",
              opened(f"{SLAVE}/self/status"), "ok")
    unmount(SLAVE)
tap.equal("once it is covered, it is open", wait_covered(NEW), "ok")
found = wait_rows("reason LIKE '%mounted a moment ago%' AND target = ?",
                  f"{NEW}/file")
tap.check("the refusals are in the log",
          found and found[0]["account"] == "puppy" and
          found[0]["verdict"] == "deny" and found[0]["pid"],
          str([dict(row) for row in found[:2]]))

unmount(NEW)
with Stopped():
    mount(NEW)
    tap.equal("another one at the same place is closed again", opened(),
              "EACCES")
tap.equal("until it is covered", wait_covered(NEW), "ok")
unmount(NEW)

gatekeeper.reload(policy('mode = "observe";'))
with Stopped():
    mount(NEW)
    tap.equal("in observe mode nothing is closed", opened(), "ok")
unmount(NEW)
gatekeeper.reload(policy())
with Stopped():
    mount(NEW)
    tap.equal("until it is left", opened(), "EACCES")
unmount(NEW)

gatekeeper.reload(policy().replace('watch = [ "/" ]', f'watch = [ "{OWN}" ]'))
mount(NEW)
tap.equal("what is not watched is opened", wait_covered(NEW), "ok")
unmount(NEW)
gatekeeper.reload("accounts = ( );")
with Stopped():
    mount(NEW)
    tap.equal("nothing is closed where nobody is on a leash", opened(), "ok")
unmount(NEW)
gatekeeper.reload(policy())

gatekeeper.process.kill()
gatekeeper.process.wait()
mount(NEW)
tap.equal("gatekeeper killed: its gates keep new mounts closed", opened(),
          "EACCES")
tap.equal("to the account alone", opened(uid=KITTEN), "ok")
gatekeeper = Gatekeeper(policy(), log="/mnt/gatekeeper2.log")
tap.equal("the successor covers them", wait_covered(NEW), "ok")
unmount(NEW)
tap.equal("it stops", gatekeeper.stop(), 0)
mount(NEW)
tap.equal("stopped: everything is open", opened(), "ok")
tap.finish()
