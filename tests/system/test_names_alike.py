"""What we read of a question, a hello and a head is what servers read.

dnsmasq, BIND, Unbound, OpenSSL and nginx are sent the same odd bytes, made at
random from a seed, and say which names they read: in segments as the kernel
cuts them, and in such as it would not send (raw_tcp).  A name of theirs that no
rule allows has come by us unread.  That they would have read others is shown by
a user who may send what he likes.
"""

import glob
import random

from names_bed import *
from raw_tcp import Raw, overlapping, overlapping_messages

SEED = int(os.environ.get("LEASH_SEED", time.time()))
ROUNDS = int(os.environ.get("LEASH_ROUNDS", "1"))
TLS_PORT, TLS_SEEN, HTTP_SEEN = 8443, "/mnt/tls.seen", "/mnt/nginx.seen"
UNBOUND = "203.0.113.53"
ASKED = ("web.example", "db.example", "good.example")
tap = Tap()
print(f"# LEASH_SEED={SEED}", flush=True)
names_bed()
dnsmasq = start_resolver(["--dns-forward-max=10000"])
with open("/mnt/named.conf", "w") as out:
    out.write(f"""options {{ directory "/mnt"; recursion no; pid-file none;
        listen-on {{ {LIAR}; }}; listen-on-v6 {{ none; }};
        session-keyfile "/mnt/named.key"; dnssec-validation no;
        managed-keys-directory "/mnt"; }};
        controls {{ }};
        logging {{ channel all {{ stderr; severity debug 3; }};
            category queries {{ all; }}; category default {{ all; }}; }};
        zone "example" {{ type master; file "/mnt/named.zone"; }};""")
with open("/mnt/named.zone", "w") as out:
    out.write("$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.example.\n"
              + "".join(f"{name.removesuffix('.example')} A {WEB}\n"
                        for name in ("a", *map(str, NAMES))))
with open("/mnt/unbound.conf", "w") as out:
    out.write(f"""server:
        interface: {UNBOUND}
        access-control: 0.0.0.0/0 allow
        username: ""
        chroot: ""
        directory: "/mnt"
        pidfile: ""
        use-syslog: no
        log-queries: yes
        num-threads: 1
        module-config: "iterator"
        incoming-num-tcp: 200
        do-ip6: no
        local-zone: "." static
remote-control:
        control-enable: no
server:
""" + "".join(f'        local-data: "{name} A {WEB}"\n' for name in NAMES))


def unpack(pattern):
    """Debian's own packages, in this view of the system alone."""
    found = glob.glob(f"{os.environ['ARENA_SOURCE']}/build/debs/{pattern}")
    for package in found:
        sh(f"dpkg --fsys-tarfile {package} | "
           "tar x -C / --keep-directory-symlink")
    return found


servers = {"dnsmasq": (RESOLVER, "/mnt/dnsmasq.log")}
if unpack("bind9*_*.deb"):
    servers["BIND"] = (LIAR, "/mnt/named.log")
    spawn_there(["/usr/sbin/named", "-g", "-u", "root", "-n", "1", "-c",
                 "/mnt/named.conf"], "/mnt/named.log",
                lambda log: "running" in log)
unpack("lib*_*.deb")
if unpack("unbound_*.deb") and subprocess.run(
        ["/usr/sbin/unbound", "-V"], capture_output=True).returncode == 0:
    servers["Unbound"] = (UNBOUND, "/mnt/unbound.log")
    spawn_there(["/usr/sbin/unbound", "-d", "-c", "/mnt/unbound.conf"],
                "/mnt/unbound.log", lambda log: "start of service" in log)
for name in ("BIND", "Unbound"):
    if name not in servers:
        tap.skip(name, "no package to be had that runs here")
import names_bed as bed
bed.NGINX = bed.NGINX.replace(
    "access_log off;", 'log_format seen "$connection_requests $status $host"; '
    f"access_log {HTTP_SEEN} seen;")
start_web()


def serve_tls():
    """Write down each server name that OpenSSL reads."""
    if os.fork():
        return
    enter_peer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/mnt/cert.pem", "/mnt/key.pem")
    out = open(TLS_SEEN, "a", buffering=1)
    context.sni_callback = lambda _, name, __: out.write(f"{name}\n") and None
    listener = socket.create_server((SHARED, TLS_PORT), backlog=500)

    def serve(client):
        with client:
            try:
                context.wrap_socket(client, server_side=True)
            except (OSError, ValueError):
                pass

    while True:
        client, _ = listener.accept()
        client.settimeout(5 * SLOW)
        threading.Thread(target=serve, args=(client,), daemon=True).start()


serve_tls()
gatekeeper = Gatekeeper(policy(RULES.replace(
    "9000,", f"9000, {TLS_PORT},")).replace(
        f'"{LIAR}"', f'"{LIAR}", "{UNBOUND}"'))


