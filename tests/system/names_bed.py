"""names_bed - resolvers and servers for the tests of names

On the other host of net_bed: dnsmasq, nginx with three hosts of which two share
an address, and a resolver that lies as it is told to.  Every address of
203.0.113.0/24 and 2001:db8:77::/64 is there.
"""

import re
import ssl
import struct
import threading

from net_bed import *

RESOLVER, RESOLVER6, LIAR = PEER, PEER6, OTHER
WEB, SHARED, OTHER_WEB = "203.0.113.10", "203.0.113.20", "203.0.113.30"
WEB6 = "2001:db8:77::10"
AT_ONCE_MS = 100 * SLOW
REFUSED = ("ECONNREFUSED", "EHOSTUNREACH", "EACCES", "ENETUNREACH")
A, CNAME, TXT, AAAA = 1, 5, 16, 28

NAMES = {
    "web.example": (WEB, WEB6),
    "db.example": (WEB, WEB6),
    "good.example": (SHARED,),
    "bad.example": (SHARED,),
    "a.wild.example": (WEB,),
    "b.a.wild.example": (WEB,),
    "hidden.wild.example": (WEB,),
    "inner.wild.example": (OTHER,),
    "meta.wild.example": ("169.254.169.254",),
    "loop.wild.example": ("127.0.0.1",),
    "elsewhere.example": (OTHER_WEB,),
    "secret.example": (WEB,),
}

RULES = f"""
allow = ( {{ host = "web.example"; ports = [ 80, 443 ]; name = "web"; }},
          {{ host = "web.example"; protocol = "icmp"; }},
          {{ host = "db.example"; ports = [ 22, 6379 ]; }},
          {{ host = "good.example";
             ports = [ 80, 443, 9000, {SINK_PORT} ]; }},
          {{ host = "*.wild.example"; }} );
deny = ( {{ host = "hidden.wild.example"; reason = "not that one"; }} );
"""

NGINX = """
error_log /mnt/nginx.err; pid /mnt/nginx.pid; daemon off; worker_processes 1;
user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path /mnt/n1; proxy_temp_path /mnt/n2;
  fastcgi_temp_path /mnt/n3; uwsgi_temp_path /mnt/n4; scgi_temp_path /mnt/n5;
  ssl_certificate /mnt/cert.pem; ssl_certificate_key /mnt/key.pem;
  ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
  ssl_ciphers DEFAULT:@SECLEVEL=0; ssl_session_tickets on;
  large_client_header_buffers 4 64k;
  %s
}
"""
HOST = """server {{ listen 80 {0}; listen [::]:80 {0}; listen 443 ssl {0};
  listen [::]:443 ssl {0}; server_name {1};
  location / {{ return 200 "{1}\\n"; }} }}"""


def policy(inside=RULES, more=""):
    return config(
        files='default = "allow";', programs='mode = "ban"; list = [ ];',
        profiles="", more=more, extra=f"""network = {{ {inside}
            resolvers = [ "{RESOLVER}", "{RESOLVER6}", "{LIAR}" ]; }};""")


def spawn_there(command, log, ready):
    """A program on the other host, once its log says that it is ready."""
    process = subprocess.Popen(["ip", "netns", "exec", "peer", *command],
                               stdout=open(log, "w"), stderr=subprocess.STDOUT)
    for _ in range(int(500 * SLOW)):
        if ready(open(log).read()):
            return process
        time.sleep(0.02)
    raise AssertionError(open(log).read())


def start_resolver(more=()):
    command = ["dnsmasq", "-k", "--log-facility=-", "--conf-file=/dev/null",
               "--no-resolv", "--no-hosts", "--local-ttl=1", "--user=root",
               "--bind-interfaces", "--cache-size=0", "--log-queries",
               f"--listen-address={RESOLVER}", f"--listen-address={RESOLVER6}",
               *more, "--cname=alias.wild.example,web.example",
               "--address=/many.wild.example/203.0.113.40",
               *("--txt-record=long.wild.example," + "x" * 200
                 for _ in range(30))]
    for name, addresses in NAMES.items():
        command.append(f"--host-record={name},{','.join(addresses)}")
    return spawn_there(command, "/mnt/dnsmasq.log", lambda log: "started" in log)


def start_web():
    sh("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=web.example "
       "-addext subjectAltName=DNS:web.example,DNS:good.example,"
       "DNS:bad.example,DNS:a.wild.example "
       "-keyout /mnt/key.pem -out /mnt/cert.pem 2>/dev/null && "
       "chmod 644 /mnt/cert.pem")
    hosts = [HOST.format("", name) for name in ("good.example", "bad.example",
                                                "a.wild.example")]
    hosts.insert(0, HOST.format("default_server", "web.example"))
    hosts = [re.sub(r"(\[::\]:\d+ (ssl )?)default_server",
                    r"\1default_server", host) for host in hosts]
    with open("/mnt/nginx.conf", "w") as out:
        out.write(NGINX % "\n".join(hosts))
    process = subprocess.Popen(["ip", "netns", "exec", "peer", "nginx", "-c",
                                "/mnt/nginx.conf"])
    for _ in range(200):
        if tcp(WEB, 80, b"GET / HTTP/1.0\r\n\r\n")[0].startswith("HTTP"):
            return process
        time.sleep(0.05)
    raise AssertionError(open("/mnt/nginx.err").read())


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode()
                    for label in name.split(".") if label) + b"\0"


