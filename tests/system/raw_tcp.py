"""raw_tcp - TCP as no kernel would send it, in an account's place

Raw sockets take a right that no account has.  So root makes one with the
account's file-system uid, by which the firewall knows whose a packet is, and
all that is sent there is judged as the account's.  These connections come from
an address that nobody has: the kernel does not answer for it, and what comes
back is read from the wire.
"""

import ctypes
import random
import select

from net_bed import *

STRANGER = "10.77.0.9"
FIN, SYN, RST, ACK, URG = 1, 2, 4, 16, 32
MOST = 1200  # bytes of a segment; the wire takes no more than 1500


def sum_of(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


class Connection:
    def __init__(self, host, port, source, first):
        self.host, self.port, self.source = host, port, source
        self.first = first  # number of the first byte
        self.theirs = None  # the next that they will send, once known
        self.taken = 0      # how much of ours they have acknowledged

    def packet(self, at, data=b"", flags=ACK, urgent=0, wrong=0):
        """A segment whose data begins at that byte; wrong is added to its
        checksum."""
        source, target = map(socket.inet_aton, (STRANGER, self.host))
        head = struct.pack(
            "!2H2I2B3H", self.source, self.port,
            self.first + at & 0xffffffff,
            self.theirs or 0, 5 << 4, flags, 60000, 0,
            urgent)
        total = sum_of(source + target + struct.pack(
            "!2H", 6, len(head) + len(data)) + head + data) ^ wrong
        ip = struct.pack("!2B3H2BH", 0x45, 0, 40 + len(data), 0, 0x4000, 64, 6,
                         0) + source + target
        return ip[:10] + struct.pack("!H", sum_of(ip)) + ip[12:] + \
            head[:16] + struct.pack("!H", total) + head[18:] + data


class Raw:
    """What account sends, and what comes back to it."""

    port, open = 20000, {}

    def __init__(self, account):
        libc = ctypes.CDLL(None)
        libc.setfsuid(account)
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                                 socket.IPPROTO_RAW)
        libc.setfsuid(0)
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                  socket.htons(0x0800))
        self.wire.bind(("v0", 0x0800))
        self.wire.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        here, there = (sh(f"cat /sys/class/net/{name}/address" if not space else
                          f"ip netns exec {space} cat "
                          f"/sys/class/net/{name}/address").strip()
                       for space, name in ((None, "v0"), ("peer", "v1")))
        sh(f"ip -n peer neigh replace {STRANGER} lladdr {here} dev v1")
        self.there = bytes.fromhex(there.replace(":", ""))

    def send(self, connection, *arguments, **more):
        try:
            self.raw.sendto(connection.packet(*arguments, **more),
                            (connection.host, 0))
        except OSError:
            pass  # refused

    def send_unseen(self, connection, *arguments, **more):
        """Past the firewall."""
        self.wire.sendto(connection.packet(*arguments, **more),
                         ("v0", 0x0800, 0, 0, self.there))

    def hear(self, connections, seconds, enough=lambda: False):
        """Take what comes back until it is enough, or none has come for so
        long, or ten times as long at most."""
        end = time.monotonic() + 10 * seconds
        while not enough() and time.monotonic() < end:
            if not select.select([self.wire], [], [], seconds)[0]:
                return
            ip = self.wire.recv(65536)
            at = (ip[0] & 15) * 4
            if ip[9] != 6 or ip[16:20] != socket.inet_aton(STRANGER):
                continue
            port, number, taken, offset, flags = struct.unpack(
                "!2x H 2I 2B", ip[at:at + 14])
            length = struct.unpack("!H", ip[2:4])[0] - at - (offset >> 4) * 4
            one = connections.get(port)
            if not one:
                continue
            if flags & SYN or one.theirs is not None:
                one.theirs = number + length + bool(flags & (SYN | FIN)) & \
                    0xffffffff
            taken = taken - one.first & 0xffffffff
            if flags & ACK and taken < 1 << 20:
                one.taken = max(one.taken, taken)

    def speak(self, host, port, plans):
        """A connection for each plan, all at once: a list of rounds, each of
        which tells the arguments for send() when told how much the server has
        taken.  What is refused does not end by itself, so those of the last
        time are reset now; these have until the next to be read."""
        for one in Raw.open.pop((host, port), ()):
            self.send_unseen(one, one.taken, b"", RST | ACK)
        connections = {}
        for _ in plans:
            Raw.port = Raw.port + 1 if Raw.port < 60000 else 20001
            connections[Raw.port] = Connection(host, port, Raw.port,
                                               random.getrandbits(32))
        pairs = list(zip(connections.values(), plans))
        for one, plan in pairs:
            self.send(one, -1, plan[0], SYN)
        self.hear(connections, 0.05 * SLOW, lambda: all(
            one.theirs is not None for one in connections.values()))
        for i in range(1, max(map(len, plans))):
            for one, plan in pairs:
                if one.theirs is None:
                    continue
                for arguments in plan[i](one.taken) if i < len(plan) else ():
                    self.send(one, *arguments[:2], **arguments[2])
            self.hear(connections, 0.02 * SLOW)
        for one, plan in pairs:
            self.send(one, one.taken, b"", FIN | ACK)
        self.hear(connections, 0.02 * SLOW)
        Raw.open[host, port] = list(connections.values())


