"""Every way to a file, each once with a policy that allows it and once with
one that denies it; and never a refusal for root or another user."""

import ctypes
import glob
import os
import shutil
import subprocess
import threading

from harness import *

FILE = f"{BOX}/box/file"
OTHER = f"{BOX}/other/file"
LONG = "/".join([BOX + "/long"] + ["x" * 199] * 19) + "/" + "y" * 150
LIBM = glob.glob("/lib/*-linux-gnu/libm.so.6")[0]
READ, WRITE = os.O_RDONLY, os.O_WRONLY
LOADER = "/lib64/ld-linux-x86-64.so.2"

tap = Tap()


def read(*paths):
    return "read = [ " + ", ".join(f'"{path}"' for path in paths) + " ];"


def write(*paths):
    return read(*paths).replace("read", "write", 1)


def deny(*paths):
    return read(*paths).replace("read", "deny", 1)


def programs(*paths):
    return read(*paths, PROBE).replace("read", "list", 1)


def set_up_box():
    os.makedirs(BOX, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "t", BOX],
                   check=True)
    for name in ("box", "other", "links", "hl", "secret", "secret2", "bind",
                 "over", "tmpfs", "ext4", "a"):
        os.makedirs(f"{BOX}/{name}")
        os.chmod(f"{BOX}/{name}", 0o777)
        write_file(f"{BOX}/{name}/file")
    os.symlink(FILE, f"{BOX}/links/in")
    os.symlink(OTHER, f"{BOX}/box/out")
    os.link(FILE, f"{BOX}/hl/before")
    shutil.copy("/usr/bin/true", f"{BOX}/box/true")
    write_file(f"{BOX}/box/script", "#!/bin/sh\necho ran\n", 0o777)
    shutil.copy(LIBM, f"{BOX}/box/lib.so")
    write_file(f"{BOX}/box/new\nline")
    with open(os.fsencode(BOX) + b"/box/\xff\xfe", "w") as out:
        out.write("x")
    os.chmod(os.fsencode(BOX) + b"/box/\xff\xfe", 0o666)
    make_long()


def make_long():
    parts = LONG.split("/")
    here = os.open("/", os.O_PATH)
    for part in parts[1:-1]:
        try:
            os.mkdir(part, 0o777, dir_fd=here)
        except FileExistsError:
            pass
        below = os.open(part, os.O_PATH, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open(parts[-1], os.O_CREAT | os.O_WRONLY, 0o666, dir_fd=here))
    os.close(here)


# What is done; each runs as the account, and as others.

def truncating():
    open_close(FILE, os.O_RDONLY | os.O_TRUNC)


def creating():
    path = f"{BOX}/box/made-{os.getpid()}"
    open_close(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def listing():
    os.listdir(f"{BOX}/box")


def running(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return "EPERM" if "not permitted" in done.stderr.lower() else \
            done.stderr
    return "ok"


def through_fd():
    fd = os.open(FILE, os.O_PATH)
    open_close(f"/proc/self/fd/{fd}")


def through_folder_fd():
    folder = os.open(f"{BOX}/box", os.O_PATH)
    os.close(os.open("file", os.O_RDONLY, dir_fd=folder))


def loading():
    try:
        ctypes.CDLL(f"{BOX}/box/lib.so")
    except OSError as error:
        return "EPERM" if "not permitted" in str(error) else str(error)


def probing(*arguments):
    return subprocess.run([PROBE, *map(str, arguments)], capture_output=True,
                          text=True).stdout.strip()


def opening(path, flags=READ):
    return lambda: open_close(path, flags)


def new_tmpfs():
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "new",
                    f"{BOX}/tmpfs"], check=True)
    write_file(f"{BOX}/tmpfs/file")
    gatekeeper.wait_for(f"covered: {BOX}/tmpfs")


def new_ext4():
    image = "/mnt/ext4.img"
    with open(image, "wb") as out:
        out.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, f"{BOX}/ext4"], check=True)
    write_file(f"{BOX}/ext4/file")
    gatekeeper.wait_for(f"covered: {BOX}/ext4")


def over_mount():
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "over",
                    f"{BOX}/over"], check=True)
    write_file(f"{BOX}/over/file")
    gatekeeper.wait_for(f"covered: {BOX}/over")


