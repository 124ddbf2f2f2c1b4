"""net_bed - a second host for the net tests, and what has reached it

The arena has a network namespace of its own.  Beside it stands `peer`, joined
by a wire: 10.77.0.1 and fd77::1 here, 10.77.0.2, .3 and fd77::2, ::3 there.  It
answers on every port that is asked for and writes down each packet that
arrives, so that "nothing has left" is seen from outside.
"""

import ctypes
import fcntl
import select
import socket
import struct
import threading

from harness import *

HERE, PEER, OTHER = "10.77.0.1", "10.77.0.2", "10.77.0.3"
HERE6, PEER6, OTHER6 = "fd77::1", "fd77::2", "fd77::3"
SEEN, SINK, SINK_PORT = "/mnt/seen", "/mnt/sink", 1004
QUEUES = "/proc/net/netfilter/nfnetlink_queue"


# How much slower than a real one this machine is (tests/lab).
SLOW = float(os.environ.get("LEASH_SLOW", "1"))

# LEASH_WITHOUT: programs that this system is to be without, so that gatekeeper
# takes the next backend.
for program in os.environ.get("LEASH_WITHOUT", "").split():
    if os.path.lexists(f"/usr/sbin/{program}"):
        os.unlink(f"/usr/sbin/{program}")
IPTABLES = next((name for name in ("iptables-legacy", "iptables")
                 if os.path.lexists(f"/usr/sbin/{name}")), None)


def sh(command, check=True):
    return subprocess.run(command, shell=True, check=check, text=True,
                          capture_output=True).stdout


# What somebody else does with the firewall, for either backend: rules of their
# own, how those read, and two ways to lay hands on ours.
if IPTABLES:
    OTHERS_ADD = (f"{IPTABLES} -A OUTPUT -p tcp --dport 9 -j ACCEPT; "
                  f"{IPTABLES} -t mangle -A OUTPUT -p tcp --dport 9 -j ACCEPT")
    OTHERS_LIST = " ".join(
        f"{IPTABLES}-save -t {table} | grep -v '^#' | sed 's/\\[.*\\]//';"
        for table in ("mangle", "filter"))
    OURS_FLUSH = (f"{IPTABLES} -F OUTPUT; "
                  f"{IPTABLES} -A OUTPUT -p tcp --dport 9 -j ACCEPT")
    OURS_PASS_BY = f"{IPTABLES} -t mangle -I OUTPUT 1 -p tcp -j ACCEPT"
    OURS_PASS_BY_END = f"{IPTABLES} -t mangle -D OUTPUT -p tcp -j ACCEPT"
else:
    OTHERS_ADD = ("nft 'table ip theirs { chain out { type filter hook output "
                  "priority 0; tcp dport 9 accept; }; }'")
    OTHERS_LIST = "nft list ruleset"
    OURS_FLUSH = "nft flush chain inet leash refuse"
    OURS_PASS_BY = "nft delete table inet leash"
    OURS_PASS_BY_END = "true"


def wire():
    sh("ip netns add peer && "
       "ip link add v0 type veth peer name v1 netns peer && "
       f"ip addr add {HERE}/24 dev v0 && "
       f"ip addr add {HERE6}/64 dev v0 nodad && ip link set v0 up && "
       f"ip -n peer addr add {PEER}/24 dev v1 && "
       f"ip -n peer addr add {OTHER}/24 dev v1 && "
       f"ip -n peer addr add {PEER6}/64 dev v1 nodad && "
       f"ip -n peer addr add {OTHER6}/64 dev v1 nodad && "
       "ip -n peer link set v1 up && ip -n peer link set lo up && "
       "ip route add default via 10.77.0.2 && "
       "sysctl -qw net.ipv4.ip_unprivileged_port_start=0 "
       "net.ipv4.tcp_fastopen=3 net.ipv4.ping_group_range='1 0'")


def echo_tcp(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo_one, args=(connection,),
                         daemon=True).start()


def echo_one(connection):
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


def sink_tcp(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=sink_one, args=(connection,),
                         daemon=True).start()


def sink_one(connection):
    """Reads late, and writes down how much it was when no more comes."""
    time.sleep(1)
    total = 0
    with connection:
        connection.settimeout(5 * min(SLOW, 5))
        try:
            while data := connection.recv(65536):
                total += len(data)
        except OSError:
            pass
    with open(SINK, "a") as out:
        out.write(f"{total}\n")


