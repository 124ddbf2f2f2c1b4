"""installed: the package on a booted Debian, from installation to purge.

Runs as a service of that machine, again after each boot, where it goes on
with the next phase; what it found so far is kept in STATE.  /job holds the
packages, and the log that comes out.
"""

import glob
import hashlib
import json
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import time

STATE = "/var/lib/lab/state.json"
SECRET, OPEN = "/srv/secret/file", "/srv/agent/fine"
SLOW = float(os.environ.get("LEASH_SLOW", "1"))
EMULATED = SLOW > 1
FIRST, SECOND = sorted(glob.glob("/job/leash_*.deb"), key=len)
# What the account tries: a file that no rule allows, and one that one does.
PROBE = f"cat {SECRET}; cat {OPEN}"
HELD = "fine\n"

state = {"count": 0, "failed": 0, "phase": 0, "before": None}
if os.path.exists(STATE):
    with open(STATE) as saved:
        state = json.load(saved)


def save():
    os.makedirs(os.path.dirname(STATE), exist_ok=True)
    with open(STATE, "w") as out:
        json.dump(state, out)


def check(name, right, seen=""):
    state["count"] += 1
    state["failed"] += not right
    print(f"{'' if right else 'not '}ok {state['count']} - {name}")
    if not right:
        print("".join(f"# {line}\n" for line in str(seen).splitlines()[:40]))
    sys.stdout.flush()


def equal(name, have, want):
    check(name, have == want, f"have {have!r}\nwant {want!r}")