def bind():
    subprocess.run(["mount", "--bind", f"{BOX}/box", f"{BOX}/bind"],
                   check=True)
    gatekeeper.wait_for(f"covered: {BOX}/bind")


def rename_folder():
    os.rename(f"{BOX}/a", f"{BOX}/b")


def link_after():
    os.link(FILE, f"{BOX}/hl/after")


BOX_ONLY = read(f"{BOX}/box")

# name, what is done, rules that allow, rules that deny, and a preparation
# that comes after the policy is live.
PAIRS = [
    ("read", opening(FILE), BOX_ONLY, read(f"{BOX}/other")),
    ("write", opening(FILE, WRITE), write(f"{BOX}/box"), BOX_ONLY),
    ("read and write", opening(FILE, os.O_RDWR), write(f"{BOX}/box"),
     BOX_ONLY),
    ("create", creating, write(f"{BOX}/box"), BOX_ONLY),
    ("append", opening(FILE, WRITE | os.O_APPEND), write(f"{BOX}/box"),
     BOX_ONLY),
    ("open truncating", truncating, write(f"{BOX}/box"), BOX_ONLY),
    ("list a folder", listing, BOX_ONLY, read(f"{BOX}/other")),
    ("sh of a script, an open",
     lambda: running("/bin/sh", f"{BOX}/box/script"), BOX_ONLY, ""),
    ("a shared library", loading, BOX_ONLY, read(f"{BOX}/other")),
    ("a symlink in", opening(f"{BOX}/links/in"), BOX_ONLY,
     read(f"{BOX}/links")),
    ("a symlink out", opening(f"{BOX}/box/out"), read(f"{BOX}/other"),
     BOX_ONLY),
    ("..", opening(f"{BOX}/box/../other/file"), read(f"{BOX}/other"),
     BOX_ONLY),
    ("O_PATH, then /proc/self/fd/N", through_fd, BOX_ONLY,
     read(f"{BOX}/other")),
    ("O_PATH of a folder, then below it", through_folder_fd, BOX_ONLY,
     read(f"{BOX}/other")),
    ("/proc/self/root", opening(f"/proc/self/root{FILE}"), BOX_ONLY,
     read(f"{BOX}/other")),
    ("a hard link made before", opening(f"{BOX}/hl/before"),
     read(f"{BOX}/hl"), read(f"{BOX}/hl") + deny(FILE)),
    ("a hard link made after", opening(f"{BOX}/hl/after"),
     read(f"{BOX}/hl"), read(f"{BOX}/hl") + deny(FILE), link_after),
    ("a renamed folder", opening(f"{BOX}/b/file"), read(f"{BOX}/b"),
     read(f"{BOX}/a"), rename_folder),
    ("a bind mount", opening(f"{BOX}/bind/file"), read(f"{BOX}/bind"),
     BOX_ONLY, bind),
    ("an over-mount", opening(f"{BOX}/over/file"), read(f"{BOX}/over"),
     BOX_ONLY, over_mount),
    ("a tmpfs mounted later", opening(f"{BOX}/tmpfs/file"),
     read(f"{BOX}/tmpfs"), BOX_ONLY, new_tmpfs),
    ("an ext4 mounted later", opening(f"{BOX}/ext4/file"),
     read(f"{BOX}/ext4"), BOX_ONLY, new_ext4),
    ("io_uring, reading", lambda: probing("uring", FILE, READ),
     write(f"{BOX}/box"), ""),
    ("io_uring, writing", lambda: probing("uring", FILE, WRITE),
     write(f"{BOX}/box"), BOX_ONLY),
    ("openat2, which hides its flags",
     lambda: probing("openat2", FILE, WRITE), write(f"{BOX}/box"), BOX_ONLY),
    ("a name with a newline", opening(f"{BOX}/box/new\nline"), BOX_ONLY, ""),
    ("a name that is not UTF-8", opening(os.fsencode(BOX) + b"/box/\xff\xfe"),
     BOX_ONLY, ""),
    ("a path of 4,000 bytes", opening(LONG), read(f"{BOX}/long"),
     read(f"{BOX}/lon")),
    ("/secret2 beside a denied /secret", opening(f"{BOX}/secret2/file"),
     read(BOX) + deny(f"{BOX}/secret"), read(BOX) + deny(f"{BOX}/secret2")),
    ("a deny pattern", opening(FILE), read(BOX) + deny("**/fil"),
     read(BOX) + deny("**/fil?")),
    ("a deeper rule wins, allowing", opening(FILE),
     deny(BOX) + BOX_ONLY, read(BOX) + deny(f"{BOX}/box")),
]