def mutate(chance, data, pieces, most):
    """Data with some of it gone, other, twice, or one of the pieces put in."""
    data = bytearray(data)
    for _ in range(chance.randint(0, most)):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 16)))
        how = chance.randint(0, 4)
        if how == 0:
            data[at:at] = chance.choice(pieces)
        elif how == 1:
            data[at:end] = chance.choice(pieces)
        elif how == 2:
            del data[at:end]
        elif how == 3:
            data[at:at] = data[at:end]
        elif at < len(data):
            data[at] = chance.choice((0, 1, 0xc0, 0xff, data[at] ^ 0x20,
                                      chance.randint(0, 255)))
    return bytes(data)


def cut(chance, data):
    """In one to three segments, one of them now and then with an urgent byte:
    (bytes, flags)."""
    at = sorted(chance.randint(0, len(data))
                for _ in range(chance.randint(0, 2)))
    parts = [data[a:b] for a, b in zip([0, *at], [*at, len(data)]) if a < b]
    urgent = chance.randint(0, 5 * len(parts))
    return [(part, socket.MSG_OOB * (i == urgent))
            for i, part in enumerate(parts)]


def send_all(host, port, parts, seconds=2):
    """Send, say that it is all, and wait until the server has done."""
    with socket.socket() as client:
        client.settimeout(seconds * SLOW)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.connect((host, port))
            for i, (data, flags) in enumerate(parts):
                if i:
                    time.sleep(0.002)
                client.send(data, flags)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except OSError:
            pass


# Questions.
DNS_PIECES = [encode("secret.example"), encode("secret.example")[:-1],
              encode("web.example"), b"\xc0\x0c", b"\xc0\x00", b"\0", b"\x3f",
              b"\6secret\7example\0\0\1\0\1", question("secret.example"),
              struct.pack("!H", len(question("secret.example"))) +
              question("secret.example"), b"\0\0\x29\4\xd0\0\0\0\0\0\0",
              b"\0\1", b"\0\2", b"\6secret", b"\\.", b"."]


def a_question(chance):
    name = chance.choice(ASKED) if chance.randint(0, 9) else "secret.example"
    options = b""
    for _ in range(chance.randint(0, 2)):
        data = mutate(chance, b"", DNS_PIECES, 3)
        options += struct.pack("!2H", chance.choice((3, 8, 10, 12, 65001)),
                               len(data)) + data
    return mutate(chance, question(
        name, chance.choice((A, AAAA, TXT)), chance.randint(0, 65535),
        b"\0" + struct.pack("!2HIH", 41, 1232, 0, len(options)) + options,
        (1, 0, 0, 1)), DNS_PIECES, chance.choice((0, 1, 3)))


