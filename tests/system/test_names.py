"""Names that hold: real resolvers, servers and clients."""

import re
import shutil

from names_bed import *

tap = Tap()
names_bed()
start_resolver()
start_web()
sh("mkdir -p /run/sshd && ssh-keygen -qt ed25519 -N '' -f /mnt/hostkey")
spawn_there(["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h",
             "/mnt/hostkey", "-o", "UsePAM no"], "/mnt/sshd.log",
            lambda log: "listening" in log)
spawn_there(["redis-server", "--protected-mode", "no", "--save", ""],
            "/mnt/redis.log", lambda log: "Ready to accept" in log)
gatekeeper = Gatekeeper(policy())

# Questions.
for name in ("web.example", "a.wild.example", "b.a.wild.example"):
    found, ms = as_user(PUPPY, lookup, name)
    tap.equal(f"{name}: resolved", found, sorted(NAMES[name]))
found, ms = as_user(PUPPY, lookup, "alias.wild.example")
tap.equal("an alias leads where it leads", found, sorted(NAMES["web.example"]))
for name in ("secret.example", "hidden.wild.example", "wild.example"):
    found, ms = as_user(PUPPY, lookup, name)
    tap.check(f"{name}: no such name, at once",
              found == socket.EAI_NONAME and ms < AT_ONCE_MS, f"{found} {ms}")
    tap.equal(f"{name}: the resolver was not asked", asked_of_resolver(name), 0)
found, ms = as_user(KITTEN, lookup, "secret.example")
tap.equal("another user resolves what it likes", found, [WEB])