RUN_PAIRS = [
    ("run an ELF program", lambda: running(f"{BOX}/box/true"),
     programs(f"{BOX}/box/true"), programs(f"{BOX}/box/tru")),
    ("run a script by its shebang", lambda: running(f"{BOX}/box/script"),
     programs(f"{BOX}/box/script"), programs()),
    ("run a program of the system", lambda: running("/usr/bin/perl", "-e1"),
     programs("/usr/bin/perl"), programs()),
    ("run a copied program", lambda: running(f"{BOX}/box/true"),
     programs(f"{BOX}/box"), programs("/usr/bin")),
    ("run what is not banned", lambda: running("/usr/bin/perl", "-e1"),
     'mode = "ban"; list = [ "/usr/bin/awk" ];',
     'mode = "ban"; list = [ "/usr/bin/perl" ];'),
    ("ld.so on a program, in ban mode",
     lambda: running(LOADER, "/usr/bin/perl", "-e1"),
     'mode = "ban"; list = [ "/usr/bin/awk" ];',
     'mode = "ban"; list = [ "/usr/bin/perl" ];'),
    ("ld.so on a program, ld.so listed",
     lambda: running(LOADER, "/usr/bin/perl", "-e1"),
     programs(LOADER, "/usr/lib", "/usr/bin/perl"),
     programs(LOADER, "/usr/lib")),
]
set_up_box()
gatekeeper = Gatekeeper(config())


def pair(name, do, allow, deny, prepare=None, **how):
    key = "programs" if how.get("run") else "files"
    # Programs under test live in the box: reading there is not the question.
    more = {"files": BOX_ONLY} if how.get("run") else {}
    # io_uring without a read rule needs the probe itself, which is listed.
    gatekeeper.reload(config(**{key: allow}, **more))
    if prepare:
        prepare()
    tap.equal(f"{name}: allowed", as_user(PUPPY, do), "ok")
    gatekeeper.reload(config(**{key: deny}, **more))
    before = rows()[-1]["seq"]
    tap.equal(f"{name}: denied", as_user(PUPPY, do), "EPERM")
    found = wait_rows("seq > ? AND verdict = 'deny' AND account = 'puppy'",
                      before)
    tap.check(f"{name}: written down", found, "no row")
    for user, uid in (("root", ROOT), ("kitten", KITTEN)):
        tap.equal(f"{name}: {user} is not refused", as_user(uid, do), "ok")


for case in PAIRS:
    pair(*case)
for case in RUN_PAIRS:
    pair(*case, run=True)

# Denied truncation leaves the content.
write_file(FILE)
gatekeeper.reload(config(files=BOX_ONLY))
as_user(PUPPY, truncating)
tap.equal("a refused truncation truncates nothing", open(FILE).read(),
          "content\n")

# io_uring hides whether it reads: in a folder for reading it is refused.
tap.equal("io_uring in a read folder counts as writing",
          as_user(PUPPY, lambda: probing("uring", FILE, READ)), "EPERM")
tap.equal("openat2 in a read folder counts as writing",
          as_user(PUPPY, lambda: probing("openat2", FILE, READ)), "EPERM")
tap.equal("plain reading there works", as_user(PUPPY, opening(FILE)), "ok")

# Registers tell of a call, and not of what the kernel opens on the way out of
# it: that counts as writing, too, and writes nothing.
FIFO = f"{BOX}/box/fifo"
os.mkfifo(FIFO, 0o666)
os.chmod(FIFO, 0o666)


def late(flags, how, path=FILE):
    return as_user(PUPPY, lambda: probing("uring-late", path, flags, FIFO,
                                          how))


