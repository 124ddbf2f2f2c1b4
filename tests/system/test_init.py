"""leash init: from nothing to a leashed account, and again, and wrongly."""

import os
import pty
import pwd
import shutil
import subprocess

from harness import *

POLICY = "/etc/leash.d/10-robot.conf"

tap = Tap()


def leash(*arguments, **more):
    done = subprocess.run(["leash", *arguments], capture_output=True,
                          text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **more)
    return done.returncode, done.stdout + done.stderr


def says(name, result, code, *words):
    tap.check(name, result[0] == code and
              all(word in result[1] for word in words),
              f"{result[0]}, not {code}, or not {words}:\n{result[1]}")


def names(kind):
    with open(f"/etc/{kind}") as lines:
        return {line.split(":")[0] for line in lines}


if os.path.exists(CONFIG):
    os.unlink(CONFIG)
before = names("passwd")
for name, arguments, words in (
        ("an account of the system", ["--account", "daemon"], "of the system"),
        ("root", ["--account", "root"], "of the system"),
        ("a name that is none", ["--account", "Robot 1"], "no name"),
        ("a workspace that is none", ["--workspace", "here"], "absolute"),
        ("an option that is none", ["--fast"],
         "see leash init --help")):
    says(f"refused: {name}", leash("init", "--yes", *arguments), 2, words)
says("refused: not root", leash("init", "--yes",
                                preexec_fn=lambda: become(KITTEN)), 2,
     "only root")
tap.equal("and no account was made", names("passwd"), before)
tap.check("nor a file", not os.path.exists(CONFIG))

says("a profile that does not exist",
     leash("init", "--account", "robot", "--workspace", "/srv/robot",
           "--profiles", "base,nonsense"), 2, 'no profile "nonsense"')
tap.check("leaves no policy", not os.path.exists(POLICY) and
          not os.path.exists(CONFIG))
write_file("/srv/plain", mode=0o644)
says("a workspace that is a file",
     leash("init", "--account", "robot", "--workspace", "/srv/plain"), 2,
     "not a folder")


def everything():
    """What init may make, or change."""
    drop_ins = "/etc/leash.d"
    return ([open(f"/etc/{kind}").read() for kind in ("passwd", "group")],
            sorted(os.listdir("/srv")), sorted(os.listdir(drop_ins)) if
            os.path.exists(drop_ins) else [])


def forget_helper():
    """As where init has yet to make _leash."""
    for kind in ("passwd", "group"):
        kept = [line for line in open(f"/etc/{kind}") if
                not line.startswith("_leash:")]
        write_file(f"/etc/{kind}", "".join(kept), mode=0o644)


for helper in (True, False):
    if not helper:
        forget_helper()
    for path, text, word in (
            (CONFIG, 'mode = "enforc";\n', f"{CONFIG}:1: mode"),
            ("/etc/leash.d/20-other.conf", "accounts = (\n",
             "/etc/leash.d/20-other.conf:")):
        name = f"{path} is wrong{'' if helper else ', no _leash'}"
        write_file(CONFIG, "# nothing\n", mode=0o644)
        write_file(path, text, mode=0o644)
        was = everything()
        says(f"{name}: said, and what to do",
             leash("init", "--account", "robot", "--workspace", "/srv/robot",
                   "--yes"), 2, word, "nothing was made", "leash check")
        tap.equal(f"{name}: nothing was made", everything(), was)
        tap.equal(f"{name}: nor changed", open(path).read(), text)
        os.unlink(path)
write_file(CONFIG, "# mine\n", mode=0o644)
says("leash.conf is right, but for _leash",
     leash("init", "--account", "early", "--workspace", "/srv/early", "--yes"),
     0, "made the account _leash", "10-early.conf")
tap.equal("and left as it is", open(CONFIG).read(), "# mine\n")
os.unlink(CONFIG)
os.unlink("/etc/leash.d/10-early.conf")
tap.check("so far, no account", "robot" not in names("passwd"))
says("init", leash("init", "--account", "robot", "--workspace", "/srv/robot",
                   "--profiles", "base,git,c"), 0, "/srv/robot", POLICY,
     "now start it")
