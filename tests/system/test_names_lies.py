"""Answers that lie, clients that cut and hide, tunnels: what is left of them.

Each lie of the resolver has an address of its own, so that whether it was
believed is seen by connecting there.
"""

import itertools
import mmap

from names_bed import *

BELIEVED, NOT_BELIEVED = "woof", "ECONNREFUSED"
tap = Tap()
tunnelled = "/mnt/tunnelled"


def place(number):
    return f"203.0.113.{number}"


def many(count, kind, first):
    return [record(b"\xc0\x0c", kind, address(first)[:-2] +
                   struct.pack("!H", i)) for i in range(count)]


def lie(name, kind, asked, send):
    """The first label says how, the second where to."""
    how, where = name.split(".")[:2]
    if name.endswith(".race.example"):
        number = int(how[1:])
        if kind == AAAA:
            send(answer(asked, [record(b"\xc0\x0c", AAAA, address(
                f"2001:db8:77::{number // 256 + 1:x}:{number % 256:x}"))]))
        else:
            send(answer(asked))
        return
    if name.endswith(".tunnel.example"):
        with open(tunnelled, "a") as out:
            out.write(name + "\n")
    where = place(int(where)) if where.isdigit() else place(1)
    honest = [record(b"\xc0\x0c", A, address(where))]
    other = place(int(where.split(".")[3]) + 1)
    number = struct.unpack("!H", asked[:2])[0]
    end = asked.index(b"\0", 12) + 5
    if how == "honest":
        send(answer(asked, honest))
    elif how == "wrongid":
        send(answer(asked, honest, number=number ^ 1))
    elif how == "wrongport":
        send(answer(asked, honest), port=54)
    elif how == "wrongname":
        send(answer(question("other.wild.example", A, number), honest))
    elif how == "wrongtype":
        send(answer(asked[:end - 4] + b"\0\x1c" + asked[end - 2:], honest))
    elif how == "wrongclass":
        send(answer(asked[:end - 2] + b"\0\3", honest))
    elif how == "aquestion":
        send(answer(asked, honest, flags=0x0100))
    elif how == "twice":
        send(answer(asked, honest))
        send(answer(asked, [record(b"\xc0\x0c", A, address(other))]))
    elif how == "additional":
        send(answer(asked, honest, additional=[
            record("web.example", A, address(other)),
            record(b"\xc0\x0c", A, address(other))]))
    elif how == "othername":
        send(answer(asked, [record("web.example", A, address(where))]))
    elif how == "loop":
        send(answer(asked, [record(struct.pack("!H", 0xc000 + end), A,
                                   address(where))]))
    elif how == "cnameloop":
        send(answer(asked, [record(b"\xc0\x0c", CNAME, encode("b.example")),
                            record("b.example", CNAME, b"\xc0\x0c"),
                            record("b.example", A, address(where))]))
    elif how == "chain":
        links = [name, *(f"n{i}.example" for i in range(12))]
        send(answer(asked, [record(one, CNAME, encode(two)) for one, two in
                            zip(links, links[1:])] +
                    [record(links[-1], A, address(where))]))
    elif how == "nxdomain":
        send(answer(asked, flags=0x8183))
    elif how == "cut":
        send(answer(asked, honest)[:-3])
    elif how == "garbage":
        send(asked[:2] + os.urandom(200))
    elif how == "many":
        send(answer(asked, honest + [record(b"\xc0\x0c", A,
                                            address(f"198.51.100.{i % 256}"))
                                     for i in range(499)]))
    elif how == "metadata":
        send(answer(asked, honest + [record(b"\xc0\x0c", A,
                                            address("169.254.169.254"))]))
    elif how == "huge":
        send(answer(asked, honest + [record(b"\xc0\x0c", TXT, bytes(250))
                                     for _ in range(248)]))
    elif how == "late":
        time.sleep(0.2)
        send(answer(asked, honest))
    else:
        send(answer(asked, [record(b"\xc0\x0c", A, address(place(200)))]))


FAR = place(210)