for flags, how in ((WRITE, "openat worker"), (WRITE, "openat"),
                   (WRITE, "open"), (os.O_RDWR | os.O_TRUNC, "openat worker"),
                   (READ | os.O_TRUNC, "openat"),
                   (READ | os.O_TRUNC, "openat worker")):
    name = f"io_uring, flags {flags:o}, out of a read ({how})"
    write_file(FILE)
    gatekeeper.reload(config(files=BOX_ONLY))
    before = rows()[-1]["seq"]
    tap.equal(f"{name}: denied", late(flags, how), "EPERM")
    tap.equal(f"{name}: nothing written", open(FILE).read(), "content\n")
    tap.check(f"{name}: written down as writing", wait_rows(
        "seq > ? AND access = 'write' AND verdict = 'deny' AND target = ?",
        before, FILE))
    gatekeeper.reload(config(files=write(f"{BOX}/box")))
    tap.equal(f"{name}: allowed", late(flags, how), "ok")

# A core dump is written by the kernel in the name of a thread that reads.
DUMP = """
import ctypes, os, resource, signal, sys, threading, time
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
os.chdir(sys.argv[1])
def stop():
    time.sleep(0.3)
    os.kill(os.getpid(), int(sys.argv[3]))
threading.Thread(target=stop).start()
if sys.argv[2]:
    os.open(sys.argv[2], os.O_RDONLY)
time.sleep(10)
"""


def dumped(where, fifo, number):
    for name in os.listdir(where):
        if name.startswith("core"):
            os.unlink(f"{where}/{name}")
    run_as(PUPPY, ["/usr/bin/python3", "-c", DUMP, where, fifo,
                   str(int(number))])
    return [name for name in os.listdir(where) if name.startswith("core") and
            os.path.getsize(f"{where}/{name}")]


cores = "/proc/sys/kernel/core_pattern"
pattern = open(cores).read().strip() if os.access(cores, os.W_OK) else ""
if pattern.startswith(("|", "/")) or not pattern:
    tap.skip("core dumps", f"they go to {pattern!r}")
else:
    for fifo, number in (("", signal.SIGQUIT), (FIFO, signal.SIGQUIT),
                         (FIFO, signal.SIGSEGV), (FIFO, signal.SIGABRT)):
        name = f"a core dump by {number.name}" + (fifo and " out of a read")
        gatekeeper.reload(config(files=BOX_ONLY, profiles='"base", "python"'))
        tap.equal(f"{name}, where may only be read: none",
                  dumped(f"{BOX}/box", fifo, number), [])
        gatekeeper.reload(config(files=write(f"{BOX}/box"),
                                 profiles='"base", "python"'))
        tap.check(f"{name}, where may be written: one",
                  dumped(f"{BOX}/box", fifo, number))

# Where somebody has a file open for writing, that may be this very open.
gatekeeper.reload(config(files=BOX_ONLY))
write_file(FILE)
with open(FILE, "a"):
    tap.equal("a file that root writes to, and all may: not to be told",
              as_user(PUPPY, opening(FILE)), "EPERM")
if "LEASH_SLOW" in os.environ:
    tap.skip("if only for a moment: told",
             "in emulation a moment is longer than the gate waits for one")
else:
    writer = subprocess.Popen(["sh", "-c",
                               f"exec >> {FILE}; echo; sleep 0.02"])
    while os.path.getsize(FILE) == len("content\n"):
        pass
    tap.equal("if only for a moment: told", as_user(PUPPY, opening(FILE)), "ok")
    writer.wait()
os.chmod(FILE, 0o644)
with open(FILE, "a"):
    tap.equal("where the modes let only root write: told",
              as_user(PUPPY, opening(FILE)), "ok")
os.chmod(FILE, 0o666)
with open(FILE, "a"):
    gatekeeper.reload(config(files=write(f"{BOX}/box")))
    tap.equal("in a folder for writing: no question",
              as_user(PUPPY, opening(FILE)), "ok")

# open_by_handle_at takes CAP_DAC_READ_SEARCH, which the account has not.
HANDLE = ["handle", FILE, BOX, READ]
CAPABLE = ["setpriv", "--reuid", "puppy", "--regid", "puppy",
           "--clear-groups", "--inh-caps", "+dac_read_search",
           "--ambient-caps", "+dac_read_search", PROBE]
gatekeeper.reload(config(files=write(BOX)))
tap.equal("open_by_handle_at without the capability",
          as_user(PUPPY, lambda: probing(*HANDLE)), "EPERM")
tap.equal("open_by_handle_at with it: allowed",
          subprocess.run(CAPABLE + list(map(str, HANDLE)),
                         capture_output=True, text=True).stdout.strip(), "ok")