def ask_by_udp(seed, count, hosts):
    chance = random.Random(seed)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
               for _ in hosts]
    for i in range(count):
        data = a_question(chance)
        for client, host in zip(clients, hosts):
            # A refusal is told with the next send.
            for _ in range(2):
                try:
                    client.connect((host, 53))
                    client.setsockopt(socket.IPPROTO_UDP, 103, chance.choice(
                        (0, 0, max(1, len(data) // 2))))
                    client.send(data)
                    break
                except OSError:
                    pass
        if i % 50 == 0:
            time.sleep(0.02 * SLOW)
    return count


def ask_by_tcp(seed, count, hosts):
    chance = random.Random(seed)
    for _ in range(count):
        data = b""
        for _ in range(chance.randint(1, 3)):
            one = a_question(chance)
            data += struct.pack("!H", max(0, len(one) + chance.choice(
                (0, 0, 0, 1, -1)))) + one
        for host in hosts:
            # Servers wait for the rest of what is cut short.
            send_all(host, 53, cut(chance, data), 0.05)
    return count


def end_asking():
    """Servers are not told what was refused, and dnsmasq waits for twenty."""
    sh("ip netns exec peer ss -KH state established sport = :53")


def names_asked(log):
    text = open(log, errors="replace").read()
    return {name.lower() for name in re.findall(
        r"\] (\S+) from 10\.77\.0\.[19]$|query: (\S+) \S+ \S+ |"
        r"info: 10\.77\.0\.[19] (\S+)\. \S+ \S+$", text, re.M)
        for name in name if name}


def after(log, marker, host):
    """What was asked for by then: the marker comes last."""
    sh(f"dig +tries=5 +time=1 @{host} {marker}")
    for _ in range(100):
        if marker in open(log, errors="replace").read():
            break
        time.sleep(0.05)
    return names_asked(log) - {f"{word}.example" for word in
                               ("half", "done", "raw", "rawdone")} - {marker}


hosts = [host for host, _ in servers.values()]
for name, (host, log) in servers.items():
    after(log, "before.example", host)
known = {name: names_asked(log) for name, (_, log) in servers.items()}
as_user(PUPPY, ask_by_udp, SEED, 3000 * ROUNDS, hosts, seconds=120 * ROUNDS)
for part in range(15):
    as_user(PUPPY, ask_by_tcp, SEED + part, 8 * ROUNDS, hosts,
            seconds=120 * ROUNDS)
    end_asking()
for name, (host, log) in servers.items():
    read = after(log, "half.example", host) - known[name]
    tap.equal(f"{name} has read no name but those allowed",
              sorted(read - set(ASKED)), [])
    tap.check(f"{name} has read those", read, read)


def framed(asked):
    return struct.pack("!H", len(asked)) + asked


def raw_questions(chance):
    """Some that are allowed, in one of which another hides."""
    hidden = framed(question("secret.example"))
    cookie = struct.pack("!2H", 10, len(hidden)) + hidden
    messages = [framed(question(
        chance.choice(ASKED), A, chance.randint(0, 65535),
        b"\0" + struct.pack("!2HIH", 41, 1232, 0, len(cookie)) + cookie,
        (1, 0, 0, 1))) if not chance.randint(0, 2) else
        framed(question("web.example", A, chance.randint(0, 65535)))
        for _ in range(chance.randint(1, 4))]
    whole = b"".join(messages)
    if chance.randint(0, 3):
        return overlapping_messages(chance, messages, len(hidden))
    return overlapping(chance, whole, whole.replace(b"\3web", b"\3bad"))


def ask_raw(account, seed, count):
    chance, raw = random.Random(seed), Raw(account)
    # dnsmasq serves twenty at a time.
    for _ in range(0, count, 8):
        for host in hosts:
            raw.speak(host, 53, [raw_questions(chance) for _ in range(8)])


def law(name, read, allowed):
    tap.equal(f"{name}, of raw segments: none but those allowed",
              sorted(read - set(allowed)), [])
    tap.check(f"{name}, of raw segments: has read those", read, read)


for _, log in servers.values():
    open(log, "r+").truncate(0)
ask_raw(PUPPY, SEED, 160 * ROUNDS)
for name, (host, log) in servers.items():
    law(name, after(log, "raw.example", host), ASKED)
ask_raw(KITTEN, SEED, 48)
for name, (host, log) in servers.items():
    read = after(log, "rawdone.example", host)
    tap.check(f"{name}, of raw segments: others of another user",
              {"secret.example", "bad.example"} & read, sorted(read))
as_user(KITTEN, ask_by_udp, SEED, 300, hosts, seconds=120 * ROUNDS)
as_user(KITTEN, ask_by_tcp, SEED, 50, hosts, seconds=120 * ROUNDS)
for name, (host, log) in servers.items():
    read = after(log, "done.example", host)
    tap.check(f"{name} has read others of another user",
              "secret.example" in read, sorted(read))

# Heads.
HEAD_PIECES = [b"Host: bad.example\r\n", b"Host: good.example\r\n", b" ",
               b"\t", b"\r", b"\n", b"\0", b":", b"\v", b"\xff", b"\r\n", b"\n\n",
               b"GET http://bad.example/ HTTP/1.1\r\n", b"host:bad.example\n",
               b"bad.example", b"@", b"#", b"/", b"\\", b"?", b"HTTP/1.1",
               b"HTTP/1.0", b"X: y\r\n", b"//bad.example/", b"%2e", b".", b",",
               b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"]
HEADS = [b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n",
         b"GET http://good.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n",
         b"GET / HTTP/1.1\r\nX: bad.example\r\nHost: good.example\r\n\r\n",
         b"GET / HTTP/1.1\r\nXHost: bad.example\r\nHost: good.example\r\n\r\n",
         b"GET http://bad.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n"]


def speak_http(seed, count):
    lookup("good.example")
    chance = random.Random(seed)
    for _ in range(count):
        send_all(SHARED, 80, cut(chance, mutate(
            chance, chance.choice(HEADS), HEAD_PIECES,
            chance.choice((0, 1, 3)))))
    return count


def hosts_seen():
    """Of first requests, since those that follow on a connection are not read,
    if they were whole and right: of others nginx says its own first name."""
    return {line.split()[2] for line in open(HTTP_SEEN, errors="replace")
            if re.match(r"1 200 \S", line)}


time.sleep(0.2 * SLOW)
open(HTTP_SEEN, "w").close()
as_user(PUPPY, speak_http, SEED, 600 * ROUNDS, seconds=120 * ROUNDS)
time.sleep(0.2 * SLOW)
tap.equal("nginx has read no host but the one allowed", sorted(hosts_seen()),
          ["good.example"])
as_user(KITTEN, speak_http, SEED, 200, seconds=120 * ROUNDS)
time.sleep(0.2 * SLOW)
tap.check("nginx has read others of another user",
          "bad.example" in hosts_seen(), hosts_seen())


def speak_raw(account, port, make, seed, count):
    """What make yields, and its twin with another name."""
    chance, raw = random.Random(seed), Raw(account)
    for _ in range(0, count, 50):
        plans = []
        for _ in range(50):
            data = make(chance)
            twins = [data, data.replace(b"good.example", b"evil.example")]
            if account == KITTEN or not chance.randint(0, 7):
                twins.reverse()
            plans.append(overlapping(chance, *twins))
        raw.speak(SHARED, port, plans)


def a_head(chance):
    return mutate(chance, chance.choice(HEADS[:3]), HEAD_PIECES,
                  chance.choice((0, 0, 1)))


open(HTTP_SEEN, "w").close()
as_user(PUPPY, lookup, "good.example")
speak_raw(PUPPY, 80, a_head, SEED, 400 * ROUNDS)
time.sleep(0.2 * SLOW)
law("nginx", hosts_seen(), ["good.example"])
speak_raw(KITTEN, 80, a_head, SEED, 100)
time.sleep(0.2 * SLOW)
tap.check("nginx, of raw segments: others of another user",
          "evil.example" in hosts_seen(), hosts_seen())


# Hellos.
def parts_of(hello):
    """Of a ClientHello in one record: what stands before its extensions, and
    these without the server name."""
    body = hello[9:]
    at = 34
    at += 1 + body[at]
    at += 2 + struct.unpack("!H", body[at:at + 2])[0]
    at += 1 + body[at]
    rest, found = body[at + 2:], []
    while rest:
        kind, length = struct.unpack("!2H", rest[:4])
        if kind:
            found.append(rest[:4 + length])
        rest = rest[4 + length:]
    return body[:at], found


def server_name(chance):
    """One extension, with this or that oddity."""
    def entry(name, kind=0):
        return bytes([kind]) + struct.pack("!H", len(name)) + name

    names = [entry(chance.choice((b"good.example", b"bad.example",
                                  b"GOOD.example", b"good.example.",
                                  b"good.example\0.bad.example", b"")),
                   chance.choice((0, 0, 0, 0, 1)))
             for _ in range(chance.choice((1, 1, 1, 1, 2)))]
    names = b"".join(names)
    if not chance.randint(0, 9):
        names = mutate(chance, names, [b"bad.example", b"\0"], 2)
    data = struct.pack("!H", len(names) + chance.choice((0,) * 9 + (1,))) + \
        names
    return struct.pack("!2H", 0, len(data)) + data


def a_hello(chance, head, extensions):
    mine = list(extensions)
    for _ in range(chance.choice((1, 1, 1, 1, 2, 0))):
        mine.insert(chance.randint(0, len(mine)), server_name(chance))
    mine = b"".join(mine)
    body = head + struct.pack("!H", len(mine)) + mine
    message = b"\1" + struct.pack("!I", len(body))[1:] + body
    size = chance.choice((16000, 16000, 100, 7, 1))
    data = in_records(message, size)
    if size == 16000 and not chance.randint(0, 2):
        data = mutate(chance, data, [b"\0", b"bad.example", b"\x16\3\1"], 2)
    return data


def speak_tls(seed, count):
    lookup("good.example")
    chance = random.Random(seed)
    head, extensions = parts_of(hello_for("good.example"))
    for _ in range(count):
        send_all(SHARED, TLS_PORT, cut(chance, a_hello(chance, head,
                                                       extensions)))
    return count


def server_names():
    return set(open(TLS_SEEN, errors="replace").read().split("\n")) - {""}


as_user(PUPPY, speak_tls, SEED, 600 * ROUNDS, seconds=120 * ROUNDS)
time.sleep(0.2 * SLOW)
tap.equal("OpenSSL has read no server name but the one allowed",
          sorted({name.lower().rstrip(".") for name in server_names()}), ["good.example"])
as_user(KITTEN, speak_tls, SEED, 200, seconds=120 * ROUNDS)
time.sleep(0.2 * SLOW)
tap.check("OpenSSL has read others of another user",
          "bad.example" in server_names(), server_names())
head, extensions = parts_of(hello_for("good.example"))
open(TLS_SEEN, "r+").truncate(0)
as_user(PUPPY, lookup, "good.example")
speak_raw(PUPPY, TLS_PORT, lambda chance: a_hello(chance, head, extensions),
          SEED, 400 * ROUNDS)
time.sleep(0.2 * SLOW)
law("OpenSSL", {name.lower().rstrip(".") for name in server_names()},
    ["good.example"])
speak_raw(KITTEN, TLS_PORT, lambda chance: a_hello(chance, head, extensions),
          SEED, 100)
time.sleep(0.2 * SLOW)
tap.check("OpenSSL, of raw segments: others of another user",
          {"evil.example", "bad.example"} & server_names(), server_names())
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