robot = pwd.getpwnam("robot")
tap.equal("the workspace is the account's", os.stat("/srv/robot").st_uid,
          robot.pw_uid)
tap.check("the helpers' account and the group are there",
          "_leash" in names("passwd") and "leash" in names("group"))
says("the policy is right", leash("check"), 0, "correct")
with open(POLICY, "a") as policy:
    policy.write("# mine\n")
texts = open(POLICY).read(), open(CONFIG).read()
says("init again", leash("init", "--account", "robot", "--workspace",
                         "/srv/robot"), 0, "unchanged", "robot is there")
tap.equal("changes nothing", (open(POLICY).read(), open(CONFIG).read()), texts)

log = open("/mnt/gatekeeper.log", "w+")
daemon = subprocess.Popen(["gatekeeper", "--foreground", "--config", CONFIG],
                          stdout=log, stderr=log)
while b"generation 1 live" not in open("/mnt/gatekeeper.log", "rb").read():
    time.sleep(0.05)
os.makedirs("/srv/shared")
write_file("/srv/shared/old", mode=0o600)
uids = (robot.pw_uid,) * 3


def as_robot(path, flags=os.O_RDONLY):
    return as_user(uids, lambda: open_close(path, flags))


tap.equal("it works in its workspace",
          as_robot("/srv/robot/new", os.O_WRONLY | os.O_CREAT), "ok")
tap.equal("and reads the system", as_robot("/etc/hostname"), "EPERM")
tap.equal("its home is its own", as_robot(f"{robot.pw_dir}/.bashrc"), "ok")
tap.equal("not another's", as_robot(FILE := "/home/kitten/x"
                                    if os.path.exists("/home/kitten/x")
                                    else "/srv/shared/old"), "EACCES")
out = run_as(
    uids, ["sh", "-ec", "cd /srv/robot; echo 'int main(void) { return 0; }' "
           ">a.c; gcc a.c 2>&1; ./a.out; git init -q 2>&1; echo it ran"],
    env={"HOME": robot.pw_dir, "PATH": "/usr/bin:/bin"})
tap.check("it builds and runs", out.endswith("it ran"), out)
tap.equal("not what no profile names",
          run_as(uids, ["/usr/bin/perl", "-v"]), "EPERM")

# A second account beside the first, while it runs; a folder of others.
says("a second one, live, in a folder that is there",
     leash("init", "--account", "droid", "--workspace", "/srv/shared",
           "--yes"), 0, "by ACL", "droid (uid", "robot (uid")
droid = pwd.getpwnam("droid").pw_uid
tap.equal("the second may use what was there", as_user(
    (droid,) * 3, lambda: open_close("/srv/shared/old", os.O_RDWR)), "ok")
tap.equal("the first may not", as_robot("/srv/shared/old"), "EACCES")

# By questions, on a terminal.
os.makedirs("/dev/pts", exist_ok=True)
subprocess.run(["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=666",
                "devpts", "/dev/pts"], check=True)
if not os.path.exists("/dev/ptmx"):
    os.symlink("pts/ptmx", "/dev/ptmx")
master, slave = pty.openpty()
child = subprocess.Popen(["leash", "init"], stdin=slave, stdout=slave,
                         stderr=slave)
os.close(slave)
os.write(master, b"andy\n/srv/andy\nbase,python\n")
shown = b""
try:
    while chunk := os.read(master, 4096):
        shown += chunk
except OSError:
    pass
tap.equal("asked: done", child.wait(20), 0)
tap.check("asked: three questions, then status",
          all(word in shown for word in (b"account [agent]", b"[/srv/andy]",
                                         b"Profiles", b"andy (uid")),
          shown.decode())
says("observe from the start", leash("init", "--account", "shy", "--workspace",
                                     "/srv/shy", "--observe"), 0,
     "OBSERVE MODE")
daemon.send_signal(signal.SIGTERM)
tap.equal("stops cleanly", daemon.wait(30), 0)
tap.finish()