def far_away():
    """A web server behind the other host, which says the Host that it heard
    and how much in all, once that ends with a full stop."""
    sh("ip netns add far && "
       "ip link add f0 netns peer type veth peer name f1 netns far && "
       "ip -n peer addr add 198.51.100.1/24 dev f0 && "
       "ip -n peer link set f0 up && ip -n far link set lo up && "
       f"ip -n far addr add {FAR}/32 dev lo && "
       "ip -n far addr add 198.51.100.2/24 dev f1 && "
       "ip -n far link set f1 up && "
       "ip -n far route add default via 198.51.100.1 && "
       f"ip -n peer route add table local {FAR} via 198.51.100.2 dev f0 && "
       "ip netns exec peer sysctl -qw net.ipv4.ip_forward=1")
    if os.fork():
        return
    enter_peer("far")
    server = socket.socket()
    server.bind((FAR, 80))
    server.listen(100)

    def serve(client):
        heard = b""
        while not heard.endswith(b"."):
            heard += client.recv(1 << 20)
        client.sendall(heard.split(b"Host: ")[1].split(b"\r")[0] +
                       f" {len(heard)}".encode())

    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


RULES_HERE = RULES.replace("allow = (", """allow = (
    { host = "*.race.example"; }, { host = "*.tunnel.example"; },
    { net = "203.0.113.250"; ports = [ 9001 ]; },""")
names_bed()
start_resolver()
start_web()
far_away()
Liar(lie)
gatekeeper = Gatekeeper(policy(RULES_HERE))
for _ in range(100):
    if as_user(KITTEN, ask_liar, question("honest.9.wild.example"),
               place(9))[0] == 0:
        break

# Answers.  What is believed leads to a connection, and nothing else does.
number = 50
for how, code, outcome in (
        ("honest", 0, BELIEVED), ("wrongid", None, NOT_BELIEVED),
        ("wrongport", None, NOT_BELIEVED), ("wrongname", None, NOT_BELIEVED),
        ("wrongtype", None, NOT_BELIEVED), ("wrongclass", None, NOT_BELIEVED),
        ("aquestion", None, NOT_BELIEVED), ("additional", 0, BELIEVED),
        ("othername", 0, NOT_BELIEVED), ("loop", None, NOT_BELIEVED),
        ("cnameloop", 0, NOT_BELIEVED), ("chain", 0, BELIEVED),
        ("nxdomain", 3, NOT_BELIEVED), ("cut", None, NOT_BELIEVED),
        ("garbage", None, NOT_BELIEVED), ("many", 0, BELIEVED),
        ("metadata", 3, NOT_BELIEVED), ("late", 0, BELIEVED)):
    number += 2
    asked = question(f"{how}.{number}.wild.example")
    # From another port it is another flow: it may come, and means nothing.
    if how == "wrongport":
        code = 0
    tap.equal(f"{how}: what is heard, and believed",
              as_user(PUPPY, ask_liar, asked, place(number)), [code, outcome])
    tap.equal(f"{how}: another user hears what is said",
              as_user(KITTEN, ask_liar, asked, place(number))[1], "woof")
tap.equal("what was added is not believed",
          as_user(PUPPY, tcp, place(67), 9001)[0], NOT_BELIEVED)
tap.equal("a second answer is not believed",
          (as_user(PUPPY, ask_liar, question("twice.100.wild.example"),
                   place(100)), as_user(PUPPY, tcp, place(101), 9001)[0]),
          ([0, BELIEVED], NOT_BELIEVED))
tap.check("they are written down",
          wait_rows("kind = 'resolve' AND host_source = 'answer' AND reason "
                    "LIKE '%no question%' AND host = 'other.wild.example'"))
tap.equal("a name that may not be asked for",
          as_user(PUPPY, ask_liar, question("honest.110.secret.example"),
                  place(110)), [3, NOT_BELIEVED])
for name, more, counts in (
        ("bytes behind the question", b"secret", (1, 0, 0, 0)),
        ("a record beside the question", record("secret", TXT, b"\6secret"),
         (1, 0, 0, 1)),
        ("two questions", encode("b.wild.example") + b"\0\1\0\1", (2, 0, 0, 0))):
    asked = question("honest.112.wild.example", more=more, counts=counts)
    tap.equal(f"{name}: goes nowhere",
              as_user(PUPPY, ask_liar, asked, place(112))[1], NOT_BELIEVED)


