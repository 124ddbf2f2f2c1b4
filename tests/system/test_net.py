"""The net gate: real programs, sockets and packets between two hosts."""

import ctypes
import json
import shutil

from net_bed import *

ALLOWED, DENIED = 1000, 1001
AT_ONCE_MS = 50 * SLOW
tap = Tap()


def network(inside, others=""):
    return config(
        files='default = "allow";', programs='mode = "ban"; list = [ ];',
        profiles="", extra=f"network = {{ {inside} }};", more=others)


RULES = f"""
allow = ( {{ net = "{PEER}"; ports = [ {ALLOWED}, {SINK_PORT} ];
             name = "peer"; }},
          {{ net = "{PEER6}"; ports = [ {ALLOWED} ]; }},
          {{ net = "{PEER}"; protocol = "icmp"; }},
          {{ net = "{PEER6}"; protocol = "icmp"; }},
          {{ net = "127.0.0.1"; ports = [ 2222 ]; }},
          {{ net = "{PEER}"; ports = [ 1002 ];
             program = "{os.path.realpath('/usr/bin/curl')}"; }},
          {{ net = "{PEER}"; ports = [ 1005 ]; }} );
deny = ( {{ net = "{OTHER}"; reason = "not that one"; }},
         {{ net = "{PEER}"; ports = [ 1005 ];
            program = "{os.path.realpath('/usr/bin/curl')}"; }} );
"""

wire()
# Somebody else's rules, to be found as they are at the end.
sh(OTHERS_ADD)
theirs = sh(OTHERS_LIST)
peer = Peer([ALLOWED, DENIED, 1002, 1005, SINK_PORT])
gatekeeper = Gatekeeper(network(RULES))
refused = ("ECONNREFUSED", "EHOSTUNREACH", "EACCES", "ENETUNREACH")

tap.check("the best backend there is makes the rules",
          f"rules are in place ({IPTABLES or 'nft'})" in gatekeeper.words())

# Pairs, both families.  What is refused is so at once, and nothing leaves.
for name, call, host, protocol in (
        ("TCP", tcp, PEER, 6), ("UDP", udp, PEER, 17),
        ("TCP over IPv6", tcp, PEER6, 6), ("UDP over IPv6", udp, PEER6, 17)):
    answer, ms = as_user(PUPPY, call, host, ALLOWED)
    tap.equal(f"{name}: allowed", answer, "woof")
    answer, ms = as_user(PUPPY, call, host, DENIED)
    tap.check(f"{name}: refused at once", answer in refused and ms < AT_ONCE_MS,
              f"{answer} after {ms} ms")
    tap.equal(f"{name}: no packet left", seen(protocol, host, DENIED), 0)
    tap.check(f"{name}: what was allowed arrived",
              seen(protocol, host, ALLOWED, 0) > 0)
    for user in (ROOT, KITTEN):
        before = visits()
        tap.equal(f"{name}: uid {user} is not judged",
                  as_user(user, call, host, DENIED)[0], "woof")
        tap.equal(f"{name}: uid {user} is not queued", visits() - before, 0)
tap.equal("a subordinate uid is the account",
          as_user(SUBORDINATE, tcp, PEER, DENIED)[0], "ECONNREFUSED")
tap.equal("and may what the account may",
          as_user(SUBORDINATE, tcp, PEER, ALLOWED)[0], "woof")

mapped = f"::ffff:{PEER}"
tap.equal("IPv4-mapped: allowed", as_user(PUPPY, tcp, mapped, ALLOWED)[0],
          "woof")
tap.equal("IPv4-mapped: refused", as_user(PUPPY, tcp, mapped, DENIED)[0],
          "ECONNREFUSED")

# Real programs.
ping = ["ping", "-c1", "-W2"]
for name, allowed, denied in (("ping", PEER, OTHER), ("ping6", PEER6, OTHER6)):
    out = run_as(PUPPY, [*ping, allowed])
    tap.check(f"{name}: answered", " 0% packet loss" in out, out)
    out = run_as(PUPPY, [*ping, denied])
    tap.check(f"{name}: refused", " 100% packet loss" in out, out)