def sh(command, seconds=120):
    try:
        done = subprocess.run(command, shell=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=seconds * SLOW,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as late:
        return 124, f"{command} took over {late.timeout:.0f} s"
    return done.returncode, done.stdout


def runs(name, command, code=0, *words):
    result, said = sh(command)
    check(name, result == code and all(word in said for word in words),
          f"{command}: {result}\n{said}")
    return said


def until(right, seconds):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if right():
            return True
        time.sleep(0.1)
    return False


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def as_account(how):
    """The account's two attempts, the way that is asked for."""
    if how == "su":
        return sh(f"su agent -c '{PROBE}' 2>/dev/null")[1]
    if how == "ssh":
        return sh("ssh -i /root/.ssh/id -o StrictHostKeyChecking=no "
                  f"-o LogLevel=ERROR agent@localhost '{PROBE}' "
                  "2>/dev/null")[1]
    return sh("systemd-run --quiet --wait --pipe --collect --uid=agent "
              f"/bin/sh -c '{PROBE}' 2>/dev/null")[1]


def held(name, ways=("su", "ssh", "systemd")):
    for how in ways:
        equal(f"{name}: held, by {how}", as_account(how), HELD)


def main_pid():
    return int(sh("systemctl show -P MainPID leash")[1])


def journal():
    return sh("journalctl -b -o cat -u leash | grep -v covered: | tail -25")[1]


def processes():
    return sh("pgrep -x gatekeeper; pgrep ^leash-")[1]


def active():
    return sh("systemctl is-active leash")[1].strip() == "active"


# What a machine is, to be compared before and after.
AWAY = re.compile(
    r"/(proc|sys|dev|run|tmp|job|var/log|var/cache|var/lib/apt|var/lib/lab|"
    r"var/lib/dpkg|var/tmp|root|var/lib/systemd/(timers|random-seed|linger|"
    r"catalog|coredump|credential.secret)|"
    r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|etc/\.pwd\.lock|"
    r"var/mail|var/lib/dbus/machine-id|etc/(hosts|machine-id|hostname|adjtime|\.updated)|var/\.updated|"
    r"etc/systemd/system/(.*/)?(lab|first)\.service|lost\+found)(/|$)")


def files():
    found = {}
    for folder, folders, names in os.walk("/", onerror=lambda _: None):
        folders[:] = [name for name in folders
                      if not AWAY.match(os.path.join(folder, name))]
        for name in folders + names:
            path = os.path.join(folder, name)
            if AWAY.match(path):
                continue
            try:
                st = os.lstat(path)
                what = [stat.S_IFMT(st.st_mode), st.st_mode & 0o7777,
                        st.st_uid, st.st_gid]
                if stat.S_ISLNK(st.st_mode):
                    what.append(os.readlink(path))
                elif stat.S_ISREG(st.st_mode) and not path.startswith(
                        ("/usr/lib", "/usr/share", "/lib")):
                    with open(path, "rb") as file:
                        what.append(hashlib.sha1(file.read()).hexdigest())
                elif stat.S_ISREG(st.st_mode):
                    what.append(st.st_size)
                found[path] = what
            except OSError:
                continue
    return found


def machine():
    return {
        "files": files(),
        "users": sh("getent passwd; getent group")[1].splitlines(),
        "units": sorted(line.split()[0] for line in sh(
            "systemctl --root=/ list-unit-files --no-legend --plain"
            )[1].splitlines()),
        "nft": sh("nft list ruleset")[1],
        "iptables": re.sub(r"\[\d+:\d+\]|^#.*$", "", sh(
            "iptables-save 2>/dev/null; iptables-legacy-save 2>/dev/null")[1],
            flags=re.M),
    }


def difference(before, after):
    found = []
    for path in sorted(set(before["files"]) | set(after["files"])):
        if before["files"].get(path) != after["files"].get(path):
            found.append(path)
    for what in ("users", "units"):
        found += [f"{what}: {line}" for line in
                  set(before[what]) ^ set(after[what])]
    for what in ("nft", "iptables"):
        old, new = ([line for line in text[what].splitlines() if line.strip()]
                    for text in (before, after))
        # An empty table of iptables' own is what it leaves when asked.
        found += [f"{what}: {line}" for line in set(new) - set(old)
                  if "LEASH" in line or "leash" in line]
    return found


def ours_alone():
    """No disk of the host may be seen from here: it would be marked."""
    disks = [line for line in read("/proc/self/mountinfo").splitlines()
             if not line.split()[2].startswith("0:")]
    if disks and not EMULATED:
        print("Bail out! a disk of the host is mounted here: " + disks[0])
        sys.exit(1)


def before():
    os.makedirs("/srv/secret", exist_ok=True)
    with open(SECRET, "w") as out:
        out.write("secret\n")
    # Services that look names up, for later.
    services = glob.glob("/job/nscd_*.deb") + \
        glob.glob("/job/systemd-resolved_*.deb")
    if services and sh("dpkg -i " + " ".join(services))[0] == 0:
        sh("systemctl disable --now nscd systemd-resolved; "
           "rm -f /etc/resolv.conf; "
           "echo nameserver 127.0.0.2 > /etc/resolv.conf")
    state["before"] = machine()


def install():
    before()
    runs("apt install", f"DEBIAN_FRONTEND=noninteractive apt-get install -y "
         f"--no-install-recommends {FIRST}")
    check("the service runs", until(active, 10), sh("journalctl -u leash")[1])
    runs("and holds nobody yet", "leash status", 0, "enforcing")
    equal("whom it asks for: _leash, and the group",
          sh("getent passwd _leash >/dev/null && getent group leash "
             ">/dev/null")[0], 0)
    said = sh("systemd-analyze security leash.service --no-pager")[1]
    print("# systemd-analyze security: " + said.strip().splitlines()[-1])
    runs("leash check", "leash check", 0)
    runs("leash init", "leash init --account agent --yes", 0, "agent (uid",
         "enforcing")
    runs("and again", "leash init --account agent --yes", 0, "is there")
    with open(OPEN, "w") as out:
        out.write("fine\n")
    os.chmod(OPEN, 0o644)


def prepare():
    """Before the first boot of a machine that has but one."""
    keys()
    first_login()


def keys():
    os.makedirs("/home/agent/.ssh", exist_ok=True)
    sh("mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id; "
       "cp /root/.ssh/id.pub /home/agent/.ssh/authorized_keys; "
       "chown -R agent: /home/agent/.ssh; chmod -R go= /home/agent/.ssh")


def logins():
    keys()
    sh("systemctl start ssh")
    with open("/etc/cron.d/lab", "w") as out:
        out.write(f"* * * * * agent ({PROBE}) > /srv/agent/cron 2>/dev/null\n"
                  "@reboot agent (" + PROBE + ") > /srv/agent/boot 2>/dev/null"
                  "\n")
    equal("root is not", sh(PROBE)[1], "secret\nfine\n")
    held("installed")


def by_cron():
    check("held, by cron", until(
        lambda: read("/srv/agent/cron") == HELD, 70),
        read("/srv/agent/cron"))


def network():
    sh("leash allow program /usr/bin/nc.openbsd")
    connect = "su agent -c 'nc -z 127.0.0.1 22' 2>/dev/null"
    equal("root reaches sshd", sh("nc -z 127.0.0.1 22")[0], 0)
    equal("the account does not", sh(connect)[0], 1)
    runs("allowed", "leash allow host 127.0.0.1:22", 0, "live")
    equal("it does", sh(connect)[0], 0)
    runs("and no more", "leash undo", 0, "live")
    equal("once it is undone", sh(connect)[0], 1)


# One that goes on all the time, while things happen to Leash.
LOOP = ("while [ ! -e /srv/agent/stop ]; do "
        f"cat {SECRET} && echo OPEN >> /srv/agent/loop; "
        f"cat {OPEN} || echo REFUSED >> /srv/agent/loop; "
        "echo . >> /srv/agent/loop; done >/dev/null 2>&1")


class Meanwhile:
    """Checks that the account stays held within a `with`."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        for name in ("stop", "loop"):
            sh(f"rm -f /srv/agent/{name}")
        self.process = subprocess.Popen(["su", "agent", "-c", LOOP])
        until(lambda: os.path.exists("/srv/agent/loop"), 10)

    def __exit__(self, *_):
        time.sleep(0.5)
        open("/srv/agent/stop", "w").close()
        self.process.wait(30 * SLOW)
        lines = read("/srv/agent/loop").split()
        print(f"# {self.name}: {lines.count('.')} attempts")
        check(f"{self.name}: held all the time", lines.count(".") > 10 and
              "OPEN" not in lines, lines[:10])
        check(f"{self.name}: nothing allowed was refused",
              "REFUSED" not in lines, sh(
                  "leash-query --denied --since 1m --limit 2000 "
                  f"--format csv | grep -v {SECRET} | tail -5")[1])


def tools():
    """A hook of the account's, and the tool gate behind it."""
    def asked(tool):
        call = '{"ask": "call", "tool": "%s"}' % tool
        return sh(f"echo '{call}' | su agent -c 'leash-hook json' 2>&1")
    code, said = sh("su agent -c 'leash explain file /srv/secret' 2>&1")
    check("the account may ask why", code == 1 and "denied" in said, said)
    runs("leash allow tool", "leash allow tool Read", 0, "live")
    code, said = asked("Read")
    check("a tool that is allowed", '"verdict":"allow"' in said, said)
    code, said = asked("Write")
    check("and one that is not", '"verdict":"deny"' in said, said)
    runs("leash tools install", "leash tools install claude", 0, "hooks added")
    runs("and its undo", "leash tools install claude --undo", 0, "as it was")
    runs("leash undo", "leash undo", 0, "live")


def restarts():
    if not EMULATED:
        with Meanwhile("restart"):
            old = main_pid()
            runs("systemctl restart", "systemctl restart leash")
            check("another gatekeeper", main_pid() not in (0, old))
        with Meanwhile("gatekeeper hangs"):
            old = main_pid()
            os.kill(old, signal.SIGSTOP)
            check("the watchdog ends it", until(
                lambda: active() and main_pid() not in (0, old), 40))
    with Meanwhile("gatekeeper killed"):
        old = main_pid()
        os.kill(old, signal.SIGKILL)
        check("it comes back", until(
            lambda: active() and main_pid() not in (0, old), 10))
    with open("/etc/leash.conf", "a") as out:
        out.write("# a change by hand\n")
    with Meanwhile("upgrade"):
        old = main_pid()
        runs("apt install, the next version", "DEBIAN_FRONTEND=noninteractive "
             f"apt-get install -y --no-install-recommends {SECOND}")
        check("it runs that", main_pid() not in (0, old))
    check("leash.conf is as it was left", read("/etc/leash.conf").endswith(
        "# a change by hand\n"))
    if not EMULATED:
        with Meanwhile("downgrade"):
            runs("dpkg -i, the version before", f"dpkg -i {FIRST}", 0,
                 "going back to")
    runs("leash status", "leash status", 0, "enforcing", "agent",
         *["new mounts closed"] * EMULATED)
    memory = sum(int(line.split()[1]) for pid in processes().split()
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines()
        if line.startswith("Pss:"))
    print(f"# all processes: {memory / 1024:.1f} MB (PSS)")
    begin = time.monotonic()
    sh("systemctl restart leash")
    print(f"# a restart takes {time.monotonic() - begin:.2f} s")


def sleeps():
    """By systemd's own program, as far as the kernel's test of it goes."""
    if not os.path.exists("/sys/power/pm_test"):
        check("this kernel can try to sleep", not EMULATED)
        return
    for path, value in (("/sys/power/pm_test", "freezer"),
                        ("/sys/module/suspend/parameters/pm_test_delay", "0")):
        with open(path, "w") as out:
            out.write(value)
    sh("systemd-run --quiet --unit=busy --uid=agent /bin/sh -c "
       f"'while :; do cat {OPEN}; cat {SECRET}; done > /srv/agent/busy'")
    begin = time.time()
    for _ in range(3):
        runs("the machine sleeps", "/lib/systemd/systemd-sleep suspend")
    since = sh(f"journalctl -b -o cat -u leash --since=@{int(begin)}")[1]
    equal("the accounts are frozen and go on, each time", [
        since.count(words) for words in ("going to sleep: ", "awake: ")],
        [3, 3])
    equal("its service has not ended",
          sh("systemctl is-active busy")[1].strip(), "active")
    sh("systemctl stop busy")
    check("it was let do what it may, and nothing else",
          set(read("/srv/agent/busy").splitlines()) == {"fine"})
    held("after sleep", ("su",))
    with open("/sys/power/pm_test", "w") as out:
        out.write("none")


def own_test():
    """The package's autopkgtest."""
    if os.path.exists("/job/main"):
        runs("debian/tests/main", "/job/main", 0, "the leash holds")
        sh("rm -f /etc/leash.d/10-leash-autopkgtest.conf; leash undo; "
           "systemctl reload leash; userdel -r leash-autopkgtest; "
           "rm -rf /srv/leash.*")
        runs("and without its account", "leash status", 0)


def first_login():
    """The earliest service that can run as the account, at the next boot."""
    with open("/etc/systemd/system/first.service", "w") as out:
        out.write("[Unit]\nDescription=the first of the account\n"
                  "After=basic.target\n[Service]\nType=oneshot\nUser=agent\n"
                  f"ExecStart=/bin/sh -c '({PROBE}) > /srv/agent/first "
                  "2>/dev/null'\n[Install]\nWantedBy=multi-user.target\n")
    sh("rm -f /srv/agent/boot; systemctl daemon-reload; "
       "systemctl enable first")


def after_boot():
    check("running after a boot", until(active, 20),
          sh("journalctl -b -u leash")[1])
    check("held from the first moment: a service", until(
        lambda: read("/srv/agent/first") == HELD, 20),
        read("/srv/agent/first"))
    if not EMULATED:
        check("held from the first moment: @reboot of cron", until(
            lambda: read("/srv/agent/boot") == HELD, 20),
            read("/srv/agent/boot"))
    sh("systemctl start ssh")
    held("after a boot")
    if read("/sys/module/apparmor/parameters/enabled") == "Y\n":
        profiles = read("/sys/kernel/security/apparmor/profiles")
        print(f"# AppArmor: {profiles.count('(')} profiles loaded")
        check("beside AppArmor, which enforces its own", "(enforce)" in
              profiles, profiles)
    elif EMULATED:
        check("this kernel has AppArmor", False)


def broken():
    conf = read("/etc/leash.conf")
    with open("/etc/leash.conf", "w") as out:
        out.write(conf + "accounts = nonsense\n")
    code, said = sh("systemctl reload leash")
    check("a broken configuration: reload says so", code != 0, said)
    with Meanwhile("broken configuration"):
        sh("systemctl restart leash")
    runs("leash status says it", "leash status", 1, "last policy")
    runs("the next version installs nonetheless",
         f"dpkg -i --force-confold {SECOND}")
    held("and it holds", ("su",))
    with open("/etc/leash.conf", "w") as out:
        out.write(conf)
    runs("mended", "systemctl reload leash")
    runs("and well again", "leash status", 0)

    database = "/var/lib/leash/verdicts.db"
    sh(f"systemctl stop leash; rm -f {database}-*; "
       f"head -c 100000 /dev/urandom > {database}; systemctl start leash")
    held("a damaged log", ("su",))
    check("a new one is begun", until(
        lambda: sh("leash-query --limit 1")[0] == 0, 10))
    sh("rm -rf /run/leash")
    with Meanwhile("no /run/leash"):
        runs("no /run/leash: restart", "systemctl restart leash")
    runs("and it answers", "leash status", 0)

    sh("systemctl mask leash")
    runs("masked: an upgrade does not wedge", f"dpkg -i {SECOND}")
    held("masked: what runs holds", ("su",))
    sh("systemctl unmask leash")
    sh("mount --bind /usr /usr; mount -o remount,bind,ro /usr")
    with Meanwhile("read-only /usr"):
        runs("read-only /usr: restart", "systemctl restart leash")
    sh("umount -l /usr")
    sh("mkdir -p /mnt/log; mount -t tmpfs -o size=64k log /mnt/log; "
       "chown _leash /mnt/log; dd if=/dev/zero of=/mnt/log/full 2>/dev/null; "
       "echo 'log = { database = \"/mnt/log/v.db\"; };' "
       "> /etc/leash.d/90-log.conf")
    with Meanwhile("a full disk"):
        sh("systemctl restart leash")
        check("a full disk: it starts", active(), journal())
    sh("rm /etc/leash.d/90-log.conf; systemctl restart leash; "
       "umount -l /mnt/log; rmdir /mnt/log")


def beside():
    """Other people's rules, before and behind ours."""
    if sh("command -v ufw")[0]:
        return
    sh("iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; "
       "iptables -t nat -N DOCKER; iptables -t nat -A OUTPUT -m addrtype "
       "--dst-type LOCAL -j DOCKER")
    docker = sh("iptables-save | grep -c DOCKER")[1]
    runs("ufw enable", "ufw allow 22/tcp && ufw --force enable", 0, "active")
    reach = "nc -z -w 2 127.0.0.1 22"
    agent = f"su agent -c '{reach}' 2>/dev/null"
    equal("ufw: root reaches sshd", sh(reach)[0], 0)
    equal("ufw: the account does not", sh(agent)[0], 1)
    runs("ufw reload", "ufw reload", 0)
    check("ufw reloaded: the account does not",
          until(lambda: sh(agent)[0] == 1, 5))
    sh("leash allow host 127.0.0.1:22")
    check("allowed, it does", until(lambda: sh(agent)[0] == 0, 5),
          journal() + sh("leash explain host 127.0.0.1:22 --account agent; "
                         "iptables-save; iptables-legacy-save")[1])
    sh("leash undo")
    equal("docker's rules stand", sh("iptables-save | grep -c DOCKER")[1],
          docker)
    sh("systemctl restart leash")
    runs("ufw is as it was", "ufw status", 0, "22/tcp", "ALLOW")
    equal("docker's, too", sh("iptables-save | grep -c DOCKER")[1], docker)
    sh("printf 'flush ruleset\\n' > /tmp/flush; nft -f /tmp/flush")
    check("after somebody's flush of everything, it is held again",
          until(lambda: sh(agent)[0] == 1, 5))
    sh("ufw --force disable; iptables -F; iptables -X; iptables -t nat -F; "
       "iptables -t nat -X")


def beside_services():
    """firewalld and fail2ban, which are services of their own."""
    reach = "nc -z -w 2 127.0.0.1 22"
    agent = f"su agent -c '{reach}' 2>/dev/null"
    for name, works in (
            ("firewalld", "firewall-cmd --add-port=8022/tcp && "
             "firewall-cmd --list-ports | grep 8022"),
            ("fail2ban", "fail2ban-client set sshd banip 192.0.2.9 && "
             "(iptables-save; nft list ruleset) | grep -F 192.0.2.9")):
        if sh(f"systemctl cat {name}")[0] or not os.path.exists(
                f"/usr/bin/{name.replace('firewalld', 'firewall-cmd')}"
                if name == "firewalld" else "/usr/bin/fail2ban-client"):
            continue
        if name == "fail2ban":
            with open("/etc/fail2ban/jail.local", "w") as out:
                out.write("[sshd]\nbackend = systemd\nenabled = true\n")
        sh(f"systemctl unmask {name}")
        runs(f"{name}: starts", f"systemctl start {name}")
        check(f"{name}: it works", until(lambda: sh(works)[0] == 0, 15),
              sh(works)[1] + sh(f"journalctl -u {name} | tail")[1])
        check(f"{name}: root reaches sshd", sh(reach)[0] == 0)
        check(f"{name}: the account does not",
              until(lambda: sh(agent)[0] == 1, 5))
        runs(f"{name}: a restart of Leash", "systemctl restart leash")
        check(f"{name}: it still works", sh(works.split("&& ")[1])[0] == 0)
        sh(f"systemctl restart {name}")
        check(f"{name}: restarted: the account does not",
              until(lambda: sh(agent)[0] == 1, 5))
        sh(f"systemctl stop {name}; systemctl mask {name}; "
           "rm -f /etc/fail2ban/jail.local")


ASKED = "/tmp/asked"


def resolves(who, name):
    asks = f"getent ahostsv4 {name}"
    said = sh(asks if who == "root" else
              f"su agent -c '{asks}' 2>/dev/null")[1]
    return said.split()[0] if said.split() else "none"


def name_services():
    """systemd-resolved and nscd ask no name that the account may not."""
    if not os.path.exists("/lib/systemd/systemd-resolved"):
        print("# no systemd-resolved here")
        return
    # Without a link that is up, systemd-resolved asks nobody.
    sh("ip link add lab0 type veth peer name lab1; ip link set lab0 up; "
       "ip link set lab1 up; ip addr add 10.9.9.1/24 dev lab0")
    server = subprocess.Popen(
        ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
         "--bind-interfaces", "--listen-address=10.9.9.1", "--user=root",
         "--pid-file=", "--address=/example/192.0.2.1", "--log-queries",
         f"--log-facility={ASKED}"])
    os.makedirs("/etc/systemd/resolved.conf.d", exist_ok=True)
    with open("/etc/systemd/resolved.conf.d/lab.conf", "w") as out:
        out.write("[Resolve]\nDNS=10.9.9.1\nDNSSEC=no\nLLMNR=no\n"
                  "MulticastDNS=no\n")
    sh("ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf; "
       "systemctl start systemd-resolved")
    runs("systemd-resolved: a name is allowed",
         "leash allow host good.example:443", 0, "live")
    for name in ("/usr/bin/resolvectl", "/usr/bin/busctl"):
        sh(f"leash allow program {name}")
    time.sleep(2)
    check("root is told any name", until(
        lambda: resolves("root", "any.example") == "192.0.2.1", 10),
        read("/etc/resolv.conf") + sh("resolvectl")[1])
    check("the account the one allowed", until(
        lambda: resolves("agent", "good.example") == "192.0.2.1", 5),
        read(ASKED) + sh("leash-query --limit 10")[1])
    equal("and no other", resolves("agent", "leak-stub.example"), "none")
    equal("not one that root has been told", resolves("agent", "any.example"),
          "none")
    sh("su agent -c 'resolvectl query leak-bus.example'")
    message = (r'{"method":"io.systemd.Resolve.ResolveHostname",'
               r'"parameters":{"name":"NAME","flags":0}}\0')
    varlink = "timeout 5 nc -U -N /run/systemd/resolve/io.systemd.Resolve"
    for who, name in (("root", "root-varlink.example"),
                      ("agent", "leak-varlink.example")):
        with open("/tmp/question", "wb") as out:
            out.write(message.replace("NAME", name).encode()
                      .replace(b"\\0", b"\0"))
        sh(f"{varlink} < /tmp/question" if who == "root" else
           f"su agent -c '{varlink}' < /tmp/question")
    runs("nscd", "systemctl start nscd")
    time.sleep(1)
    equal("nscd: root is told any name", resolves("root", "cached.example"),
          "192.0.2.1")
    equal("nscd: not so the account", resolves("agent", "cached.example"), "none")
    equal("nscd: nor another", resolves("agent", "leak-nscd.example"), "none")
    equal("nscd: but the one allowed", resolves("agent", "good.example"),
          "192.0.2.1")
    asked = read(ASKED)
    check("what root asked over varlink arrived", "root-varlink" in asked,
          asked[-1500:])
    check("no name of the account's did but that one", "leak-" not in asked,
          "\n".join(line for line in asked.splitlines() if "leak" in line))
    sh("systemctl stop nscd systemd-resolved; rm -f /etc/resolv.conf; "
       "rm -rf /etc/systemd/resolved.conf.d; "
       "echo nameserver 127.0.0.2 > /etc/resolv.conf")
    server.kill()
    sh("ip link del lab0")