# An account that answers itself, by a socket that is gone at once.
def own_resolver():
    asked = question("honest.1.wild.example")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5 * SLOW)
        client.bind(("127.0.0.1", 0))
        client.sendto(asked, ("127.0.0.1", 53))
        time.sleep(0.2 * SLOW)  # until it has been judged, and is known
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 53))
            try:
                server.sendto(answer(asked, [record(b"\xc0\x0c", A,
                                                    address(place(130)))]),
                              client.getsockname())
                client.recv(4096)
            except OSError:
                pass
    return tcp(place(130), 9001)[0]


gatekeeper.reload(policy(RULES_HERE).replace(f'"{LIAR}"',
                                             f'"{LIAR}", "127.0.0.1"'))
tap.equal("nobody is a resolver of their own", as_user(PUPPY, own_resolver),
          NOT_BELIEVED)


# Over TCP.
def ask_tcp(pieces):
    with socket.create_connection((LIAR, 53), 3 * SLOW) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(3 * SLOW)
        data = b""
        try:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.02 * (len(pieces) > 1))
            while part := client.recv(65536):
                data += part
                if len(data) >= 2 and len(data) >= 2 + data[0] * 256 + data[1]:
                    break
        except OSError as error:
            return errno.errorcode.get(error.errno, "timeout")
    return [len(data), data[5] & 15]


def framed(asked):
    return struct.pack("!H", len(asked)) + asked


tap.equal("TCP: 64 KB of answer",
          as_user(PUPPY, ask_tcp, [framed(question("huge.120.wild.example"))]),
          [65033, 0])
tap.equal("TCP: believed", as_user(PUPPY, tcp, place(120), 9001)[0], BELIEVED)
tap.equal("TCP: a metadata address comes to nothing",
          as_user(PUPPY, ask_tcp,
                  [framed(question("metadata.122.wild.example"))]), "timeout")
tap.equal("TCP: nor is it believed", as_user(PUPPY, tcp, place(122), 9001)[0],
          NOT_BELIEVED)
asked = framed(question("honest.124.wild.example"))
before = seen(6, LIAR, 53)
tap.equal("TCP: a question in pieces is refused",
          as_user(PUPPY, ask_tcp, [asked[:20], asked[20:]]), "ECONNRESET")
tap.check("TCP: that is written down", wait_rows(
    "kind = 'resolve' AND verdict = 'deny' AND protocol = 'tcp' AND target = "
    "'?'"))
tap.equal("TCP: two questions at once, one refused",
          as_user(PUPPY, ask_tcp, [asked + framed(
              question("honest.126.secret.example"))]), "ECONNRESET")
tap.equal("TCP: two refused are answered",
          as_user(PUPPY, ask_tcp, [framed(question("a.secret.example")) +
                                   framed(question("a.secret.example", AAAA))]),
          [2 * (2 + 34), 3])


