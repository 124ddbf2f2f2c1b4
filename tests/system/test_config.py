"""Nothing that an account makes can make a configuration wrong: whatever it
leaves where a rule's path leads, rules are changed, taken back and read again,
the leash is put on at a first start, and what is denied stays denied."""

import ctypes
import fcntl
import hashlib
import shutil
import subprocess
import threading

from harness import *

HOME = "/home/puppy"
WORK = "/srv/work"
SECRET = "/srv/secret/payroll.txt"
TOOL = f"{HOME}/bin/tool"
SUM = hashlib.sha256(open("/usr/bin/true", "rb").read()).hexdigest()
RULES = f"""
watch = [ "/", "{HOME}/disk/a" ];
accounts = (
  {{ account = "puppy";
    profiles = [ "base", "claude-code", "node" ];
    files = {{
      read = [ "~/cache", "/srv/shared/docs", "/srv/root-link" ];
      write = [ "{WORK}", "~/notes" ];
      deny = [ "~/keys", "{HOME}/vault/**/x", "/srv/shared/deny" ];
    }};
    programs = {{ list = [ "{PROBE}", "~/own/run" ];
                 hash = ( {{ path = "{TOOL}"; sha256 = "{SUM}"; }} ); }};
    network = {{ allow = ( {{ net = "192.0.2.1"; program = "{HOME}/net/p"; }} ); }};
  }},
  {{ account = "kitten"; profiles = [ "base" ];
    files = {{ read = [ "/srv/kitten" ]; deny = [ "/home/puppy/lair" ]; }}; }}
);
"""
HASH_LINE = RULES[:RULES.index("hash = ")].count("\n") + 1
LOCAL = "/etc/leash.d/50-local.conf"
libc = ctypes.CDLL(None, use_errno=True)
tap = Tap()