def echo_udp(server):
    while True:
        data, address = server.recvfrom(65536)
        server.sendto(data[:1000], address)


def note_packet(out, frame):
    """protocol destination port, or type of ICMP: a line for each packet that
    comes from here."""
    kind = struct.unpack("!H", frame[12:14])[0]
    ip = frame[14:]
    if kind == 0x0800:
        protocol, at = ip[9], (ip[0] & 15) * 4
        source, target = (socket.inet_ntop(socket.AF_INET, ip[n:n + 4])
                          for n in (12, 16))
        fragment = struct.unpack("!H", ip[6:8])[0] & 0x1fff
    elif kind == 0x86dd:
        protocol, at, fragment = ip[6], 40, 0
        source, target = (socket.inet_ntop(socket.AF_INET6, ip[n:n + 16])
                          for n in (8, 24))
    else:
        return
    if source not in (HERE, HERE6):
        return
    port = "fragment" if fragment else struct.unpack(
        "!H", ip[at + 2:at + 4])[0] if protocol in (6, 17, 136) else ip[at]
    out.write(f"{protocol} {target} {port}\n")


def sniff():
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                        socket.htons(3))
    raw.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    raw.bind(("v1", 0))
    with open(SEEN, "w") as out:
        while True:
            frame, (_, _, kind, _, _) = raw.recvfrom(65536)
            if kind != socket.PACKET_OUTGOING:
                note_packet(out, frame)
            if not select.select([raw], [], [], 0)[0]:
                out.flush()


def enter_peer(host="peer"):
    """Be on the other host from now on."""
    space = os.open(f"/run/netns/{host}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(space, 0x40000000):
        os._exit(1)


class Peer:
    """The other host: starts when made, ends with the arena."""

    def __init__(self, ports, hosts=(PEER, OTHER, PEER6, OTHER6)):
        self.pid = os.fork()
        if self.pid:
            for _ in range(500):
                if os.path.exists(SEEN):
                    break
                time.sleep(0.01)
            return
        enter_peer()
        for port in ports:
            for host in hosts:
                self.serve(host, port)
        sniff()


    @staticmethod
    def serve(host, port):
        listener = socket.socket(family_of(host))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 100)
        if host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port == SINK_PORT:  # little is on its way at a time
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind((host, port))
        listener.listen(4096)
        server = socket.socket(family_of(host), socket.SOCK_DGRAM)
        if host == "::":
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((host, port))
        threading.Thread(target=sink_tcp if port == SINK_PORT else echo_tcp,
                         args=(listener,), daemon=True).start()
        threading.Thread(target=echo_udp, args=(server,),
                         daemon=True).start()


def seen(protocol, target, port, settle=0.15 * min(SLOW, 5)):
    """How many such packets have reached the peer."""
    time.sleep(settle)
    line = f"{protocol} {target} {port}\n"
    with open(SEEN) as lines:
        return sum(one == line for one in lines)


def visits():
    """Packets that have been queued, as the kernel counts them."""
    with open(QUEUES) as lines:
        return sum(int(line.split()[7]) for line in lines)


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def tcp(host, port, data=b"woof", source=None):
    """What comes back, or the errno; and after how many milliseconds."""
    begin = time.monotonic()
    with socket.socket(family_of(host)) as client:
        client.settimeout(4 * min(SLOW, 5))
        try:
            if source:
                client.bind(("", source))
            client.connect((host, port))
            client.sendall(data)
            answer = client.recv(65536).decode()
        except socket.timeout:
            answer = "timeout"
        except OSError as error:
            answer = errno.errorcode[error.errno]
    return [answer, (time.monotonic() - begin) * 1000]


def udp(host, port, data=b"woof", source=None, seconds=2 * min(SLOW, 5)):
    begin = time.monotonic()
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        try:
            if source:
                client.bind(("", source))
            client.connect((host, port))
            client.send(data)
            answer = client.recv(65536).decode()
        except socket.timeout:
            answer = "timeout"
        except OSError as error:
            answer = errno.errorcode[error.errno]
    return [answer, (time.monotonic() - begin) * 1000]