# What the kernel does to a packet behind the gate.  Bytes that it will cut:
def in_segments(asked, size, host):
    """One send, which the kernel cuts every so many bytes; what comes back."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as client:
        client.settimeout(0.5 * SLOW)
        try:
            client.connect((host, 53))
            client.setsockopt(socket.IPPROTO_UDP, 103, size)  # UDP_SEGMENT
            client.send(asked)
            return client.recv(4096)[3] & 15
        except socket.timeout:
            return "nothing"
        except OSError as error:
            return errno.errorcode[error.errno]


def edns(*options, size=1232, flags=0, version=0, code=0, name=b"\0"):
    data = b"".join(struct.pack("!2H", kind, len(value)) + value
                    for kind, value in options)
    return name + struct.pack("!2H2BHH", 41, size, code, version, flags,
                              len(data)) + data


def with_edns(name, *options, kind=A, number=0x1234, **more):
    return question(name, kind, number, edns(*options, **more), (1, 0, 0, 1))


def hidden_behind(names, size=128):
    """A question for a name that is allowed, and in an option of it, where
    later segments begin, whole ones for others."""
    head = len(with_edns("web.example", (65001, b"")))
    data = bytes(size - head)
    for number, name in enumerate(names):
        one = question(name, A, number)
        data += with_edns(name, (12, bytes(size - len(one) - 15)))
    return with_edns("web.example", (65001, data))


hidden = [f"c2VjcmV0-{i:02}.secret.example" for i in range(20)]
for host in (RESOLVER, RESOLVER6):
    tap.check(f"{host}: one question that becomes many is refused", as_user(
        PUPPY, in_segments, hidden_behind(hidden), 128, host) in REFUSED)
    padded = with_edns("web.example", (12, bytes(100)))
    tap.check(f"{host}: so is one cut in two", as_user(
        PUPPY, in_segments, padded, 100, host) in REFUSED)
    tap.equal(f"{host}: what is not cut is answered", as_user(
        PUPPY, in_segments, padded, 1000, host), 0)
tap.equal("no name hidden there was asked for",
          [name for name in hidden if asked_of_resolver(name)], [])
as_user(KITTEN, in_segments, hidden_behind(hidden), 128, RESOLVER)
tap.equal("by another user all are",
          [name for name in hidden if not asked_of_resolver(name)], [])
tap.check("it is written down", wait_rows(
    "kind = 'resolve' AND verdict = 'deny' AND protocol = 'udp' AND target = "
    "'?'"))


# ... and one that is written to while it is on its way: its bytes are a page of
# the client's, which the queue shows us, and the receiver gets.
def changed_meanwhile(lent, protocol, host, name):
    """Ask for web.example, and change that to name a moment later: what comes
    back."""
    asked, other = question("web.example"), question(name)
    if protocol == socket.SOCK_STREAM:
        asked, other = [struct.pack("!H", len(one)) + one
                        for one in (asked, other)]
    file = os.memfd_create("question")
    os.write(file, asked)
    with socket.socket(family_of(host), protocol) as client, \
            mmap.mmap(file, len(asked)) as page:
        client.settimeout(3 * SLOW)
        client.connect((host, 53))
        if lent == "sendfile":
            os.sendfile(client.fileno(), file, 0, len(asked))
        else:
            client.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
            client.send(page, 0x4000000)  # MSG_ZEROCOPY
        time.sleep(0.2 * SLOW)
        page[:] = other
        try:
            return name_of(client.recv(4096)[len(asked) -
                                             len(question(name)):])[0]
        except socket.timeout:
            return "nothing"


for number, (lent, host, protocol) in enumerate(itertools.product(
        ("sendfile", "zerocopy"), (RESOLVER, RESOLVER6),
        (socket.SOCK_DGRAM, socket.SOCK_STREAM))):
    name = f"c{number}x.changed"  # as long as the other
    [reader] = gatekeeper.pids("leash-dns")
    os.kill(reader, signal.SIGSTOP)
    wait = meanwhile(PUPPY, changed_meanwhile, lent, protocol, host, name)
    time.sleep(0.5 * SLOW)
    os.kill(reader, signal.SIGCONT)
    # TCP has sent the other one meanwhile, too, and that is refused.
    tap.check(f"{lent}, {host}, {protocol.name}: what was judged is asked",
              wait() == "web.example" or protocol == socket.SOCK_STREAM)
    tap.equal("and nothing else", asked_of_resolver(name), 0)


# The same after the client has said its host: the first copy dies on the way,
# and TCP sends what the page holds by then.
def said_again(host, more=0):
    """Say honest.210.wild.example, and then host in its place: what comes
    back."""
    def head(host):
        return (f"POST / HTTP/1.1\r\nHost: {host}.210.wild.example\r\n\r\n" +
                "." * (not more)).encode()

    ask_liar(question("honest.210.wild.example"), FAR, 9001)
    file = os.memfd_create("head")
    os.write(file, head("honest"))
    with socket.socket() as client, mmap.mmap(file, len(head(host))) as page:
        client.settimeout(5 * SLOW)
        client.connect((FAR, 80))
        time.sleep(0.1)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        os.sendfile(client.fileno(), file, 0, len(page))
        time.sleep(0.05)
        page[:] = head(host)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
        try:
            client.sendall(bytes(more) + b"." * bool(more))
            return client.recv(4096).decode()
        except socket.timeout:
            return "nothing"
        except OSError as error:
            return errno.errorcode[error.errno]


tap.equal("a host, said again: it arrives", as_user(
    PUPPY, said_again, "honest"), "honest.210.wild.example 51")
tap.equal("another host, said instead: refused", as_user(
    PUPPY, said_again, "secret"), "ECONNRESET")
tap.check("it is written down", wait_rows(
    "kind = 'connect' AND verdict = 'deny' AND host = 'honest.210.wild.example'"
    " AND reason LIKE '%cannot be read%'"))
before = visits()
tap.equal("much more behind a host arrives, too", as_user(
    PUPPY, said_again, "honest", 20 << 20),
    f"honest.210.wild.example {51 + (20 << 20)}")
tap.check("and the queue is not asked for long", visits() - before < 500,
          visits() - before)


# ... and a byte that its receiver leaves out (MSG_OOB).
def urgently(host, port, pieces):
    """Send (bytes, flags), each in a segment of its own: what comes back at
    last."""
    with socket.socket(family_of(host)) as client:
        client.settimeout(3 * SLOW)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.connect((host, port))
            for data, flags in pieces:
                if select.select([client], [], [], 0)[0]:
                    client.recv(4096)
                client.send(data, flags)
                time.sleep(0.1 * SLOW)
            return client.recv(4).hex() or "closed"
        except socket.timeout:
            return "timeout"
        except OSError as error:
            return errno.errorcode[error.errno]


as_user(PUPPY, lookup, "good.example")
OOB = socket.MSG_OOB
allowed = framed(question("web.example"))
hello = hello_for("good.example")
head = b"GET / HTTP/1.1\r\nX: y\r\nHost: good.example\r\n\r\n"
for name, where, pieces in (
        ("a question", (RESOLVER, 53), [(allowed, OOB)]),
        ("a question, IPv6", (RESOLVER6, 53), [(allowed, OOB)]),
        ("the second question", (RESOLVER, 53), [(allowed, 0), (allowed, OOB)]),
        ("a hello", (SHARED, 443), [(hello, OOB)]),
        ("the end of a hello", (SHARED, 443), [(hello[:50], 0),
                                               (hello[50:], OOB)]),
        ("a head", (SHARED, 80), [(head[:16], OOB), (head[16:], 0)]),
        ("the middle of a head", (SHARED, 80), [
            (head[:17], 0), (head[17:20], OOB), (head[20:], 0)])):
    tap.equal(f"urgent, {name}: refused", as_user(PUPPY, urgently, *where,
                                                  pieces), "ECONNRESET")
    plainly = [(data, 0) for data, _ in pieces]
    tap.check(f"not urgent, {name}: answered", as_user(
        PUPPY, urgently, *where, plainly) not in ("ECONNRESET", "timeout"))
tap.equal("urgent, where no name is read: none of our business",
          as_user(PUPPY, urgently, place(250), 9001, [(b"woof", 0),
                                                      (b"woofw", OOB)]),
          b"woof".hex())
tap.equal("urgent, by another user", as_user(
    KITTEN, urgently, SHARED, 80, [(head[:24] + b"!", OOB), (head[24:], 0)]),
    b"HTTP".hex())

# A look-up and at once a connection: A and AAAA share one socket.
def race(count):
    wrong = []
    for i in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5 * SLOW)
            client.connect((LIAR, 53))
            client.send(question(f"n{i}.race.example", A, i & 0xffff))
            client.send(question(f"n{i}.race.example", AAAA, i & 0xffff))
            found = None
            for _ in range(2):
                data = client.recv(4096)
                found = data[-16:] if len(data) > 60 else found
        if found is None:
            wrong.append([i, "no answer"])
            continue
        with socket.socket(socket.AF_INET6) as other:
            other.settimeout(5 * SLOW)
            try:
                other.connect((socket.inet_ntop(socket.AF_INET6, found), 9001))
            except OSError as error:
                wrong.append([i, str(error)])
    return wrong[:5]


RACES = int(10000 / max(SLOW, 1))
gatekeeper.reload(policy(RULES_HERE, "names = { per_minute = 20000; };"))
tap.equal(f"{RACES} look-ups, each followed at once by a connection",
          as_user(PUPPY, race, RACES, seconds=100), [])
gatekeeper.reload(policy(RULES_HERE))

# What a client says, however it is cut.
as_user(PUPPY, lookup, "good.example")
good, bad = hello_for("good.example"), hello_for("bad.example")


def cut_everywhere(hello):
    """Two segments, cut at each byte: what comes back, how often."""
    outcomes = {}
    for i in range(1, len(hello)):
        outcome = say(SHARED, [hello[:i], hello[i:]])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


tap.equal(f"{len(good) - 1} ways to cut a ClientHello: allowed",
          as_user(PUPPY, cut_everywhere, good, seconds=100),
          {"16": len(good) - 1})
tap.equal(f"{len(bad) - 1} ways to cut another: refused",
          as_user(PUPPY, cut_everywhere, bad, seconds=100),
          {"ECONNRESET": len(bad) - 1})
for name, pieces in (
        ("byte by byte", lambda hello: [hello[i:i + 1]
                                        for i in range(len(hello))]),
        ("in records of ten bytes", lambda hello: [in_records(hello[5:], 10)]),
        ("in records and segments", lambda hello: [
            in_records(hello[5:], 50)[i:i + 7]
            for i in range(0, len(in_records(hello[5:], 50)), 7)])):
    tap.equal(f"{name}: allowed", as_user(PUPPY, say, SHARED, pieces(good)),
              "16")
    tap.equal(f"{name}: refused", as_user(PUPPY, say, SHARED, pieces(bad)),
              "ECONNRESET")
for size in (1800, 17000):
    tap.equal(f"{size} bytes: allowed", as_user(
        PUPPY, say, SHARED, [hello_for("good.example", size)]), "16")
    tap.equal(f"{size} bytes: refused", as_user(
        PUPPY, say, SHARED, [hello_for("bad.example", size)]), "ECONNRESET")
tap.equal("no end to it: refused", as_user(
    PUPPY, say, SHARED, [hello_for("good.example", 30000)]), "ECONNRESET")
request = b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"
for name, word in ((b"good.example", "48"), (b"bad.example", "ECONNRESET")):
    whole = request % name
    outcomes = {as_user(PUPPY, say, SHARED, [whole[:i], whole[i:]], 80)
                for i in range(1, len(whole))}
    tap.equal(f"Host: {name.decode()} cut anywhere", outcomes, {word})


# Data in the very first packet.
def fast_open(hello):
    for _ in range(2):  # the first time, only a cookie is had
        with socket.socket() as client:
            try:
                client.sendto(hello, socket.MSG_FASTOPEN, (SHARED, 9000))
                client.settimeout(3 * SLOW)
                outcome = client.recv(1).hex()
            except OSError as error:
                outcome = errno.errorcode.get(error.errno, "timeout")
    return outcome


tap.equal("TCP Fast Open: allowed", as_user(PUPPY, fast_open, good), "16")
tap.check("TCP Fast Open: refused", as_user(PUPPY, fast_open, bad) in
          ("ECONNRESET", "ECONNREFUSED"))

# A socket that is closed while much is still to be sent has no owner.
def send_and_close(first, length):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect((SHARED, SINK_PORT))
    client.setblocking(False)
    try:
        client.send(first)
        client.send(bytes(length))
    except OSError:
        pass
    client.close()


def sunk():
    try:
        return [int(line) for line in open(SINK)]
    except OSError:
        return []


for user, right in ((PUPPY, lambda length: length < 50000),
                    (KITTEN, lambda length: length > 400000)):
    before = len(sunk())
    as_user(user, send_and_close, b"\x16\3\1\x40\0\1\0\x50\0\3\3", 400000)
    end = time.monotonic() + 30
    while len(sunk()) == before and time.monotonic() < end:
        time.sleep(0.1)
    tap.check(f"what uid {user} sends after closing is "
              f"{'judged, too' if user == PUPPY else 'its own business'}",
              len(sunk()) == before + 1 and right(sunk()[-1]), sunk())


# ... and what the sender writes to pages that it has sent already.  A receiver
# that reads late shows it: until then they are on their way.
gatekeeper.reload(policy(RULES_HERE).replace(f'"{LIAR}"',
                                             f'"{LIAR}", "203.0.113.53"'))
LATE, READ_NOW, WAS_READ = "203.0.113.53", "/mnt/read", "/mnt/was_read"


def read_late(kind, host, port):
    """A receiver that reads once READ_NOW is there, and then writes to WAS_READ
    what it has read."""
    for path in (READ_NOW, WAS_READ):
        if os.path.exists(path):
            os.unlink(path)
    pid = os.fork()
    if pid == 0:
        enter_peer()
        server = socket.socket(family_of(host), kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        if kind == socket.SOCK_STREAM:
            server.listen(1)
        open(WAS_READ, "w").close()
        end = time.monotonic() + 10 * SLOW
        while not os.path.exists(READ_NOW) and time.monotonic() < end:
            time.sleep(0.01)
        server.settimeout(1)
        data = b""
        try:
            if kind == socket.SOCK_STREAM:
                server = server.accept()[0]
                server.settimeout(1)
                while part := server.recv(65536):
                    data += part
            else:
                data = server.recv(65536)
        except OSError:
            pass
        with open(WAS_READ, "wb") as out:
            out.write(data)
        os._exit(0)
    while not os.path.exists(WAS_READ):
        time.sleep(0.01)
    return pid


def write_after(kind, host, port, first, second):
    """Send pages that hold the first, and then write the second to them."""
    page = mmap.mmap(-1, (len(first) + 4095) // 4096 * 4096)
    page[:len(first)] = first
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    vector = (ctypes.c_size_t * 2)(address, len(first))
    out, into = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(family_of(host), kind) as client:
        client.connect((host, port))
        if libc.vmsplice(into, vector, 1, 0) != len(first):
            return "vmsplice"
        libc.splice(out, None, client.fileno(), None, len(first), 0)
        time.sleep(0.3 * SLOW)
        page[:len(second)] = second
        time.sleep(0.1)
    return "written"


def late(uid, kind, host, port, first, second):
    """What a receiver reads of that."""
    reader = read_late(kind, host, port)
    done = as_user(uid, write_after, kind, host, port, first, second)
    write_file(READ_NOW)
    os.waitpid(reader, 0)
    return [done, open(WAS_READ, "rb").read()]


as_user(PUPPY, lookup, "a.wild.example")
web, secret = (b"GET / HTTP/1.1\r\nHost: %s\r\nX: " % name +
               b"x" * 3000 + b"\r\n\r\n"
               for name in (b"a.wild.example", b"secret.example"))
short = [head.replace(b"x" * 3000, b"x") for head in (web, secret)]
hellos = [hello_for(name) for name in ("a.wild.example", "secret.example")]
DGRAM, STREAM = socket.SOCK_DGRAM, socket.SOCK_STREAM
for name, at, first, second in (
        ("a question", (DGRAM, LATE, 53), question("web.example"),
         question("out.example")),
        ("a question over TCP", (STREAM, LATE, 53),
         framed(question("web.example")), framed(question("out.example"))),
        ("a head", (STREAM, WEB, 8088), *short),
        ("a head of several segments", (STREAM, WEB, 8088), web, secret),
        ("a hello", (STREAM, WEB, 8443), *hellos)):
    tap.equal(f"written to later, {name}: by another user",
              late(KITTEN, *at, first, second),
              ["written", second[:len(first)] + first[len(second):]])
    tap.equal(f"written to later, {name}: sent is what was read",
              late(PUPPY, *at, first, second), ["written", first])


# The same port again: what an earlier connection said counts no more.
def same_port_again(port):
    def go(hello):
        with socket.socket() as client:
            client.settimeout(3 * SLOW)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            client.bind(("", port))
            client.connect((SHARED, 443))
            try:
                client.sendall(hello)
                return client.recv(1).hex()
            except OSError as error:
                return errno.errorcode.get(error.errno, "timeout")
    return [go(good), go(bad), go(good)]


tap.equal("the same port again, and another name",
          as_user(PUPPY, same_port_again, 33333), ["16", "ECONNRESET", "16"])


# Tunnels: what they carry stands before a name that may be asked for.
def tunnel(name, count):
    """Names of so many bytes, all different; how many were answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5 * SLOW)
        answered = 0
        for i in range(count):
            client.sendto(question(f"{i:04}{name}.tunnel.example", TXT, i),
                          (LIAR, 53))
            try:
                answered += client.recv(4096)[3] & 15 == 0
            except OSError:
                pass
        return answered


def through():
    return len(open(tunnelled).read().split()) \
        if os.path.exists(tunnelled) else 0


tap.equal("long names carry nothing out",
          (as_user(PUPPY, tunnel, "x" * 50 + "." + "y" * 50, 100), through()),
          (0, 0))
# The limit is by the minute: all in one.
left = 60 - time.monotonic() % 60
if left < 20 * SLOW:
    time.sleep(left + 0.5)
answered = as_user(PUPPY, tunnel, "", 200)
tap.equal("many names carry little out", (answered, through()), (60, 60))
tap.check("it is said why", wait_rows("reason LIKE '%tunnels%'"))
tap.equal("names already known may be asked for again",
          as_user(PUPPY, tunnel, "", 20), 20)
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