def question(name, kind=A, number=0x1234, more=b"", counts=(1, 0, 0, 0)):
    return struct.pack("!6H", number, 0x100, *counts) + encode(name) + \
        struct.pack("!2H", kind, 1) + more


def record(owner, kind, data, ttl=60):
    owner = owner if isinstance(owner, bytes) else encode(owner)
    return owner + struct.pack("!2HIH", kind, 1, ttl, len(data)) + data


def address(text):
    return socket.inet_pton(family_of(text), text)


def answer(asked, records=(), flags=0x8180, number=None, additional=()):
    """To the bytes of a question."""
    end = asked.index(b"\0", 12) + 5
    number = struct.unpack("!H", asked[:2])[0] if number is None else number
    return struct.pack("!6H", number, flags, 1, len(records), 0,
                       len(additional)) + asked[12:end] + b"".join(records) + \
        b"".join(additional)


def name_of(asked):
    labels, at = [], 12
    while asked[at]:
        labels.append(asked[at + 1:at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    return ".".join(labels), struct.unpack("!H", asked[at + 1:at + 3])[0]


class Liar:
    """A resolver whose answers are lie(name, type, question, send): it calls
    send(bytes, port=53) as often as it likes.  Over TCP, as well."""

    def __init__(self, lie):
        if os.fork():
            return
        enter_peer()
        self.lie = lie
        self.udp = {port: self.bound(socket.SOCK_DGRAM, port)
                    for port in (53, 54)}
        listener = self.bound(socket.SOCK_STREAM, 53)
        listener.listen(100)
        threading.Thread(target=self.serve_tcp, args=(listener,),
                         daemon=True).start()
        while True:
            asked, client = self.udp[53].recvfrom(4096)
            lie(*name_of(asked), asked,
                lambda data, port=53: self.udp[port].sendto(data, client))

    @staticmethod
    def bound(kind, port):
        result = socket.socket(socket.AF_INET, kind)
        result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        result.bind((LIAR, port))
        return result

    def serve_tcp(self, listener):
        while True:
            connection, _ = listener.accept()
            with connection:
                asked = connection.recv(4096)[2:]

                def send(data, port=53):
                    data = struct.pack("!H", len(data)) + data
                    for i in range(0, len(data), 1000):
                        connection.sendall(data[i:i + 1000])

                try:
                    self.lie(*name_of(asked), asked, send)
                except OSError:
                    pass


def asked_of_resolver(name):
    """How often dnsmasq was asked for the name."""
    time.sleep(0.05 * SLOW)
    return open("/mnt/dnsmasq.log").read().count(f"] {name} from")


def lookup(name, family=socket.AF_UNSPEC):
    begin = time.monotonic()
    try:
        found = sorted({entry[4][0] for entry in
                        socket.getaddrinfo(name, 1, family,
                                           socket.SOCK_STREAM)})
    except socket.gaierror as error:
        found = error.errno
    return [found, (time.monotonic() - begin) * 1000]


def then_tcp(name, host, port, data=b"woof"):
    """Look the name up, and then connect to that address."""
    lookup(name)
    return tcp(host, port, data)[0]


def ask_liar(asked, host, port=9001, seconds=0.3):
    """Ask, and then connect to where the answer may have led: what came back,
    and what came of connecting."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds * SLOW)
        client.sendto(asked, (LIAR, 53))
        try:
            got = client.recv(65536)
            code = got[3] & 15
        except OSError:
            code = None
    return [code, tcp(host, port)[0]]


def hello_for(name, padding=0, versions=None):
    """A real ClientHello."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    if name is None:
        context.verify_mode = ssl.CERT_NONE
    if versions:
        context.minimum_version = context.maximum_version = versions
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    data = outgoing.read()
    if padding:
        # One more extension, behind the others, that means nothing.
        body = data[9:]
        at = 34
        at += 1 + body[at]
        at += 2 + struct.unpack("!H", body[at:at + 2])[0]
        at += 1 + body[at]
        extensions = body[at + 2:] + struct.pack("!2H", 0xfafa, padding) + \
            bytes(padding)
        body = body[:at] + struct.pack("!H", len(extensions)) + extensions
        data = in_records(b"\1" + struct.pack("!I", len(body))[1:] + body,
                          16000)
    return data


def in_records(message, size):
    return b"".join(b"\x16\3\1" + struct.pack("!H", len(message[i:i + size])) +
                    message[i:i + size]
                    for i in range(0, len(message), size))


def say(host, pieces, port=443):
    """Send these pieces, each in a segment of its own; the first byte that
    comes back, or the errno."""
    with socket.socket(family_of(host)) as client:
        client.settimeout(4 * SLOW)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.connect((host, port))
            for piece in pieces:
                client.sendall(piece)
            return client.recv(1).hex() or "closed"
        except socket.timeout:
            return "timeout"
        except OSError as error:
            return errno.errorcode[error.errno]


def names_bed():
    wire()
    for net in ("203.0.113.0/24", "2001:db8:77::/64"):
        sh(f"ip -n peer route add local {net} dev lo")
    sh(f"ip route add 203.0.113.0/24 via {PEER} && "
       f"ip route add 2001:db8:77::/64 via {PEER6}")
    with open("/etc/resolv.conf", "w") as out:
        out.write(f"nameserver {RESOLVER}\nnameserver {RESOLVER6}\n")
    with open("/etc/nsswitch.conf", "w") as out:
        out.write("passwd: files\ngroup: files\nhosts: files dns\n")
    Peer([9000, 9001, SINK_PORT], ("0.0.0.0", "::"))