gatekeeper.reload(config(files=write(BOX) + deny(f"{BOX}/box/file")))
tap.equal("open_by_handle_at with it: denied",
          subprocess.run(CAPABLE + list(map(str, HANDLE)),
                         capture_output=True, text=True).stdout.strip(),
          "EPERM")

# Every uid of a process counts, and its subordinate ones.
gatekeeper.reload(config(files=read(f"{BOX}/other")))
for name, uids in (("real", (PUPPY, KITTEN, KITTEN)),
                   ("effective", (KITTEN, PUPPY, KITTEN)),
                   ("saved", (KITTEN, KITTEN, PUPPY)),
                   ("subordinate", (SUBORDINATE,) * 3)):
    tap.equal(f"{name} uid: denied", as_user(uids, opening(FILE)), "EPERM")
    tap.equal(f"{name} uid: allowed", as_user(uids, opening(OTHER)), "ok")
libc = ctypes.CDLL(None)


def with_fsuid(path):
    libc.setfsuid(PUPPY)
    open_close(path)


tap.equal("file system uid: denied", as_user(ROOT, with_fsuid, FILE), "EPERM")
tap.equal("file system uid: allowed", as_user(ROOT, with_fsuid, OTHER), "ok")


def in_thread(path):
    """A thread with other credentials than its leader."""
    result = []

    def body():
        libc.syscall(117, PUPPY, PUPPY, PUPPY)  # setresuid, this thread only
        try:
            open_close(path)
            result.append("ok")
        except OSError as error:
            result.append(errno.errorcode[error.errno])
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return result[0]


if os.uname().machine == "x86_64":
    tap.equal("a thread of the account in root's process: denied",
              as_user(ROOT, in_thread, FILE), "EPERM")
    tap.equal("a thread of the account in root's process: allowed",
              as_user(ROOT, in_thread, OTHER), "ok")

# Mount namespaces of the account's own prove nothing.
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000


def in_own_namespace(path, over=None):
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS):
        return "cannot unshare"
    if over:
        libc.prctl(4, 1)  # PR_SET_DUMPABLE: lost by changing uids
        with open("/proc/self/uid_map", "w") as out:
            out.write(f"0 {PUPPY} 1")
        if libc.mount(path.encode(), over.encode(), None, 4096, None):
            return "cannot mount"
        path = over
    open_close(path)


gatekeeper.reload(config(files=read(f"{BOX}/other")))
tap.equal("an allowed file in a namespace of its own: denied",
          as_user(PUPPY, in_own_namespace, OTHER), "EPERM")
tap.equal("a denied file bound over an allowed one: denied",
          as_user(PUPPY, in_own_namespace, FILE, OTHER), "EPERM")
tap.equal("the same file in the host's: allowed",
          as_user(PUPPY, opening(OTHER)), "ok")
tap.equal("another user in a namespace of its own is not refused",
          as_user(KITTEN, in_own_namespace, OTHER), "ok")
tap.check("the reason is written down",
          wait_rows("reason LIKE 'reached through a mount%'"))


# A deleted file's name proves nothing.
def deleted():
    path = f"{BOX}/other/deleted-{os.getpid()}"
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    os.unlink(path)
    open_close(f"/proc/self/fd/{fd}")


gatekeeper.reload(config(files=write(f"{BOX}/other")))
tap.equal("a deleted file, opened again: denied", as_user(PUPPY, deleted),
          "EPERM")
tap.equal("a deleted file: kitten is not refused", as_user(KITTEN, deleted),
          "ok")
TMPFILE = os.O_TMPFILE | os.O_RDWR
tap.equal("O_TMPFILE in a write folder: allowed",
          as_user(PUPPY, opening(f"{BOX}/other", TMPFILE)), "ok")
tap.equal("O_TMPFILE elsewhere: denied",
          as_user(PUPPY, opening(f"{BOX}/box", TMPFILE)), "EPERM")

# Loaders and other ways to run what may not be run.
gatekeeper.reload(config(files=read(f"{BOX}/box") + write(f"{BOX}/other")))
tap.equal("ld.so on a forbidden program",
          as_user(PUPPY, lambda: running(LOADER, "/usr/bin/perl", "-e1")),
          "EPERM")
# An exec that fails late has had its loader opened; older kernels fail early.
out = as_user(PUPPY, lambda: probing("too-big", "/usr/bin/cat", LOADER,
                                     "/usr/bin/perl"))
