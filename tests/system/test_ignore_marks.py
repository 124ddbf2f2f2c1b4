"""What the kernel opens without asking: which files, and until when."""

import select
import shutil

from harness import *

tap = Tap()
LIB, LOGGED, TWICE, SECRET = (f"{BOX}/{name}" for name in
                              ("lib", "logged", "twice", "secret"))
for name in ("file", "everybodys", "puppys", "moved", "written", "opened",
             "linked", "gone", "others"):
    write_file(f"{LIB}/{name}", mode=0o644)
write_file(f"{LOGGED}/file", mode=0o644)
write_file(f"{TWICE}/file", mode=0o644)
write_file(f"{SECRET}/none", mode=0o644)
os.chmod(f"{LIB}/everybodys", 0o666)
os.chown(f"{LIB}/puppys", PUPPY, PUPPY)
for program in ("allowed", "denied"):
    shutil.copy("/bin/true", f"{LIB}/{program}")
libc = next(line.split()[-1] for line in open("/proc/self/maps")
            if "libc.so" in line)
shutil.copy(libc, f"{LIB}/libc.so.6")
loader = os.path.realpath("/lib64/ld-linux-x86-64.so.2")


def policy(more=""):
    return config(
        files=f"""read = ( {{ path = "{LIB}"; log = false; }}, "{LOGGED}",
                  {{ path = "{TWICE}"; log = false; }}, "{TWICE}" );
                  deny = [ "{SECRET}" {more} ];""",
        programs=f'list = [ "{PROBE}", "{LIB}/allowed", "{loader}" ];')


gatekeeper = Gatekeeper(policy())


def status(key):
    return json.loads(subprocess.run(
        ["leash", "status", "--json"], capture_output=True,
        text=True).stdout).get(key)


def unasked(path, uid=PUPPY):
    """Does an open of it end while the gate stands still?"""
    gate = status("file_gate")
    reader, writer = os.pipe()
    os.kill(gate, signal.SIGSTOP)
    pid = os.fork()
    if pid == 0:
        try:
            become(uid)
            open_close(path)
        except OSError:
            pass
        os.write(writer, b"x")
        os._exit(0)
    ended = bool(select.select([reader], [], [], 0.15)[0])
    os.kill(gate, signal.SIGCONT)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
    return ended


def opened(path, uid=PUPPY, flags=os.O_RDONLY):
    return as_user(uid, open_close, path, flags)


def known(path, uid=PUPPY, have_it_opened=opened):
    """Does the kernel open it by itself once it has been opened?  All is
    forgotten now and then, which may be just now."""
    for _ in range(3):
        have_it_opened(path)
        if unasked(path, uid):
            return True
    return False


tap.check("a file that may be read, unlogged: the kernel opens it by itself",
          known(f"{LIB}/file"))
tap.check("so it does for everybody", known(f"{LIB}/file", KITTEN))
tap.check("leash status counts it", status("unasked") > 0)
tap.equal("nothing of it is in the log",
          rows("target = ?", f"{LIB}/file"), [])
for name, why in (("everybodys", "that all may write"),
                  ("puppys", "of the account's own")):
    tap.check(f"a file {why}: asked", not known(f"{LIB}/{name}"))
tap.check("a file whose opens are logged: asked",
          not known(f"{LOGGED}/file"))
tap.check("a file that one rule logs and another does not: asked, and logged",
          not known(f"{TWICE}/file") and
          wait_rows("target = ?", f"{TWICE}/file"))
tap.check("a file that is denied: asked, and refused", not unasked(
    f"{SECRET}/none") and opened(f"{SECRET}/none") == "EPERM")
tap.check("a folder: asked", not known(LIB))
tap.check("a library: not asked", known(f"{LIB}/libc.so.6"))

tap.check("a file that another user opens all the time: not asked",
          known(f"{LIB}/others", have_it_opened=lambda path: [
              opened(path, KITTEN) for _ in range(100)]))

# Programs: that they are run is asked and logged each time.
times = []


def run_allowed(path):
    for _ in range(5):
        times.append(run_as(PUPPY, [path]))


tap.check("a program that may be run: its open is not asked",
          known(f"{LIB}/allowed", have_it_opened=run_allowed))
end = time.monotonic() + 10
while len(rows("kind = 'exec' AND target = ?", f"{LIB}/allowed")) < \
        len(times) and time.monotonic() < end:
    time.sleep(0.1)
tap.equal("that it is run is asked, and logged, each time",
          len(rows("kind = 'exec' AND target = ?", f"{LIB}/allowed")),
          len(times))
tap.check("a program that may not be run: asked", not known(f"{LIB}/denied"))
tap.equal("and not run", run_as(PUPPY, [f"{LIB}/denied"]), "EPERM")
tap.check("nor by the loader",
          "denied" in run_as(PUPPY, [loader, f"{LIB}/denied"]))

# How it ends.
for name in ("moved", "written", "linked", "gone", "opened"):
    tap.check(f"{name}: not asked", known(f"{LIB}/{name}"))
os.rename(f"{LIB}/written", f"{SECRET}/written")
with open(f"{SECRET}/written", "a") as out:
    out.write("a secret\n")
tap.equal("written to since it is denied: refused at once",
          opened(f"{SECRET}/written"), "EPERM")
os.rename(f"{LIB}/moved", f"{SECRET}/moved")
os.link(f"{LIB}/linked", f"{SECRET}/linked")
os.chmod(f"{LIB}/opened", 0o666)
end = time.monotonic() + 15
while time.monotonic() < end and \
        opened(f"{LIB}/opened", flags=os.O_WRONLY) == "ok":
    time.sleep(0.2)
for path, flags, why in (
        (f"{SECRET}/moved", os.O_RDONLY, "moved to where it is denied"),
        (f"{SECRET}/linked", os.O_RDONLY, "linked from where it is denied"),
        (f"{LIB}/opened", os.O_WRONLY, "writable since, to write")):
    tap.equal(f"{why}: refused soon", opened(path, flags=flags), "EPERM")
tap.equal("and reading what may be read goes on", opened(f"{LIB}/linked"), "ok")

tap.check("before a reload: not asked", known(f"{LIB}/gone"))
gatekeeper.reload(policy(f', "{LIB}/gone"'))
tap.equal("a reload that denies: refused at once", opened(f"{LIB}/gone"),
          "EPERM")
tap.check("the others are soon not asked again", known(f"{LIB}/file"))
old = status("file_gate")
os.kill(old, signal.SIGKILL)
end = time.monotonic() + 10
while status("file_gate") in (old, None) and time.monotonic() < end:
    time.sleep(0.05)
tap.check("a new gate begins anew", not unasked(f"{LIB}/file"))
tap.check("and comes to the same", known(f"{LIB}/file"))
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