tap.equal("no ICMP packet left", seen(1, OTHER, 8), 0)
tap.equal("no ICMPv6 packet left", seen(58, OTHER6, 128), 0)
tap.equal("nc: allowed", run_as(
    PUPPY, ["sh", "-c", f"echo hi | nc -N -w2 {PEER} {ALLOWED}"]), "hi")
done = subprocess.run(["nc", "-zw2", PEER, str(DENIED)],
                      preexec_fn=lambda: become(PUPPY), capture_output=True)
tap.equal("nc: refused", done.returncode, 1)
curl = ["curl", "-sS", "--http0.9", "-m2", "-o", "/dev/null", "-w",
        "%{num_connects}"]
out = run_as(PUPPY, [*curl, f"http://{PEER}:1002/"])
tap.check("a rule for curl: curl", out.startswith("1"), out)
tap.equal("a rule for curl: another program",
          as_user(PUPPY, tcp, PEER, 1002)[0], "ECONNREFUSED")

sh("mkdir -p /run/sshd /home/puppy/.ssh && "
   "ssh-keygen -qt ed25519 -N '' -f /home/puppy/.ssh/id && "
   "cp /home/puppy/.ssh/id.pub /home/puppy/.ssh/authorized_keys && "
   "chown -R 64001:64001 /home/puppy/.ssh && chmod 700 /home/puppy/.ssh && "
   "ssh-keygen -qt ed25519 -N '' -f /mnt/hostkey && "
   "usermod -p '*' puppy")
sshd = subprocess.Popen(
    ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", "/mnt/hostkey",
     "-p", "2222", "-o", "Port 2223", "-o", "UsePAM no", "-o",
     "StrictModes no"], stderr=open("/mnt/sshd.log", "w"))
ssh = ["ssh", "-i", "/home/puppy/.ssh/id", "-o", "StrictHostKeyChecking no",
       "-o", "BatchMode yes", "-o", "UserKnownHostsFile /dev/null", "-o",
       "LogLevel ERROR", "-o", "ConnectTimeout 3"]
for _ in range(100):
    if tcp("127.0.0.1", 2222)[0] not in refused:
        break
    time.sleep(0.05)
out = run_as(PUPPY, [*ssh, "-p2222", "puppy@127.0.0.1", "echo in"])
tap.equal("ssh to a local sshd", out, "in")
out = run_as(PUPPY, [*ssh, "-p2223", "puppy@127.0.0.1", "echo in"])
tap.check("loopback is network, too", "refused" in out, out)
sshd.kill()

# Which program it is, whatever it says.  One that cannot be known is allowed
# nothing that a rule allows a program, and all is denied to it that is to one.
CONNECT = f"""
import socket, sys
def woof(port):
    try:
        with socket.create_connection(("{PEER}", port), 3) as client:
            client.send(b"woof")
            return client.recv(4).decode()
    except OSError as error:
        return type(error).__name__
print(woof(1002), woof(1005))
"""
python = os.path.realpath(sys.executable)
place = os.path.realpath("/usr/bin/curl")
tap.equal("a program that is not the one of the rules",
          run_as(PUPPY, [python, "-c", CONNECT]),
          "ConnectionRefusedError woof")
MEMORY = f"""
import os, sys
memory = os.memfd_create("curl", 0)
with open("{python}", "rb") as file:
    os.write(memory, file.read())
os.execve(memory, ["{python}", "-c", sys.argv[1]], os.environ)
"""
DELETED = f"""
import os, shutil, subprocess, sys
mine = shutil.copy("{python}", "/home/puppy/curl")
code = "import os; os.unlink('/home/puppy/curl')\\n" + sys.argv[1]
sys.exit(subprocess.run([mine, "-c", code],
                        env={{"PYTHONHOME": "{sys.prefix}"}}).returncode)
"""
for name, command, shown in (
        ("from memory", [python, "-c", MEMORY, CONNECT],
         "unknown (/memfd:curl (deleted))"),
        ("deleted", [python, "-c", DELETED, CONNECT],
         "unknown (/home/puppy/curl (deleted))"),
        ("in a user namespace of its own",
         ["unshare", "-Ur", python, "-c", CONNECT], f"unknown ({python})")):
    out = run_as(PUPPY, command)
    tap.equal(f"a program {name}", out,
              "ConnectionRefusedError ConnectionRefusedError")
    tap.check(f"a program {name}: it is written down as not known",
              wait_rows("verdict = 'deny' AND port = 1005 AND program = ?",
                        shown),
              [row["program"] for row in rows("port = 1005")])