def ask_from(port, name):
    """From that port; the code of the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(AT_ONCE_MS / 1000)
        client.bind(("", port))
        client.sendto(question(name), (RESOLVER, 53))
        return client.recv(4096)[3] & 15


# The kernel remembers for a while who asked from a port.
tap.equal("a question from a port", as_user(PUPPY, ask_from, 5353,
                                            "web.example"), 0)
before = visits()
tap.equal("another user's question from there",
          as_user(KITTEN, ask_from, 5353, "secret.example"), 0)
tap.equal("goes by no gate", visits(), before)
tap.equal("and frees the account from nothing",
          as_user(PUPPY, ask_from, 5353, "secret.example"), 3)
row = wait_rows("kind = 'resolve' AND host = 'hidden.wild.example'")[0]
tap.equal("the refusal is written down",
          (row["verdict"], row["host_source"], row["note"], row["port"]),
          ("deny", "question", "not that one", 53))

dig = ["dig", "+tries=1", "+time=2"]
for transport in ("+notcp", "+tcp"):
    for family, resolver in (("IPv4", RESOLVER), ("IPv6", RESOLVER6)):
        name = f"{transport[1:]}, {family}"
        out = run_as(PUPPY, [*dig, transport, f"@{resolver}", "secret.example"])
        tap.check(f"{name}: refused, with the reason",
                  "status: NXDOMAIN" in out and "EDE: 15 (Blocked)" in out and
                  "no rule allows it" in out, out)
        out = run_as(PUPPY, [*dig, transport, "+short", f"@{resolver}",
                             "web.example"])
        tap.equal(f"{name}: allowed", out, WEB)
        out = run_as(PUPPY, [*dig, transport, "+noedns", f"@{resolver}",
                             "secret.example"])
        tap.check(f"{name}: refused without EDNS, too",
                  "status: NXDOMAIN" in out and "OPT" not in out, out)
out = run_as(PUPPY, [*dig, "+short", f"@{RESOLVER}", "long.wild.example", "TXT"])
tap.equal("a long answer comes by TCP", out.count("x" * 200), 30)
for kind in ("HTTPS", "SVCB", "ANY"):
    out = run_as(PUPPY, [*dig, f"@{RESOLVER}", "web.example", kind])
    tap.check(f"{kind}: no such data",
              "status: NOERROR" in out and "ANSWER: 0" in out, out)
for kind in ("TYPE65300", "TKEY", "AXFR"):
    out = run_as(PUPPY, [*dig, f"@{RESOLVER}", "web.example", kind])
    tap.check(f"{kind}: nobody is asked", "IN\tA" not in out and
              f"query[{kind}] web.example" not in open("/mnt/dnsmasq.log").read(),
              out)
# What programs really add to a question, and what could carry something out.
for more in ("+nsid", "+cookie", "+cookie=0123456789abcdef0123456789abcdef",
             "+nocookie", "+dnssec", "+cdflag", "+adflag", "+norecurse",
             "+bufsize=4096", "+bufsize=512", "+subnet=0", "+padding=128",
             "+tcp +keepalive +nsid", "+tcp +padding=128"):
    out = run_as(PUPPY, [*dig, *more.split(), f"@{RESOLVER}", "web.example"])
    tap.check(f"dig {more}: answered", "status: NOERROR" in out, out)
for kind in ("MX", "SRV", "CAA", "SSHFP"):
    run_as(PUPPY, [*dig, f"@{RESOLVER}", "web.example", kind])
    tap.check(f"{kind}: the resolver is asked",
              f"query[{kind}] web.example" in open("/mnt/dnsmasq.log").read())
for more in ("+ednsopt=65001:736563726574", "+ednsopt=12:736563726574",
             "+ednsopt=nsid:736563726574", "+ednsopt=cookie:7365637265",
             "+subnet=192.0.2.0/24", "+bufsize=1234", "+bufsize=3001",
             "+edns=1 +noednsneg", "+zflag", "+aaflag",
             "+opcode=2", "+padding=468", "+tcp +ednsopt=65001:736563726574"):
    out = run_as(PUPPY, [*dig, *more.split(), f"@{RESOLVER}", "web.example"])
    tap.check(f"dig {more}: refused", "status:" not in out, out)
    out = run_as(KITTEN, [*dig, *more.split(), f"@{RESOLVER}", "web.example"])
    tap.check(f"dig {more}: another user's business", "status:" in out, out)
for more in ("edns0", "edns0 trust-ad", "use-vc", "use-vc edns0",
             "single-request", "rotate"):
    out = run_as(PUPPY, ["env", f"RES_OPTIONS={more}", "getent", "ahostsv4",
                         "web.example"])
    tap.check(f"the C library, {more}", WEB in out, out)
for command in (["host", "-W2", "web.example"],
                ["nslookup", "-timeout=2", "web.example"],
                ["node", "-e", "require('dns').resolve4('web.example', (e, a) "
                 "=> console.log(e || a[0]))"]):
    if shutil.which(command[0]):
        out = run_as(PUPPY, command)
        tap.check(f"{command[0]}: answered", WEB in out, out)
    else:
        tap.skip(f"{command[0]}: answered", "not here")
out = run_as(PUPPY, [*dig, f"@{LIAR}", "+notcp", "-p", "5353", "web.example"])
tap.check("another port is no resolver", "refused" in out or "no servers" in out,
          out)
out = run_as(PUPPY, [*dig, f"@{WEB}", "web.example"])
tap.check("another address is no resolver",
          "refused" in out or "no servers" in out or "unreachable" in out, out)

# Real clients, allowed and refused by name, both families.
curl = ["curl", "-sS", "-m4", "--cacert", "/mnt/cert.pem"]
for family in ("-4", "-6"):
    for scheme in ("http", "https"):
        out = run_as(PUPPY, [*curl, family, f"{scheme}://web.example/"])
        tap.equal(f"curl {family} {scheme}: allowed", out, "web.example")
        out = run_as(PUPPY, [*curl, family, f"{scheme}://secret.example/"])
        tap.check(f"curl {family} {scheme}: refused", "resolve host" in out, out)
ssh = ["ssh", "-o", "StrictHostKeyChecking no", "-o", "BatchMode yes", "-o",
       "UserKnownHostsFile /dev/null", "-o", "LogLevel ERROR", "-o",
       "ConnectTimeout 3"]
for family in ("-4", "-6"):
    out = run_as(PUPPY, [*ssh, family, "puppy@db.example", "true"])
    tap.check(f"ssh {family}: allowed", "Permission denied" in out, out)
    out = run_as(PUPPY, [*ssh, family, "puppy@web.example", "true"])
    tap.check(f"ssh {family}: the name, but not its port", "refused" in out
              or "Permission denied" in out, out)
out = run_as(PUPPY, ["redis-cli", "-h", "db.example", "ping"])
tap.equal("a database: allowed", out, "PONG")
out = run_as(PUPPY, ["redis-cli", "-h", "a.secret.example", "ping"])
tap.check("a database: refused", "resol" in out or "not known" in out, out)
out = run_as(PUPPY, ["ping", "-4", "-c1", "-W2", "web.example"])
tap.check("ping: allowed", " 0% packet loss" in out, out)

apt = ["/usr/lib/apt/apt-helper", "-o",
       "Acquire::https::CaInfo=/mnt/cert.pem", "-o", "Acquire::Retries=0",
       "download-file"]
for scheme in ("http", "https"):
    got = f"/home/puppy/{scheme}"
    out = run_as(PUPPY, [*apt, f"{scheme}://web.example/", got])
    tap.check(f"apt, {scheme}: allowed", os.path.exists(got) and
              open(got).read().strip() == "web.example", out)
    out = run_as(PUPPY, [*apt, f"{scheme}://secret.example/", got + ".no"])
    tap.check(f"apt, {scheme}: refused", not os.path.exists(got + ".no") and
              "not resolve" in out, out)

refusing = {
    "apt": [*apt, "http://secret.example/", "/home/puppy/apt"],
    "curl": [*curl, "https://secret.example/"],
    "git": ["git", "ls-remote", "https://secret.example/x"],
    "python": ["python3", "-c", "import socket; socket.create_connection("
               "('secret.example', 443))"],
    "ping": ["ping", "-c1", "secret.example"],
    "getent": ["getent", "hosts", "secret.example"],
}
if shutil.which("node"):
    refusing["node"] = ["node", "-e", "require('dns').lookup('secret.example',"
                        "(e) => process.exit(e ? 9 : 0))"]
for name, command in refusing.items():
    # What the program takes for itself does not count.
    run_as(PUPPY, command)
    harmless = [word.replace("secret.example", "localhost.invalid.test")
                for word in command]
    before = asked_of_resolver("secret.example")
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, cwd="/",
                          preexec_fn=lambda: become(PUPPY))
    ms = (time.monotonic() - begin) * 1000
    tap.check(f"{name}: fails, and soon", done.returncode and
              ms < AT_ONCE_MS * (4 if name in ("apt", "node") else 3),
              f"{done.returncode} after {ms} ms {done.stderr}")
    tap.equal(f"{name}: asked nobody", asked_of_resolver("secret.example"),
              before)

# Two names on one address, of which one is allowed.
as_user(PUPPY, lookup, "good.example")
for scheme in ("http", "https"):
    out = run_as(PUPPY, [*curl, f"{scheme}://good.example/"])
    tap.equal(f"{scheme}: the allowed one", out, "good.example")
    port = 443 if scheme == "https" else 80
    out = run_as(PUPPY, [*curl, "--resolve", f"bad.example:{port}:{SHARED}",
                         f"{scheme}://bad.example/"])
    tap.check(f"{scheme}: the other one", "reset" in out, out)
    out = run_as(KITTEN, [*curl, "--resolve", f"bad.example:{port}:{SHARED}",
                          f"{scheme}://bad.example/"])
    tap.equal(f"{scheme}: the other one, by another user", out, "bad.example")
    out = run_as(PUPPY, [*curl, "-k", f"{scheme}://{SHARED}/"])
    tap.check(f"{scheme}: a literal address", "reset" in out, out)
    out = run_as(PUPPY, [*curl, "--connect-to",
                         f"good.example:{port}:{OTHER_WEB}:{port}",
                         f"{scheme}://good.example/"])
    tap.check(f"{scheme}: the allowed name at another address",
              "connect" in out and "reset" not in out, out)
    out = run_as(PUPPY, [*curl, "--resolve", f"web.example:{port}:{SHARED}",
                         f"{scheme}://web.example/"])
    tap.check(f"{scheme}: an allowed name that leads elsewhere",
              "reset" in out, out)
out = run_as(PUPPY, [*curl, "-H", "Host: bad.example", "http://good.example/"])
tap.check("a Host of its own", "reset" in out, out)
row = wait_rows("host = 'bad.example' AND kind = 'connect'")[0]
tap.equal("who was wanted is written down",
          (row["verdict"], row["host_source"] in ("sni", "http"), row["port"]),
          ("deny", True, 80))
row = wait_rows("host = 'good.example' AND kind = 'connect' AND port = 443 "
                "AND verdict = 'allow'")[0]
tap.equal("and how the name is known", (row["host_source"], row["target"]),
          ("sni", f"tcp good.example:443 at {SHARED}"))
as_user(PUPPY, lookup, "a.wild.example")
out = run_as(PUPPY, [*curl, "https://a.wild.example/", "--resolve",
                     f"a.wild.example:443:{WEB}"])
tap.equal("pinned by an earlier look-up", out, "a.wild.example")
tap.equal("an address nobody looked up",
          as_user(PUPPY, tcp, "203.0.113.99", 9001)[0], "ECONNREFUSED")

# TLS of every age.
s_client = ["openssl", "s_client", "-connect", f"{SHARED}:443", "-brief",
            "-cipher", "DEFAULT:@SECLEVEL=0"]


def tls(*more):
    done = subprocess.run([*s_client, *more], input="", text=True, cwd="/",
                          capture_output=True, timeout=20,
                          preexec_fn=lambda: become(PUPPY))
    return "CONNECTION ESTABLISHED" in done.stderr + done.stdout


for version in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3"):
    tap.check(f"{version}: allowed name", tls(version, "-servername",
                                              "good.example"))
    tap.check(f"{version}: another name",
              not tls(version, "-servername", "bad.example"))
    tap.check(f"{version}: no name", not tls(version, "-noservername"))
tls("-tls1_2", "-servername", "good.example", "-sess_out", "/tmp/session")
tap.check("a session resumed", tls("-tls1_2", "-servername", "good.example",
                                   "-sess_in", "/tmp/session"))
tap.check("a session resumed under another name",
          not tls("-tls1_2", "-servername", "bad.example", "-sess_in",
                  "/tmp/session"))

# On ports where no name is said, the look-up is enough.
tap.equal("no name said where none is wanted",
          as_user(PUPPY, then_tcp, "good.example", SHARED, 9000), "woof")
tap.equal("but another name said is believed",
          as_user(PUPPY, say, SHARED, [hello_for("bad.example")], 9000),
          "ECONNRESET")
tap.equal("garbage where a name is wanted",
          as_user(PUPPY, say, SHARED, [b"\0\1\2\3"]), "ECONNRESET")

# QUIC: names cannot be seen in it.
answer_udp, ms = as_user(PUPPY, udp, SHARED, 443)
tap.check("QUIC is refused at once", answer_udp in REFUSED and ms < AT_ONCE_MS,
          f"{answer_udp} {ms}")

# Private addresses behind public names.
for name in ("inner.wild.example", "meta.wild.example", "loop.wild.example"):
    found, ms = as_user(PUPPY, lookup, name, socket.AF_INET)
    tap.check(f"{name}: refused, at once",
              found == socket.EAI_NONAME and ms < AT_ONCE_MS, f"{found} {ms}")
    out = run_as(PUPPY, [*dig, "+tcp", "+short", f"@{RESOLVER}", name])
    tap.check(f"{name}: nor by TCP", NAMES[name][0] not in out, out)
gatekeeper.reload(policy(RULES.replace(
    "allow = (", f'allow = ( {{ net = "{OTHER}"; ports = [ 9000 ]; }},')))
found, ms = as_user(PUPPY, lookup, "inner.wild.example", socket.AF_INET)
tap.equal("unless a rule allows that address", found, [OTHER])


# A pin has its time; what is open stays open.
def hold_on(ready, seconds):
    """Echo until the end."""
    lookup("good.example")
    with socket.create_connection((SHARED, 9000)) as client:
        client.settimeout(1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            client.sendall(b"x\n")
            client.recv(10)
            open(ready, "a").write("x")
            time.sleep(0.01)
    return "alive to the end"


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.02)


short = 'names = { floor = 0; grace = 1; };'
tap.equal("stops", gatekeeper.stop(), 0)
gatekeeper = Gatekeeper(policy(more=short))
flow = meanwhile(PUPPY, hold_on, "/home/puppy/held", 6)
wait_for("/home/puppy/held")
tap.equal("looked up just now",
          as_user(PUPPY, then_tcp, "web.example", WEB, 80,
                  b"GET / HTTP/1.0\r\nHost: web.example\r\n\r\n")[:8],
          "HTTP/1.1")
gatekeeper.reload(policy(more=short))
time.sleep(0.2)
os.kill(gatekeeper.pids("leash-nfqueue")[0], signal.SIGKILL)
gatekeeper.wait_for("net gate", times=1)
time.sleep(3.5)
gatekeeper.reload(policy(more=short))
tap.equal("looked up too long ago",
          as_user(PUPPY, say, WEB, [b"GET / HTTP/1.0\r\nHost: web.example"
                                    b"\r\n\r\n"], 80), "ECONNREFUSED")
tap.equal("looked up again",
          as_user(PUPPY, then_tcp, "web.example", WEB, 80,
                  b"GET / HTTP/1.0\r\nHost: web.example\r\n\r\n")[:8],
          "HTTP/1.1")
tap.equal("a connection outlives its pin, its gate and reloads", flow(),
          "alive to the end")

# Names that would be more than a name, were they made a rule.
def leash(*words):
    done = subprocess.run(["leash", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def ask(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2 * SLOW)
        asking.sendto(question(name), (RESOLVER, 53))
        return asking.recv(4096)[3] & 15


for name in ("*", "*.com", "*.example", "0.0.0.0/0", "::/0", "10.77.0.3",
             "com", "github.io", "co.uk", "s3.amazonaws.com", "x[a].example",
             "host = \"*\"", "secret.example"):
    before = rows()[-1]["seq"]
    as_user(PUPPY, ask, name)
    wait_rows("seq > ? AND kind = 'resolve'", before)
    code, text = leash("allow", "--last")
    found = re.search(r"--last=(\d+) --yes does it", text)
    if name != "secret.example":
        tap.check(f"asked for {name}: no rule is made of it",
                  code == 2 and not found, text)
        code, text = leash("allow", "--last", "--yes")
        tap.check(f"asked for {name}: whoever says yes", code == 2, text)
        code, text = leash("allow", f"--last={rows()[-1]['seq']}", "--yes")
        tap.check(f"asked for {name}: by its number", code == 2, text)
    else:
        tap.check(f"asked for {name}: a rule for it", code == 1 and
                  'host = "secret.example"' in text, text)
        tap.equal("and by its number", leash(
            "allow", f"--last={found[1]}", "--yes")[0], 0)
        tap.equal("it is resolved",
                  as_user(PUPPY, lookup, "secret.example")[0], [WEB])
        tap.equal("and nothing else", as_user(
            PUPPY, lookup, "hidden.wild.example")[0], socket.EAI_NONAME)
        tap.equal("undone", leash("undo")[0], 0)
before = rows()[-1]["seq"]
tap.equal("refused by address", as_user(PUPPY, tcp, OTHER, 9001)[0],
          "ECONNREFUSED")
wait_rows("seq > ? AND kind = 'connect'", before)
# A resolver's late packets are refused, too, and are nobody's.
code, text = leash("allow", "--last", "--account", "puppy")
tap.check("a rule for that port of it", code == 1 and
          f'net = "{OTHER}"' in text and "9001" in text, text)

# What the gate knows outlives it.
gatekeeper.reload(policy())
as_user(PUPPY, lookup, "good.example")
for name in ("leash-nfqueue", "leash-dns"):
    os.kill(gatekeeper.pids(name)[0], signal.SIGKILL)
    time.sleep(0.5 * SLOW)
    tap.equal(f"{name} killed: pins are kept",
              as_user(PUPPY, tcp, SHARED, 9000)[0], "woof")
    tap.equal(f"{name} killed: names are resolved again",
              as_user(PUPPY, lookup, "web.example")[0],
              sorted(NAMES["web.example"]))
    tap.equal(f"{name} killed: and refused",
              as_user(PUPPY, lookup, "secret.example")[0], socket.EAI_NONAME)

# A reload that takes a name away.
flow = meanwhile(PUPPY, hold_on, "/home/puppy/cut", 3)
wait_for("/home/puppy/cut")
gatekeeper.reload(policy(RULES.replace("good.example", "other.example")))
tap.check("a name no longer allowed is cut", flow() in
          ("ECONNRESET", "ECONNABORTED", "EPIPE"), "")
tap.equal("and refused", as_user(PUPPY, tcp, SHARED, 9000)[0], "ECONNREFUSED")

# Only looking on: nothing is refused, and all is written down.
gatekeeper.reload(policy(more='mode = "observe";'))
found, ms = as_user(PUPPY, lookup, "secret.example")
tap.equal("observe: a name is resolved", found, [WEB])
out = run_as(PUPPY, [*curl, "-k", "https://secret.example/"])
tap.equal("observe: and connected to", out, "web.example")
for kind in ("resolve", "connect"):
    tap.check(f"observe: {kind} is noted", wait_rows(
        "kind = ? AND verdict = 'observe' AND host IN (?, ?)", kind,
        "secret.example", WEB))
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