def overlapping(chance, true, false):
    """A plan to send true with pieces of false, which is said where true is
    said, too: in any order, again, overlapping, cut, urgent, in the SYN.  None
    is lost on its way: what comes again once a connection is allowed, nobody
    reads, and only a right that no account has makes it other bytes."""
    both = (true, false)

    def piece(begin, end, of=None):
        of = chance.choice((true, true, false)) if of is None else of
        begin = max(0, begin)
        end = max(begin, min(len(of), end, begin + MOST))
        more = {}
        if not chance.randint(0, 15):
            more = {"flags": ACK | URG, "urgent": chance.choice(
                (0, 1, end - begin, end - begin + 1, 65535))}
        return begin, of[begin:end], more

    def first(_):
        at = sorted(chance.randint(0, len(true))
                    for _ in range(chance.randint(0, 3)))
        found = []
        for begin, end in zip([0, *at], [*at, len(true)]):
            for begin in range(begin, end, MOST):
                spread = chance.choice((0, 0, 1, 5, 20))
                found.append(piece(begin - spread, end + spread, true))
                if not chance.randint(0, 1):
                    begin += chance.choice((0, 0, -3, 7))
                    found.insert(chance.randint(0, len(found)),
                                 piece(begin, end + chance.choice((0, -3, 7))))
        if chance.randint(0, 1):
            chance.shuffle(found)
        return found

    def again(taken):
        begin = taken - chance.choice((0, 0, 0, 1, 10, taken))
        of = chance.choice(both)
        return [piece(at, at + MOST, of)
                for at in range(begin, len(of), MOST)]

    early = chance.choice(both)[:MOST] if not chance.randint(0, 9) else b""
    return [early, first, again, again]


def overlapping_messages(chance, messages, tail):
    """A plan to send these, each in a segment of its own, but not where the one
    before ended: of what lies before that, the receiver reads nothing."""
    found, end = [], 0
    for message in messages:
        begin = end - chance.choice((
            0, 0, 1, chance.randint(0, len(message)), len(message) - tail,
            len(message)))
        begin = max(0, begin)
        # Now and then the receiver gets none of it.
        found.append((begin, message, {"wrong": not chance.randint(0, 5)}))
        end = max(end, begin + len(message))
    if not chance.randint(0, 3):
        chance.shuffle(found)

    def again(taken):
        return [(taken - chance.choice((0, len(messages[-1]) - tail)),
                 messages[-1], {})]

    return [b"", lambda _: found, again]
