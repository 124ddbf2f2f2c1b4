"""Clients with resolvers of their own (Go, node), and a tunnel that people use
(dns2tcp): what is held for them, and that all of it works for another user."""

import shutil

from names_bed import *

TUNNEL = "203.0.113.50"
FOLDER = os.path.dirname(os.path.abspath(__file__))
SECRET = b"correct horse battery staple " * 100
tap = Tap()
names_bed()
start_resolver([f"--server=/tun.example/{TUNNEL}", "--local=/nowhere.example/"])
start_web()
gatekeeper = Gatekeeper(policy())
env = {**os.environ, "SSL_CERT_FILE": "/mnt/cert.pem",
       "NODE_EXTRA_CA_CERTS": "/mnt/cert.pem"}


def get(uid, command):
    """What it says, and how many ms it took."""
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, cwd="/",
                          env=env, preexec_fn=lambda: become(uid), timeout=60)
    return (done.stdout + done.stderr).strip(), \
        (time.monotonic() - begin) * 1000


# Each by its name, so that nothing of another's is counted: how to run it.
clients = {}
go = shutil.which("go", path="/usr/bin:/usr/local/bin")
for name, cgo in (("go", "0"), ("go, by the C library", "1")):
    if not go:
        tap.skip(name, "no go")
        continue
    program = f"/mnt/client{cgo}"
    sh(f"cd /mnt && HOME=/mnt GOCACHE=/mnt/go CGO_ENABLED={cgo} "
       f"GO111MODULE=off GOFLAGS= {go} build -o {program} {FOLDER}/clients.go "
       f"&& chmod 755 {program}")
    clients[name] = [program]
if shutil.which("node"):
    with open("/mnt/client.js", "w") as out:
        out.write("""
for (const url of process.argv.slice(2))
  require(url.split(':')[0]).get(url, (answer) => {
    answer.on('data', (data) => console.log(String(data).trim()));
  }).on('error', (error) => console.log(error.message));
""")
    clients["node"] = ["node", "/mnt/client.js"]
else:
    tap.skip("node", "no node")

for name, command in clients.items():
    for scheme in ("http", "https"):
        out, _ = get(PUPPY, [*command, f"{scheme}://web.example/"])
        tap.equal(f"{name}, {scheme}: allowed", out, "web.example")
        before = asked_of_resolver("secret.example")
        out, ms = get(PUPPY, [*command, f"{scheme}://secret.example/"])
        tap.check(f"{name}, {scheme}: refused, as a name that is not, at once",
                  ("no such host" in out or "ENOTFOUND" in out) and
                  ms < AT_ONCE_MS * 4, f"{out} {ms}")
        tap.equal(f"{name}, {scheme}: asked nobody",
                  asked_of_resolver("secret.example"), before)
        out, _ = get(PUPPY, [*command, f"{scheme}://{OTHER_WEB}/"])
        tap.check(f"{name}, {scheme}: an address nobody has looked up, refused",
                  "refused" in out or "ECONNREFUSED" in out, out)
        out, _ = get(PUPPY, [*command, f"{scheme}://good.example/",
                             f"{scheme}://bad.example/"])
        tap.check(f"{name}, {scheme}: two names on one address, one allowed",
                  "good.example" in out.splitlines() and
                  "bad.example" not in out.splitlines(), out)
    out, _ = get(KITTEN, [*command, "http://secret.example/"])
    tap.equal(f"{name}: another user goes where it likes", out, "web.example")


# A tunnel through the resolver.
def sunk():
    try:
        return sum(int(line) for line in open(SINK))
    except OSError:
        return 0


def send_through(uid):
    """How many bytes have come out at the other end, within some seconds."""
    before = sunk()
    end = time.monotonic() + 8 * SLOW
    with subprocess.Popen(["dns2tcpc", "-z", "tun.example", "-r", "sink", "-l", "-",
                           RESOLVER], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          preexec_fn=lambda: become(uid)) as process:
        try:
            process.stdin.write(SECRET)
            process.stdin.flush()
            time.sleep(2 * SLOW)
            process.stdin.close()
        except BrokenPipeError:
            pass
        while sunk() == before and time.monotonic() < end:
            time.sleep(0.1)
        process.kill()
    return sunk() - before


if shutil.which("dns2tcpc"):
    with open("/mnt/tunnel.conf", "w") as out:
        out.write(f"listen = {TUNNEL}\nport = 53\nuser = root\nchroot = /mnt\n"
                  f"domain = tun.example\nresources = sink:{PEER}:{SINK_PORT}\n")
    spawn_there(["dns2tcpd", "-F", "-d", "1", "-f", "/mnt/tunnel.conf"],
                "/mnt/tunnel.log", lambda log: "Starting" in log)
    tap.equal("dns2tcp: another user's data comes through",
              send_through(KITTEN), len(SECRET))
    # Its names are none of a host's (`=auth`), so no wildcard means them.
    for what in ("no rule allows it", "a wildcard allows hosts there"):
        before = open("/mnt/dnsmasq.log").read().count("tun.example from")
        tap.equal(f"dns2tcp, {what}: nothing of the account's",
                  send_through(PUPPY), 0)
        tap.equal(f"dns2tcp, {what}: nobody was asked", open(
            "/mnt/dnsmasq.log").read().count("tun.example from"), before)
        gatekeeper.reload(policy(RULES.replace(
            "allow = (", 'allow = ( { host = "*.tun.example"; },')))
else:
    tap.skip("dns2tcp", "it is not installed")

# Names spelt wrong are told before an agent meets them.
def check_hosts(text, *more):
    write_config(text, "/mnt/checked.conf")
    done = subprocess.run(["leash", "check", "--hosts", "/mnt/checked.conf",
                           *more], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


right = policy("allow = ( { host = \"web.example\"; }, "
               "{ host = \"good.example\"; }, { host = \"*.b.example\"; } );\n"
               "deny = ( { host = \"no.nowhere.example\"; } );\n")
before = asked_of_resolver("web.example")
tap.equal("check --hosts: all have addresses", check_hosts(right)[0], 0)
tap.check("check --hosts: the resolver knows them now",
          asked_of_resolver("web.example") > before)
tap.equal("check --hosts: what is denied is not looked up",
          asked_of_resolver("no.nowhere.example"), 0)
wrong = right.replace("good.example", "god.nowhere.example")
code, said = check_hosts(wrong)
tap.check("check --hosts: a name that nobody has, and where it stands",
          code == 1 and re.search(r"checked.conf:\d+: note: "
                                  r"god.nowhere.example: no such name", said) and
          "web.example" not in said, said)
tap.check("check --hosts: the configuration is correct nonetheless",
          "checked.conf: correct, with 1 note(s)" in said, said)
code, said = check_hosts(wrong, "--json")
tap.check("check --hosts: as JSON", code == 1 and "god.nowhere.example" in
          json.loads(said)["note"][0], said)
tap.equal("check alone asks nobody", subprocess.run(
    ["leash", "check", "/mnt/checked.conf"]).returncode, 0)
sh("mv /etc/resolv.conf /mnt/; echo nameserver 10.77.0.99 > /etc/resolv.conf")
code, said = check_hosts(right)
tap.check("check --hosts: no resolver, and it still ends",
          code == 1 and "web.example" in said, said)
sh("mv /mnt/resolv.conf /etc/")
tap.check("it is written down", wait_rows(
    "kind = 'resolve' AND verdict = 'deny' AND host LIKE '%.tun.example'"))
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.finish()