tap.check("ld.so on a forbidden program, after an exec that failed",
          out in ("", "EPERM"), out)
tap.check("that program was refused",
          wait_rows("verdict = 'deny' AND target = '/usr/bin/perl' AND "
                    "reason LIKE 'a program loader%'"))
tap.equal("an allowed program after that",
          as_user(PUPPY, lambda: running("/usr/bin/cat", "/etc/hosts")), "ok")
tap.equal("a dynamic program from a memfd",
          as_user(PUPPY, lambda: probing("memfd", f"{BOX}/box/true")),
          "EPERM")
tap.check("its loader was refused",
          wait_rows("verdict = 'deny' AND kind = 'exec' AND "
                    "target LIKE '%ld-linux%'"))


def fake_loader():
    path = f"{BOX}/other/ld-linux-x86-64.so.2"
    shutil.copy("/usr/bin/perl", path) if not os.path.exists(path) else None
    os.chmod(path, 0o755)


as_user(KITTEN, fake_loader)
tap.equal("a program that calls itself a loader",
          as_user(PUPPY, lambda: probing(
              "too-big", "/usr/bin/cat",
              f"{BOX}/other/ld-linux-x86-64.so.2", "/dev/null")), "EPERM")

# A process that reads here and writes there in threads: never mixed up.
gatekeeper.reload(config(files=read(f"{BOX}/box") + write(f"{BOX}/other")))
os.chmod(FILE, 0o666)
tap.equal("threads that read while others write: no false refusal",
          as_user(PUPPY, lambda: probing("mixed", 2, FILE,
                                         f"{BOX}/other/mixed")), "0")

# Programs by content.
digest = subprocess.run(["sha256sum", f"{BOX}/box/true"], text=True,
                        capture_output=True).stdout.split()[0]
HASHED = f'hash = ( {{ path = "{BOX}/box/true"; sha256 = "%s"; }} );'
gatekeeper.reload(config(files=BOX_ONLY, programs=HASHED % digest))
tap.equal("the right content runs",
          as_user(PUPPY, lambda: running(f"{BOX}/box/true")), "ok")
with open(f"{BOX}/box/true", "ab") as out:
    out.write(b"x")
tap.equal("changed since: denied",
          as_user(PUPPY, lambda: running(f"{BOX}/box/true")), "EPERM")
gatekeeper.reload(config(files=BOX_ONLY, programs=HASHED % digest))
tap.equal("still denied after a reload",
          as_user(PUPPY, lambda: running(f"{BOX}/box/true")), "EPERM")

# Modes and ends.
gatekeeper.reload(config(more='mode = "observe";'))
tap.equal("observe mode refuses nothing", as_user(PUPPY, opening(FILE)), "ok")
tap.check("and writes down what it would have",
          wait_rows("verdict = 'observe' AND target = ?", FILE))
gatekeeper.reload(config(
    files=read(BOX) + f'deny = ( {{ path = "{BOX}/box"; mode = "observe"; '
    'name = "try me"; } );'))
tap.equal("a rule in observe mode refuses nothing",
          as_user(PUPPY, opening(FILE)), "ok")
tap.check("and is written down by name", wait_rows("rule = 'try me'"))
soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
gatekeeper.reload(config(files=f'read = ( {{ path = "{BOX}"; until = '
                         f'"{soon}"; }} );'))
tap.equal("a grant holds until its end", as_user(PUPPY, opening(FILE)), "ok")
time.sleep(3.2)
tap.equal("and not beyond", as_user(PUPPY, opening(FILE)), "EPERM")
gatekeeper.reload(config(files=f'read = ( {{ path = "{BOX}"; log = false; '
                         '} );'))
before = rows()[-1]["seq"]
as_user(PUPPY, opening(FILE))
as_user(PUPPY, opening("/etc/shadow-"))
wait_rows("seq > ? AND verdict = 'deny'", before, seconds=2)
tap.equal("log = false keeps what it allows out of the log",
          len(rows("seq > ? AND target = ?", before, FILE)), 0)

tap.equal("one gate answered from beginning to end",
          gatekeeper.file_gates(), 1)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.equal("afterwards nobody is leashed", as_user(PUPPY, opening(FILE)), "ok")
tap.finish()