out = run_as(PUPPY, ["unshare", "-Urm", "sh", "-c",
                     f"mount --bind {python} {place} && exec {place} -c "
                     '"$1"', "sh", CONNECT])
tap.check("another program in its place, in a root of its own",
          "woof" not in out, out)

# One visit for a flow, however much it carries.
def megabytes():
    with socket.create_connection((PEER, ALLOWED)) as client:
        for _ in range(200):
            client.sendall(bytes(65536))
            left = 65536
            while left:
                left -= len(client.recv(left))


before = visits()
tap.equal("13 MB there and back", as_user(PUPPY, megabytes), "ok")
tap.equal("one visit to the queue", visits() - before, 1)


# What tries to slip by.
def burst(host, port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        for i in range(count):
            try:
                client.sendto(b"%d" % i, (host, port))
            except OSError:
                pass
        got = 0
        try:
            while got < count:
                client.recv(100)
                got += 1
        except OSError:
            pass
    return got


def fast_open(host, port):
    with socket.socket() as client:
        try:
            client.sendto(b"woof", 0x20000000, (host, port))
            return client.recv(100).decode()
        except OSError as error:
            return errno.errorcode[error.errno]


def multicast():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                          socket.inet_aton(HERE))
        client.sendto(b"x", ("224.0.0.251", 5353))


def link_local():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("ff02::1", 5353, 0, socket.if_nametoindex("v0")))


def make(*kind):
    socket.socket(*kind).close()


def set_mark():
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x02000000)


def route_header():
    """An IPv6 packet by way of an allowed host to a denied one."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        header = bytes([0, 2, 2, 1, 0, 0, 0, 0]) + socket.inet_pton(
            socket.AF_INET6, OTHER6)
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, header)
        client.sendto(b"x", (PEER6, ALLOWED))


tap.check("from source port 53", as_user(
    PUPPY, udp, PEER, DENIED, b"woof", 53)[0] in refused)
tap.equal("a burst of first packets, allowed",
          as_user(PUPPY, burst, PEER, ALLOWED, 200), 200)
tap.equal("a burst of first packets, refused",
          as_user(PUPPY, burst, PEER, DENIED, 200), 0)
tap.equal("of which none left", seen(17, PEER, DENIED),
          sum(1 for user in (ROOT, KITTEN)))
before = seen(17, OTHER, "fragment")
big = "x" * 1000
tap.equal("a datagram in fragments, allowed",
          as_user(PUPPY, udp, PEER, ALLOWED, b"x" * 4000)[0], big)
tap.check("a datagram in fragments, refused",
          as_user(PUPPY, udp, OTHER, ALLOWED, b"x" * 4000)[0] in refused)
tap.equal("of which no fragment left", seen(17, OTHER, "fragment") - before, 0)
tap.equal("data in a SYN, allowed", as_user(PUPPY, fast_open, PEER, ALLOWED),
          "woof")
tap.equal("again, now with a cookie",
          as_user(PUPPY, fast_open, PEER, ALLOWED), "woof")
tap.equal("data in a SYN, refused", as_user(PUPPY, fast_open, OTHER, ALLOWED),
          "ECONNREFUSED")
tap.equal("of which none left", seen(6, OTHER, ALLOWED), 0)
as_user(PUPPY, multicast)
as_user(PUPPY, link_local)
tap.equal("multicast did not leave", seen(17, "224.0.0.251", 5353), 0)
tap.equal("nor to the link", seen(17, "ff02::1", 5353), 0)
as_user(KITTEN, multicast)
tap.equal("but another user's did", seen(17, "224.0.0.251", 5353), 1)
tap.equal("a raw socket", as_user(PUPPY, make, socket.AF_INET,
                                  socket.SOCK_RAW, 6), "EPERM")
tap.equal("a packet socket", as_user(PUPPY, make, socket.AF_PACKET,
                                     socket.SOCK_RAW, 3), "EPERM")
tap.equal("SO_MARK", as_user(PUPPY, set_mark), "EPERM")
with open(SEEN) as lines:
    before = sum(line.startswith("43 ") for line in lines)
as_user(PUPPY, route_header)
time.sleep(0.15)
with open(SEEN) as lines:
    tap.equal("an IPv6 routing header did not leave",
              sum(line.startswith("43 ") for line in lines) - before, 0)


def lent(owner, user):
    """owner makes a socket, user connects it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def make_and_send():
        with socket.socket() as made:
            socket.send_fds(ours, [b"x"], [made.fileno()])

    def take_and_connect():
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        with socket.socket(fileno=fds[0]) as client:
            client.connect((PEER, DENIED))

    as_user(owner, make_and_send)
    return as_user(user, take_and_connect)


