"""What an account holds, and opens meanwhile: others wait for none of it."""

import ctypes
import fcntl
import mmap

from harness import *

F_SETLEASE, F_RDLCK, F_WRLCK = 1024, 0, 1
SECONDS = 6
MINE, OWN = f"{BOX}/mine", f"{BOX}/own/file"
OPEN, SHUT = f"{BOX}/open/file", f"{BOX}/shut/file"
SLOW = float(os.environ.get("LEASH_SLOW", "1"))

tap = Tap()
os.makedirs(MINE)
os.chown(MINE, PUPPY, PUPPY)
write_file(f"{MINE}/file")
os.chown(f"{MINE}/file", PUPPY, PUPPY)
write_file(OPEN, mode=0o666)
write_file(SHUT, mode=0o666)
write_file(OWN, mode=0o600)
os.chown(OWN, KITTEN, KITTEN)
gatekeeper = Gatekeeper(config(
    files=f'write = [ "{MINE}", "/dev/null" ]; '
          f'read = [ "{BOX}/open", "{BOX}/heap" ];',
    programs=f'list = [ "{PROBE}", "{MINE}", "/usr/bin/true" ];'))


# What the account does; each returns after so many seconds.

def take_lease(number, kind, flags, end):
    n = 0
    while time.monotonic() < end:
        path = f"{MINE}/lease-{number}-{n}"
        n += 1
        try:
            if kind == F_RDLCK:
                open_close(path, os.O_RDWR | os.O_CREAT)
                fd = os.open(path, os.O_RDONLY)
            else:
                fd = os.open(path, os.O_RDWR | os.O_CREAT)
            fcntl.fcntl(fd, F_SETLEASE, kind)
        except OSError:
            continue
        if os.fork() == 0:
            try:
                open_close(path, flags)
            except OSError:
                pass
            os._exit(0)
        time.sleep(0.3)
        os.close(fd)


def leases(kind, flags):
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    end = time.monotonic() + SECONDS
    for number in range(4):
        if os.fork() == 0:
            take_lease(number, kind, flags, end)
            os._exit(0)
    time.sleep(SECONDS)


def list_slowly(end):
    """List /proc into pages that are to be had only once a fork is done, which
    takes long where much is mapped."""
    size, private = 64 << 20, mmap.MAP_PRIVATE
    file = os.memfd_create("much")
    os.posix_fallocate(file, 0, size)
    much = [mmap.mmap(file, size, private) for _ in range(300)]
    for each in much:
        each[0] = 1
        each.madvise(22)  # MADV_POPULATE_READ
    libc, pages = ctypes.CDLL(None), mmap.mmap(-1, 1 << 20, private)
    buffer = ctypes.addressof(ctypes.c_char.from_buffer(pages))

    def listing():
        proc = os.open("/proc", os.O_RDONLY)
        while time.monotonic() < end:
            pages.madvise(mmap.MADV_DONTNEED)
            os.lseek(proc, 0, os.SEEK_SET)
            libc.getdents64(proc, ctypes.c_void_p(buffer),
                            ctypes.c_size_t(len(pages)))

    threading.Thread(target=listing, daemon=True).start()
    while time.monotonic() < end:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


def make_in_proc(end):
    while time.monotonic() < end:
        try:
            os.mkdir("/proc/x")
        except OSError:
            time.sleep(0.0002)


def open_in_new_threads(end):
    while time.monotonic() < end:
        thread = threading.Thread(target=open_close, args=[f"{MINE}/file"])
        thread.start()
        thread.join()
        time.sleep(0.001)


def lock_proc():
    end = time.monotonic() + SECONDS
    workers = (list_slowly, make_in_proc, make_in_proc, open_in_new_threads)
    for work in workers:
        if os.fork() == 0:
            work(end)
            os._exit(0)
    for _ in workers:
        os.wait()


# What others notice.