def removal():
    sh("rm -f /etc/cron.d/lab /etc/systemd/system/first.service "
       "/etc/systemd/system/*.wants/first.service; systemctl daemon-reload; "
       "systemctl stop ssh")
    if not EMULATED:
        os.kill(main_pid(), signal.SIGSTOP)
    runs("apt remove" + ("" if EMULATED else ", though gatekeeper hangs"),
         "DEBIAN_FRONTEND=noninteractive apt-get remove -y leash")
    equal("nobody is leashed", as_account("su"), "secret\nfine\n")
    equal("no process is left", processes(), "")
    check("the log is kept", os.path.exists("/var/lib/leash/verdicts.db"))
    runs("and again, with a broken configuration", "echo 'x = (' >> "
         f"/etc/leash.conf; dpkg -i --force-confold {FIRST}")
    runs("apt purge", "DEBIAN_FRONTEND=noninteractive apt-get purge -y leash")
    equal("no process is left", processes(), "")
    agent = pwd.getpwnam("agent")
    left = [line for line in difference(state["before"], machine())
            if not line.startswith(("/home/agent", "/srv/agent", "/srv/secret",
                                    "users: agent:", "/etc/ufw/",
                                    "units: lab.", "units: first.",
                                    # systemd makes them anew at each boot
                                    "units: sshd-unix-local",
                                    "/var/lib/redis", "/etc/firewalld",
                                    "/var/lib/fail2ban"))
            and line not in ("/srv", "/home")]
    equal("nothing is left but the account and its workspace", left, [])
    check("these are documented", agent.pw_dir == "/home/agent")


def end():
    print(f"1..{state['count']}")
    sys.stdout.flush()
    open("/job/done", "w").close()
    sh("systemctl --no-block exit 0" if not EMULATED else
       "systemctl --no-block poweroff")
    sys.exit(0)


PHASES = {
    # On a machine that starts anew from its disk, and on one that cannot.
    False: [[install, logins, network, tools, restarts, by_cron, own_test,
             first_login],
            [after_boot, broken, beside, beside_services, name_services,
             removal]],
    True: [[after_boot, network, tools, sleeps, restarts, removal]],
}

if sys.argv[1:] == ["before"]:
    before()
    save()
    sys.exit(0)
if sys.argv[1:] == ["prepare"]:
    prepare()
    sys.exit(0)
ours_alone()
phases = PHASES[EMULATED]
for step in phases[state["phase"]]:
    begin = time.monotonic()
    step()
    print(f"# {step.__name__}: {time.monotonic() - begin:.1f} s")
state["phase"] += 1
save()
if state["phase"] == len(phases):
    end()
sh("systemctl --no-block reboot")