def leash(*words, seconds=50):
    done = subprocess.run(["leash", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=seconds)
    return done.returncode, done.stdout + done.stderr


def check():
    done = subprocess.run(["gatekeeper", "--check", "--config", CONFIG],
                          capture_output=True, text=True, timeout=50)
    return done.returncode, done.stdout + done.stderr


def opens(path, uid=PUPPY):
    return as_user(uid, lambda: open_close(path))


def shell(text):
    """What the account leaves; the gates' word on it is not the matter."""
    subprocess.run(["/bin/bash", "-ec", text + f"""
        chown -hR 64001:64001 {HOME} {WORK}"""], cwd=HOME, check=True)


def clear():
    for name in os.listdir(HOME):
        path = f"{HOME}/{name}"
        if os.path.ismount(path):
            libc.umount2(path.encode(), 2)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    for path in ("/srv/shared/docs", "/srv/shared/deny"):
        if os.path.lexists(path):
            os.unlink(path)


def works(what, wants=(), wants_not=()):
    """All that an administrator does, and that nothing is open for it."""
    code, text = check()
    tap.check(f"{what}: the configuration is right", code == 0, text)
    for word in wants:
        tap.check(f"{what}: the note says {word}", any(
            word in line and "note: " in line for line in text.splitlines()),
            text)
    for word in wants_not:
        tap.check(f"{what}: nothing of {word}", word not in text, text)
    for words in (("deny", "host", "evil.example", "--account", "puppy"),
                  ("undo",), ("mode", "enforce"), ("undo",), ("reload",)):
        code, text = leash(*words)
        tap.check(f"{what}: leash {words[0]}", code == 0, text)
    tap.equal(f"{what}: what is denied stays denied", opens(SECRET), "EPERM")


write_file(SECRET, mode=0o644)
write_file("/srv/real/docs.txt", mode=0o644)
write_file("/srv/kitten/milk", mode=0o644)
os.makedirs(WORK)
os.chown(WORK, PUPPY, PUPPY)
os.makedirs("/srv/shared")
os.chown("/srv/shared", 0, PUPPY)
os.chmod("/srv/shared", 0o775)
os.symlink("/srv/real", "/srv/root-link")
shell("mkdir -p disk/a cache keys vault own bin net notes; echo > own/run")
gatekeeper = Gatekeeper(RULES)
tap.equal("a link of root's is followed", opens("/srv/real/docs.txt"), "ok")
works("as it was meant", wants_not=("symlink",))

# Links.
clear()
shell(f"ln -s /srv/secret cache; ln -s /srv/secret/payroll.txt own; "
      f"ln -s nothing notes; mkdir net; ln -s /usr/bin/true net/p; "
      f"mkdir -p disk; ln -s / disk/a")
works("links that allow", (f"{HOME}/cache, a symlink", f"{HOME}/own",
                           f"{HOME}/notes", f"{HOME}/net/p", "disk/a",
                           "(/srv/secret)"))
clear()
shell(f"mkdir {WORK}/private; echo > {WORK}/private/x; echo > {WORK}/one; "
      f"ln -s {WORK}/private keys; ln -s {WORK}/private vault")
works("links that deny", (f"{HOME}/keys, a symlink", f"{WORK}/private",
                          "and where it leads now"))
tap.equal("links that deny: where they lead is denied",
          opens(f"{WORK}/private/x"), "EPERM")
tap.equal("links that deny: nothing else", opens(f"{WORK}/one"), "ok")
clear()
shell(f"ln -s {WORK} keys")
works("a link that denies to what a rule allows", ("keys",))
tap.equal("that rule stands", opens(f"{WORK}/one"), "ok")
clear()
shell("mkdir keys; echo > keys/k; ln -s . cache; mkdir -p disk/a")
works("a link to its own folder", ("cache",))
tap.equal("denied as written", opens(f"{HOME}/keys/k"), "EPERM")
clear()
shell("ln -s keys cache; ln -s cache keys; ln -s own own; ln -s tool bin; "
      f"ln -s {'x/' * 2000}x notes; ln -s l1 vault; "
      "for n in {1..60}; do ln -s l$((n + 1)) l$n; done")
works("loops, chains and what is too long", (
    "cache", "keys", "notes",
    f'"~/cache" leads through {HOME}/cache, a symlink that an account can '
    f"change, into a loop of symlinks at {HOME}/",
    f'"~/own/run" leads through {HOME}/own, a symlink that an account can '
    f"change, into a loop of symlinks at {HOME}/own, and allows nothing; "
    "remove that one, or have it lead where it should",
    f", into a loop of symlinks at {HOME}/keys, and what is denied is the "
    "path as written; remove"))
os.symlink("turn", "/srv/turn")
for what, before, after in (
        ("a rule", '"/srv/root-link"', '"/srv/turn/x"'),
        ("a filesystem", 'watch = [ "/", ', 'watch = [ "/", "/srv/turn", ')):
    write_config(RULES.replace(before, after))
    code, text = check()
    tap.check(f"{what} in a loop of root's: which, and what to do",
              code == 1 and "leads into a loop of symlinks at /srv/turn; "
              "remove that one, or name another " in text, text)
os.unlink("/srv/turn")
write_config(RULES)
clear()
shell(f"mkdir -p .local/bin .local/share/claude/versions {WORK}/moved; "
      "cp /usr/bin/true .local/share/claude/versions/2.1.0; "
      f"ln -s {HOME}/.local/share/claude/versions/2.1.0 .local/bin/claude; "
      f"ln -s {WORK}/moved .npm; mkdir -p disk/a")
works("an agent as its installer leaves it", wants_not=("symlink",))
tap.equal("and it runs", run_as(PUPPY, [f"{HOME}/.local/bin/claude"]), "")

# Who could have put it there.
clear()
shell("ln -s /srv/secret docs; ln -s /srv/secret deny; "
      "mv docs deny /srv/shared")
works("in a folder of a group that it is in", ("/srv/shared/docs",))
clear()
os.symlink("/srv/secret", "/srv/shared/docs")
works("root's link, in a folder where it may be moved", ("/srv/shared/docs",))
os.chmod("/srv/shared", 0o755)
os.unlink("/srv/shared/docs")
os.symlink("/srv/secret", "/srv/shared/docs")
tap.equal("where it may not, it is followed",
          (leash("reload")[0], opens(SECRET)), (0, "ok"))
os.lchown("/srv/shared/docs", SUBORDINATE, SUBORDINATE)
works("of one of its subordinate users", ("/srv/shared/docs",))
os.unlink("/srv/shared/docs")
os.symlink("/srv/secret", "/srv/shared/docs")
subprocess.run(["setfacl", "-m", "u:64001:rwx", "/srv/shared"], check=False)
if os.listxattr("/srv/shared"):
    works("root's link, where an ACL lets it", ("/srv/shared/docs",))
    subprocess.run(["setfacl", "-b", "/srv/shared"], check=True)
    os.chmod("/srv/shared", 0o755)
os.unlink("/srv/shared/docs")
os.symlink(f"/srv/work/deep", "/srv/shared/deny")
shell(f"ln -s /srv/kitten /srv/work/deep; ln -s /srv/kitten lair")
works("another account's link that denies", ("/home/puppy/lair",))
tap.equal("takes nothing from it", opens("/srv/kitten/milk", KITTEN), "ok")
os.unlink("/srv/shared/deny")
os.unlink("/srv/work/deep")

# Files of other kinds, and programs by content.
clear()
shell(f"mkdir bin disk disk/a; cp /usr/bin/true real; ln -s {HOME}/real bin/tool")
works("a program by content, through a link", wants_not=("bin/tool",))
tap.equal("runs", run_as(PUPPY, [TOOL]), "")
shell("cp /usr/bin/env real")
works("another content", ("not the one given",))
tap.equal("does not", run_as(PUPPY, [TOOL]), "EPERM")
for what, how in (("a pipe", f"mkfifo {TOOL}"),
                  ("a link to a file that reading changes",
                   f"ln -s /proc/kmsg {TOOL}"), ("nothing in it", f": > {TOOL}"),
                  ("a folder", f"mkdir {TOOL}"),
                  ("a huge file with nothing in it",
                   f"truncate -s 5T {TOOL} || truncate -s 2G {TOOL}"),
                  ("a socket", "/usr/bin/python3 -c 'import socket; "
                   f"socket.socket(socket.AF_UNIX).bind(\"{TOOL}\")'")):
    clear()
    shell(f"mkdir bin; {how}")
    begun = time.monotonic()
    works(what, (f"{CONFIG}:{HASH_LINE}: ",))
    tap.check(f"{what}: at once", time.monotonic() - begun < 20 *
              float(os.environ.get("LEASH_SLOW", "1")))
clear()
shell("mkdir bin")
with open(TOOL, "wb") as tool:
    tool.truncate(64 << 20)
os.chown(TOOL, PUPPY, PUPPY)
stop = threading.Event()


def keep_writing():
    with open(TOOL, "r+b") as tool:
        while not stop.is_set():
            tool.seek(0)
            tool.write(os.urandom(8))
            tool.flush()


writer = threading.Thread(target=keep_writing)
writer.start()
works("one that is written to meanwhile", (TOOL,))
stop.set()
writer.join()

# What it takes away, and what changes while it is looked at.
clear()
shell("mkdir -p keys cache vault; chmod 0 keys cache vault .")
works("folders that nobody may read")
os.chmod(HOME, 0o755)
clear()
works("nothing there at all", ("disk/a",))
FLIP = f"""
while :; do
    ln -sfn /srv/secret cache; ln -sfn cache keys; rm -f cache keys
    mkdir -p cache/a keys bin; echo > bin/tool; rm -rf cache keys bin
    mkfifo own; mv own bin; rm -f bin; mkdir -p disk/a; rm -rf disk
done"""
flipping = subprocess.Popen(["/bin/bash", "-c", FLIP], cwd=HOME,
                            stderr=subprocess.DEVNULL, start_new_session=True,
                            preexec_fn=lambda: become(PUPPY))
tap.equal("while it changes them all the time",
          [code for code, text in (check() for _ in range(25)) if code], [])
works("while it changes them")
os.killpg(flipping.pid, signal.SIGKILL)
flipping.wait()
time.sleep(0.5)

# A filesystem that it serves, and never answers for.
clear()
shell("mkdir -p cache/x disk/a bin keys")
write_config(RULES.replace('"~/cache", ', ""))
leash("reload")
tap.equal("refused before", as_user(PUPPY, os.listdir, f"{HOME}/cache/x"),
          "EPERM")
write_config(RULES)
leash("reload")
os.mknod("/dev/fuse", 0o666 | 0o020000, os.makedev(10, 229))
try:
    server = os.open("/dev/fuse", os.O_RDWR)
except OSError:
    server = None
    tap.skip("a filesystem that it serves", "no FUSE here")
if server is not None:
    for name in ("cache", "disk/a", "bin", "keys"):
        fd = os.open("/dev/fuse", os.O_RDWR)
        options = (f"fd={fd},rootmode=40000,user_id={PUPPY},"
                   f"group_id={PUPPY},allow_other").encode()
        if libc.mount(b"theirs", f"{HOME}/{name}".encode(), b"fuse.theirs", 0,
                      options):
            tap.check("mounted", False, os.strerror(ctypes.get_errno()))
    begun = time.monotonic()
    works("a filesystem that it serves", ("disk/a", TOOL))
    seq = wait_rows("target = ? AND verdict = 'deny'", f"{HOME}/cache/x")[0][
        "seq"]
    code, text = leash("allow", f"--last={seq}", seconds=20)
    tap.check("a filesystem that it serves: nor by allow --last",
              f'path = "{HOME}/cache/x"' in text, text)
    tap.check("a filesystem that it serves: is not asked",
              time.monotonic() - begun < 20 *
              float(os.environ.get("LEASH_SLOW", "1")))
    for name in ("cache", "disk/a", "bin", "keys"):
        libc.umount2(f"{HOME}/{name}".encode(), 2)

# An account that is gone.
clear()
tap.equal("kitten has rules", (opens("/srv/kitten/milk", KITTEN),
                               opens(SECRET, KITTEN)), ("ok", "EPERM"))
passwd = open("/etc/passwd").read()
write_file("/etc/passwd", "".join(
    line for line in passwd.splitlines(True)
    if not line.startswith("kitten:")), mode=0o644)
works("an account that was deleted", ("\"kitten\" does not exist", "useradd"))
tap.equal("the others' rules stand", opens("/srv/real/docs.txt"), "ok")
code, text = leash("check")
tap.check("leash check calls it a note", code == 0 and "kitten" in text and
          re.search(r"leash.conf: correct, with \d+ note\(s\)\n", text), text)
write_file("/etc/passwd", passwd, mode=0o644)
tap.equal("made again, and held again",
          (leash("reload")[0], opens(SECRET, KITTEN)), (0, "EPERM"))

# A first start, with no policy kept from before, amid all of it.
gatekeeper.stop()
shutil.rmtree("/var/lib/gatekeeper", ignore_errors=True)
shell("ln -s /srv/secret cache; ln -s keys keys; ln -s own own; mkdir bin; "
      f"mkfifo {TOOL}; ln -s / vault; ln -s {WORK} notes")
gatekeeper = Gatekeeper(RULES, log="/mnt/second.log", command=[
    "gatekeeper", "--foreground", "--fall-back", "--config", CONFIG])
tap.equal("a first start holds the leash",
          (opens(SECRET), opens("/srv/real/docs.txt")), ("EPERM", "ok"))
works("after a first start", ("cache",))
tap.check("a reload says it, too",
          "a symlink that an account can change" in gatekeeper.words())
code, text = leash("allow", "file", f"{HOME}/cache", "--write", "--account",
                   "puppy")
tap.check("so does the rule that is just added", code == 0 and
          LOCAL in text and "a symlink that an account can change" in text,
          text)
leash("undo")
clear()

# Whose the configuration is.
for what, spoil, mend in (
        ("the folder of drop-ins, all the world's",
         lambda: os.chmod("/etc/leash.d", 0o777),
         lambda: os.chmod("/etc/leash.d", 0o755)),
        ("the folder of drop-ins, an account's",
         lambda: os.chown("/etc/leash.d", PUPPY, PUPPY),
         lambda: os.chown("/etc/leash.d", 0, 0)),
        ("the folder above", lambda: os.chmod("/etc", 0o775),
         lambda: os.chmod("/etc", 0o755)),
        ("the folder of profiles",
         lambda: os.chown("/usr/share/leash/profiles", KITTEN, KITTEN),
         lambda: os.chown("/usr/share/leash/profiles", 0, 0)),
        ("a file", lambda: os.chmod(CONFIG, 0o664),
         lambda: os.chmod(CONFIG, 0o644))):
    spoil()
    code, text = check()
    tap.check(f"{what}: not believed",
              code == 1 and "others than root may write to" in text and
              "chown root and chmod go-w" in text, text)
    tap.equal(f"{what}: nor loaded", leash("reload")[0], 2)
    mend()
    tap.equal(f"{what}: and mended", check()[0], 0)
write_file(f"{HOME}/x.conf", 'mode = "observe";\n', mode=0o644)
for what, mine in (("an account's", PUPPY), ("root's, in its folder", 0)):
    os.chown(f"{HOME}/x.conf", mine, mine)
    write_config('@include "../../../../home/puppy/x.conf"\n' + RULES)
    code, text = check()
    tap.check(f"included, {what}: not believed", code == 1 and
              "others than root" in text, text)
    tap.equal(f"included, {what}: nor loaded", leash("reload")[0], 2)
write_file("/etc/leash-more.conf", 'mode = "enforce";\n', mode=0o644)
write_config('@include "../../../../etc/leash-more.conf"\n' + RULES)
tap.equal("included, root's: read", check()[0], 0)
write_config('\n@include "/etc/leash-more.conf"\n' + RULES)
code, text = check()
# From 1.7 on libconfig takes it as it stands.
tap.check("included by its whole path: read, or what to write is said",
          code == 0 or f"{CONFIG}:2: @include: \"/etc/leash-more.conf\" is "
          "looked for below /usr/share/leash/profiles and cannot be opened; "
          'write "../../../../etc/leash-more.conf"\n' in text, (code, text))
write_config('\n@include "/etc/nothing.conf"\n' + RULES)
code, text = check()
tap.check("included, not there: said", code == 1 and
          f'{CONFIG}:2: @include: "/etc/nothing.conf" is ' in text and
          'write "../../../../etc/nothing.conf", once it is there' in text,
          text)
write_config(RULES)
tap.equal("held all the while", opens(SECRET), "EPERM")
gatekeeper.stop()


# A lease is not waited for by who reads the configuration.
def lease(reader, writer):
    fd = os.open(TOOL, os.O_RDWR)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    os.write(writer, b"x")
    time.sleep(40)


clear()
shell("mkdir bin")
shutil.copy("/usr/bin/true", TOOL)
os.chown(TOOL, PUPPY, PUPPY)
ends = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        os.chown(TOOL, 0, 0)
        lease(*ends)
    finally:
        os._exit(0)
os.close(ends[1])
os.read(ends[0], 1)
begun = time.monotonic()
code, text = check()
tap.check("a lease is not waited for", code == 0 and "being changed" in text
          and time.monotonic() - begun < 10, text)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
tap.finish()