def opens(path, seconds):
    """Opens it again and again: how long each took, in ms."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        open_close(path)
        took.append((time.monotonic() - begin) * 1000)
        time.sleep(0.01)
    return took


def others_while(name, attack, *arguments):
    wait = meanwhile(PUPPY, attack, *arguments)
    time.sleep(1)
    took = as_user(KITTEN, opens, OWN, SECONDS - 2)
    result = wait()
    tap.equal(f"{name}: done", result, "ok")
    if not isinstance(took, list):
        tap.check(f"{name}: others open", False, took)
        return
    share = sum(took) / 1000 / (SECONDS - 2)
    print(f"# {name}: {len(took)} opens of another user's, worst "
          f"{max(took):.0f} ms, waited {share:.0%} of the time")
    # Behind leases it was 85 %.
    tap.check(f"{name}: others do not wait", share < 0.25 * SLOW ** 0.5,
              f"{share:.0%}")


others_while("write leases", leases, F_WRLCK, os.O_RDONLY)
others_while("write leases, opened to write", leases, F_WRLCK, os.O_RDWR)
others_while("read leases, opened to write", leases, F_RDLCK, os.O_WRONLY)
others_while("/proc listed slowly", lock_proc)

tap.equal("and the account may do what it may",
          as_user(PUPPY, open_close, OPEN), "ok")
tap.equal("and not what it may not",
          as_user(PUPPY, open_close, SHUT), "EPERM")

# A file that is deleted while its open is asked about, by a thread that dies:
# ours is the last descriptor, and who closes it frees the file.
HEAP, HEAP_IMAGE, PIECES = f"{BOX}/heap", "/mnt/heap.img", 60000
os.makedirs(HEAP)
subprocess.run(["truncate", "-s", "512M", HEAP_IMAGE], check=True)
subprocess.run(["mkfs.ext4", "-q", "-b", "1024", HEAP_IMAGE], check=True)
subprocess.run(["mount", "-o", "loop", HEAP_IMAGE, HEAP], check=True)
gatekeeper.wait_for(f"covered: {HEAP} (ext4)")


def ran_ns():
    """For how long each file gate has had a processor, by its pid."""
    return {pid: int(open(f"/proc/{pid}/schedstat").read().split()[0])
            for pid in gatekeeper.pids("leash-fanotify")}


def ran_most(since):
    now = ran_ns()
    return max(now, key=lambda pid: now[pid] - since.get(pid, 0))


def delete_while_asked(path):
    """What is asked about is open for writing, so the gate thinks it over."""
    writer = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.fchown(writer, PUPPY, PUPPY)
    for piece in range(PIECES):
        os.posix_fallocate(writer, piece * 2048, 1024)
    blocks = os.statvfs(HEAP).f_bfree
    since = ran_ns()
    opener = os.fork()
    if opener == 0:
        become(PUPPY)
        open_close(path)
        os._exit(0)
    time.sleep(0.02)
    os.kill(opener, signal.SIGKILL)
    os.unlink(path)
    os.close(writer)
    held = os.statvfs(HEAP).f_bfree == blocks
    os.waitpid(opener, 0)
    end = time.monotonic() + 10 * SLOW
    while os.statvfs(HEAP).f_bfree < blocks + PIECES and \
            time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    return held, ran_most(since)


since = ran_ns()
for _ in range(2000):
    open_close(OWN)
answers, freed_by = ran_most(since), set()
for n in range(4):
    held, pid = delete_while_asked(f"{HEAP}/{n}")
    if held:
        freed_by.add(pid)
tap.check("a deleted file is freed", freed_by)
tap.check("by no gate that answers", answers not in freed_by,
          f"{answers} answers, freed by {freed_by}")
tap.check("nor did one die of it",
          freed_by | {answers} <= set(gatekeeper.pids("leash-fanotify")))
subprocess.run(["umount", HEAP], check=True)

# A file that cannot be opened, by the gate as little as by anybody: the kernel
# refuses that one, and no gate dies of it.
DISK, IMAGE, EXT4_IOC_SHUTDOWN = f"{BOX}/disk", "/mnt/waits.img", 0x8004587d
os.makedirs(DISK)
subprocess.run(["truncate", "-s", "64M", IMAGE], check=True)
subprocess.run(["mkfs.ext4", "-q", IMAGE], check=True)
subprocess.run(["mount", "-o", "loop", IMAGE, DISK], check=True)
os.chmod(DISK, 0o755)
for owner, name in ((PUPPY, "puppy"), (KITTEN, "kitten")):
    write_file(f"{DISK}/{name}")
    os.chown(f"{DISK}/{name}", owner, owner)
gatekeeper.wait_for(f"covered: {DISK} (ext4)")
folder = os.open(DISK, os.O_RDONLY)
fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, b"\2\0\0\0")
os.close(folder)
gates = gatekeeper.pids("leash-fanotify")
for uid, name in ((KITTEN, "kitten"), (PUPPY, "puppy")):
    said = {as_user(uid, open_close, f"{DISK}/{name}") for _ in range(20)}
    tap.check(f"a broken disk, {name}: errors", "ok" not in said, said)
    tap.equal("others open", as_user(KITTEN, open_close, OWN), "ok")
    tap.equal("the account opens what it may",
              as_user(PUPPY, open_close, OPEN), "ok")
    tap.equal("and not what it may not", as_user(PUPPY, open_close, SHUT),
              "EPERM")
tap.equal("no gate died of it", gatekeeper.pids("leash-fanotify"), gates)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
subprocess.run(["umount", DISK], check=True)
tap.finish()