tap.equal("a socket the account passes away stays its own",
          lent(PUPPY, KITTEN), "ECONNREFUSED")
tap.equal("a socket that another user lends is that user's",
          lent(KITTEN, PUPPY), "ok")


# The kernel knows a flow for a while after its socket is closed: whoever takes
# over its port does not take over its right.
tap.equal("a port another user has just left",
          [as_user(KITTEN, udp, PEER, DENIED, b"woof", 40000)[0],
           as_user(PUPPY, udp, PEER, DENIED, b"woof", 40000)[0] in refused],
          ["woof", True])


def reset(source):
    """Leaves the kernel with a connection that it believes to be open."""
    with socket.socket() as client:
        client.bind(("", source))
        client.connect((PEER, DENIED))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))


as_user(KITTEN, reset, 40001)
tap.equal("and of TCP", as_user(PUPPY, tcp, PEER, DENIED, b"woof", 40001)[0],
          "ECONNREFUSED")


def multipath(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as client:
        client.settimeout(2)
        client.connect((PEER, port))


try:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close()
    tap.equal("Multipath TCP, allowed", as_user(PUPPY, multipath, ALLOWED),
              "ok")
    tap.equal("Multipath TCP, refused", as_user(PUPPY, multipath, DENIED),
              "ECONNREFUSED")
except OSError:
    tap.skip("Multipath TCP", "the kernel has none")


# A network namespace of its own leads nowhere without a helper, and the helper
# is the account's.
INSIDE = f"""
import errno, socket, time
for _ in range(200):
    if "tap0" in open("/proc/net/dev").read():
        break
    time.sleep(0.02)
time.sleep(0.3)
for port in ({ALLOWED}, {DENIED}):
    try:
        s = socket.create_connection(("{PEER}", port), 3)
        s.sendall(b"woof")
        print(s.recv(9).decode())
    except OSError as error:
        print(errno.errorcode.get(error.errno, error))
"""


def by_helper():
    space = subprocess.Popen(
        ["unshare", "-Urn", sys.executable, "-c", INSIDE],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.3)
    helper = subprocess.Popen(["slirp4netns", "--configure", str(space.pid),
                               "tap0"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    out = space.communicate(timeout=20)[0]
    helper.terminate()
    return out.split() + ["" if len(out.split()) == 2
                          else helper.communicate()[0]]


if os.path.exists("/usr/bin/slirp4netns") and os.path.exists("/dev/net/tun"):
    out = as_user(PUPPY, by_helper)
    tap.check("through a helper (slirp4netns): allowed",
              out[0] == "woof", out)
    tap.check("through a helper (slirp4netns): refused",
              out[1] not in ("woof", "timed"), out)
else:
    tap.skip("through a helper", "slirp4netns or /dev/net/tun is not here")


def leave_unsent():
    client = socket.create_connection((PEER, SINK_PORT))
    client.setblocking(False)
    sent = 0
    try:
        while True:
            sent += client.send(bytes(65536))
    except BlockingIOError:
        return sent


def sunk():
    for _ in range(500):
        if os.path.exists(SINK) and open(SINK).read().endswith("\n"):
            return int(open(SINK).read().split()[-1])
        time.sleep(0.01)


sent = as_user(PUPPY, leave_unsent)
tap.equal("what an allowed flow has yet to send at exit is sent", sunk(), sent)

# The socket of a setuid-root program is root's: `programs` must hold it.
setuid = shutil.copy("/usr/bin/ping", "/mnt/setuid-ping")
os.chmod(setuid, 0o4755)
gatekeeper.reload(network(RULES).replace("list = [ ]",
                                         f'list = [ "{setuid}" ]'))
tap.equal("a setuid program that may not be run",
          run_as(PUPPY, [setuid, "-c1", "-W1", OTHER]), "EPERM")
gatekeeper.reload(network(RULES))
capped = shutil.copy("/usr/bin/ping", "/mnt/capped-ping")
sh("setcap cap_net_raw+ep /mnt/capped-ping", check=False)
out = run_as(PUPPY, [capped, "-c1", "-W1", OTHER])
tap.check("a program with a right of its own is the account's",
          " 100% packet loss" in out, out)

# The log tells.
denial = wait_rows("kind = 'connect' AND verdict = 'deny' AND host = ? AND "
                   "protocol = 'tcp'", OTHER)[0]
tap.equal("a refusal is written down with rule, reason and program",
          [denial[key] for key in ("target", "port", "note", "account",
                                   "program")],
          [f"tcp {OTHER}:{ALLOWED}", ALLOWED, "not that one", "puppy",
           os.path.realpath(sys.executable)])
row = wait_rows("kind = 'connect' AND verdict = 'deny' AND port = ? AND "
                "protocol = 'tcp'", DENIED)[0]
tap.equal("so is one by default", row["reason"],
          "no rule allows it (default deny)")
row = wait_rows("kind = 'connect' AND rule = 'peer'")[0]
tap.equal("and what is allowed", [row["verdict"], row["host"]],
          ["allow", PEER])


# Who may connect to the account.
def serve_once(port, ready):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(1)
        listener.settimeout(3)
        open(ready, "w").close()
        try:
            connection, _ = listener.accept()
            connection.settimeout(2)
            with connection:
                connection.sendall(connection.recv(100))
        except OSError:
            pass


def from_peer(port):
    done = subprocess.run(
        ["ip", "netns", "exec", "peer", sys.executable, "-c",
         f"import socket; s = socket.create_connection(('{HERE}', {port}), 1);"
         "s.settimeout(1); s.sendall(b'woof'); print(s.recv(9).decode())"],
        capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.split("\n")[-2].split(":")[0]


def inbound(port, call):
    ready = f"/home/puppy/ready{port}"
    if os.path.exists(ready):
        os.unlink(ready)
    pid = os.fork()
    if pid == 0:
        become(PUPPY)
        serve_once(port, ready)
        os._exit(0)
    while not os.path.exists(ready):
        time.sleep(0.01)
    answer = call()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return answer


def from_here(port):
    answer = as_user(KITTEN, tcp, "127.0.0.1", port)[0]
    return answer if answer == "woof" else "ConnectionRefusedError" \
        if answer == "ECONNREFUSED" else answer


port = 3000
NOBODY = "ConnectionRefusedError"  # at once, as if nobody listened
for word, here, elsewhere in (("loopback", "woof", NOBODY),
                              ("any", "woof", "woof"),
                              ("deny", NOBODY, NOBODY)):
    gatekeeper.reload(network(RULES + f'inbound = "{word}";'))
    tap.equal(f"inbound {word}: from this machine",
              inbound(port, lambda: from_here(port)), here)
    tap.equal(f"inbound {word}: from elsewhere",
              inbound(port + 1, lambda: from_peer(port + 1)), elsewhere)
    port += 2
tap.check("a refused caller is written down",
          wait_rows("kind = 'accept' AND verdict = 'deny'"))


# An answer is one to who has really called: IPv6 lets anybody send from an
# address that is none of this machine's.
def answer_myself(caller, port):
    """Call as caller, answer that: what comes back from there."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as call, \
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as answer:
        call.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
        call.bind((caller, port))
        answer.bind((HERE6, 5555))
        answer.settimeout(min(2 * SLOW, 15))  # as_user() waits for 30
        heard = None
        try:
            call.sendto(b"hello", (HERE6, 5555))
            heard = answer.recvfrom(100)[1][0]
            answer.sendto(b"woof", (caller, port))
            return [heard, answer.recv(100).decode()]
        except socket.timeout:
            return [heard, "timeout"]
        except OSError as error:
            return [heard, errno.errorcode[error.errno]]


gatekeeper.reload(network(RULES.replace("allow = (", f"""allow = (
    {{ net = "{HERE6}"; protocol = "udp"; }},""") + 'inbound = "any";'))
tap.equal("a made-up caller that is allowed is answered", as_user(
    PUPPY, answer_myself, PEER6, ALLOWED), [PEER6, "woof"])
before = seen(17, PEER6, DENIED)
heard = as_user(PUPPY, answer_myself, PEER6, DENIED)
tap.check("one that is denied is not", heard[0] == PEER6 and
          heard[1] in ("timeout", "EACCES", "EPERM"), heard)
tap.equal("no packet left", seen(17, PEER6, DENIED), before)


# A reload judges what is open already.  What waits for a clock waits longer
# where starting a program takes seconds.
STRETCH = max(1, SLOW / 4)


def talk_on(ready, seconds):
    """Echo over two connections all the time; how each ends."""
    ends = {}
    clients = {}
    for name, kind, port in (("stays", socket.SOCK_STREAM, ALLOWED),
                             ("goes", socket.SOCK_STREAM, DENIED),
                             ("udp goes", socket.SOCK_DGRAM, DENIED)):
        clients[name] = socket.socket(socket.AF_INET, kind)
        clients[name].settimeout(STRETCH)
        clients[name].connect((PEER, port))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, client in clients.items():
            if name in ends:
                continue
            try:
                client.send(b"x")
                client.recv(10)
            except OSError as error:
                ends[name] = type(error).__name__
        open(ready, "a").write(str(len(ends)))
        time.sleep(0.01)
    return ends


both = RULES.replace(f"{SINK_PORT} ]", f"{SINK_PORT}, {DENIED} ]")
gatekeeper.reload(network(both))
ready = "/home/puppy/talking"
ends = meanwhile(PUPPY, talk_on, ready, 3 * STRETCH)
while not os.path.exists(ready) or os.path.getsize(ready) < 20:
    time.sleep(0.02)
gatekeeper.reload(network(RULES))
tap.equal("a reload cuts what is no longer allowed, and only that",
          sorted(ends()), ["goes", "udp goes"])
gatekeeper.reload(network(RULES))

# So does the end of a rule that was for a while.
os.unlink(ready)
done = subprocess.run(
    ["leash", "allow", "host", f"{PEER}:{DENIED}", "--for",
     f"{int(3 * STRETCH)}s"], capture_output=True, text=True)
tap.equal("leash allow --for", (done.returncode, done.stderr), (0, ""))
ends = meanwhile(PUPPY, talk_on, ready, 5 * STRETCH)
while not os.path.exists(ready) or os.path.getsize(ready) < 20:
    time.sleep(0.02)
subprocess.run(["leash", "allow", "host", "192.0.2.77"], check=True,
               capture_output=True)
time.sleep(0.5)
tap.equal("what it allows goes on through another change",
          open(ready).read()[-1], "0")
tap.equal("the end of a rule cuts what it allowed, and only that",
          sorted(ends()), ["goes", "udp goes"])
os.unlink("/etc/leash.d/50-local.conf")
gatekeeper.reload(network(RULES))
before = visits()
as_user(PUPPY, tcp, PEER, ALLOWED)
tap.equal("after reloads, a flow is one visit again", visits() - before, 1)

# Whoever is leashed by a reload is so with what is open already.
def ask_on(ready, seconds):
    """Replies to datagrams of an unconnected socket, in the last second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        begin, late = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            try:
                client.sendto(b"x", (PEER, DENIED))
                client.recv(10)
                late += time.monotonic() - begin > seconds - 1
            except OSError:
                pass
            open(ready, "a").write("x")
            time.sleep(0.01)
    return late


ready = "/home/kitten/asking"
late = meanwhile(KITTEN, ask_on, ready, 4 * STRETCH)
while not os.path.exists(ready) or os.path.getsize(ready) < 20:
    time.sleep(0.02)
gatekeeper.reload(network(RULES).replace('"puppy"', '"kitten"'))
tap.equal("who is leashed by a reload is so with open flows, too", late(), 0)
tap.equal("and who no longer is, is not", as_user(PUPPY, tcp, PEER, DENIED)[0],
          "woof")
gatekeeper.reload(network(RULES))

# Somebody else's hand in the rules.
sh(OURS_FLUSH)
answer = as_user(PUPPY, tcp, PEER, DENIED)
tap.check("without the rule that refuses, nothing leaves",
          answer[0] in (*refused, "timeout"), answer)
gatekeeper.wait_for("somebody has changed the network rules")
gatekeeper.wait_for("the network rules are in place", times=1)
time.sleep(0.5)
answer, ms = as_user(PUPPY, tcp, PEER, DENIED)
tap.check("it is put back", answer in refused and ms < AT_ONCE_MS, f"{answer} {ms}")
sh(OURS_PASS_BY)
gatekeeper.wait_for("somebody has changed the network rules", times=2)
time.sleep(0.5)
answer, ms = as_user(PUPPY, tcp, PEER, DENIED)
tap.check("our jump stands first again", answer in refused, f"{answer} {ms}")
sh(OURS_PASS_BY_END)

# So does a restart: what the last gatekeeper allowed is no right for good.
ready = "/home/puppy/restarting"
gatekeeper.stop()
gatekeeper = Gatekeeper(network(both))
late = meanwhile(PUPPY, ask_on, ready, 5 * STRETCH)
while not os.path.exists(ready) or os.path.getsize(ready) < 20:
    time.sleep(0.02)
gatekeeper.stop()
gatekeeper = Gatekeeper(network(RULES))
tap.equal("a restart judges what is open already, too", late(), 0)



# And so does the reload after which marks come round again.
def ask_twice(ready, go):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.sendto(b"x", (PEER, DENIED))
        first = client.recv(10).decode()
        open(ready, "w").write("x")
        while not os.path.exists(go):
            time.sleep(0.01)
        try:
            client.sendto(b"y", (PEER, DENIED))
            return first + client.recv(10).decode()
        except OSError:
            return first


ready, go = "/home/puppy/asked", "/home/puppy/go"
gatekeeper.reload(network(both))
asked = meanwhile(PUPPY, ask_twice, ready, go)
while not os.path.exists(ready):
    time.sleep(0.02)
for _ in range(62):
    gatekeeper.reload(network(RULES))
open(go, "w").close()
tap.equal("marks that come round again open nothing", asked(), "x")

# Kinds of sockets that no rule is asked about, where the kernel has them.
def unjudged():
    return sorted(json.loads(sh("leash status --json")).get("unjudged", []))


here = {line.split()[0] for line in open("/proc/net/protocols")}
tap.equal("status tells which sockets are not judged", unjudged(), sorted(
    here & {"RXRPC", "SMC", "RDS", "TIPC", "KCM", "PPPOX", "PPPOE"}))

tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.equal("afterwards nobody is leashed",
          as_user(PUPPY, tcp, PEER, DENIED)[0], "woof")
tap.equal("others' rules are as they were", sh(OTHERS_LIST), theirs)
tap.finish()
