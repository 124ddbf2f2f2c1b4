"""The net gate dies, stands still, is flooded; gatekeeper dies."""

import random

from net_bed import *

# OTHERS: where another user goes, so that nobody but puppy asks for DENIED.
ALLOWED, DENIED, OTHERS = 1000, 1001, 1002
SECONDS = float(os.environ.get("LEASH_NET_FAULT_SECONDS", "10"))
tap = Tap()
CONFIG_TEXT = config(
    files='default = "allow";', programs='mode = "ban"; list = [ ];',
    profiles="", extra=f"""network = {{ allow = (
        {{ net = "{PEER}"; ports = [ {ALLOWED} ]; }} ); }};""")

wire()
peer = Peer([ALLOWED, DENIED, OTHERS])
gatekeeper = Gatekeeper(CONFIG_TEXT)


def net_gate():
    pids = gatekeeper.pids("leash-nfqueue")
    return pids[0] if pids else 0


def hammer(port, seconds, pause=0.0):
    """Outcomes of connect() after connect(), and the longest wait, ms."""
    ends, longest = {}, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer, ms = tcp(PEER, port)
        ends[answer] = ends.get(answer, 0) + 1
        longest = max(longest, ms)
        time.sleep(pause)
    return [ends, longest]


def one_flow(seconds):
    """The longest silence, ms, of a connection that is in use."""
    longest = 0
    with socket.create_connection((PEER, ALLOWED)) as client:
        client.settimeout(30)
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            begin = time.monotonic()
            client.sendall(b"x")
            client.recv(10)
            count += 1
            longest = max(longest, (time.monotonic() - begin) * 1000)
    return [count, longest]


def again(seconds=5):
    """Seconds until a new connection of the account works; None: never."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if as_user(PUPPY, tcp, PEER, ALLOWED)[0] == "woof":
            return time.monotonic() - begin
    return None


def wait_new_gate(old):
    for _ in range(500):
        if net_gate() not in (0, old):
            return True
        time.sleep(0.01)
    return False


# At random moments, under load.
strikes = 0
flow = meanwhile(PUPPY, one_flow, SECONDS + 1)
denied = [meanwhile(PUPPY, hammer, DENIED, SECONDS) for _ in range(2)]
allowed = meanwhile(PUPPY, hammer, ALLOWED, SECONDS)
kitten = meanwhile(KITTEN, hammer, OTHERS, SECONDS, 0.001)
end = time.monotonic() + SECONDS
while time.monotonic() < end:
    victim = net_gate()
    if victim:
        os.kill(victim, random.choice([signal.SIGKILL, signal.SIGSTOP,
                                       signal.SIGSEGV]))
        strikes += 1
    time.sleep(random.uniform(0.1, 1.2))
ends = {}
for wait in denied:
    for answer, count in wait()[0].items():
        ends[answer] = ends.get(answer, 0) + count
tap.check(f"{strikes} strikes: nothing denied got through",
          "woof" not in ends and sum(ends.values()) > 20, ends)
ends, longest = allowed()
tap.check("what is allowed worked in between", ends.get("woof", 0) > 20, ends)
count, longest = flow()
tap.check("a flow in progress was not disturbed",
          count > 1000 and longest < 200, f"{count}, longest {longest} ms")
ends, longest = kitten()
tap.check("another user was not disturbed",
          list(ends) == ["woof"] and longest < 500, f"{ends} {longest}")
time.sleep(0.3)
took = again()
tap.check("new connections work again", took is not None and took < 2, took)
tap.equal("and what is denied is refused",
          as_user(PUPPY, tcp, PEER, DENIED)[0], "ECONNREFUSED")
tap.equal("no packet of anything denied has left", seen(6, PEER, DENIED), 0)

# Each way by itself.  A SYN that met no gate comes again after a second, which
# is TCP's; by then there must be one.
for name in ("SIGKILL", "SIGSTOP", "SIGSEGV"):
    old = net_gate()
    flow = meanwhile(PUPPY, one_flow, 3)
    time.sleep(0.2)
    os.kill(old, getattr(signal, name))
    tap.check(f"{name}: the next gate comes", wait_new_gate(old))
    took = again()
    tap.check(f"{name}: new connections work, at the second SYN at the latest",
              took is not None and took < 2, took)
    count, longest = flow()
    tap.check(f"{name}: a flow in progress goes on", longest < 200, longest)

# More at once than the queue holds, at a gate that stands still.
def flood(count):
    """So many first packets, each of a flow of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        sent = 0
        for i in range(count):
            try:
                client.sendto(b"x", (PEER, 2000 + i % 60000))
                sent += 1
            except OSError:
                pass
    return sent


def flood_syns(count):
    clients, started = [], 0
    for i in range(count):
        client = socket.socket()
        client.setblocking(False)
        try:
            client.connect((PEER, 2000 + i % 60000))
        except BlockingIOError:
            started += 1
        except OSError:
            pass
        clients.append(client)
        if len(clients) > 500:
            clients.pop(0).close()
    return started


os.kill(net_gate(), signal.SIGSTOP)
old = net_gate()
sent = as_user(PUPPY, flood_syns, 50000, seconds=100)
as_user(PUPPY, flood, 50000, seconds=100)
tap.check("50,000 SYNs and datagrams at once", sent > 20000, sent)
gatekeeper.wait_for("could judge them and were dropped")
tap.check("what the queue could not hold is counted, and said", True)
for _ in range(100):
    if net_gate() not in (0, old):
        break
    time.sleep(0.1)
took = again(20)
tap.check("it recovers", took is not None and took < 10, took)
with open(SEEN) as seen_lines:
    leaked = [line for line in seen_lines if line.split()[0] in ("6", "17")
              and line.split()[2] not in (str(ALLOWED), str(OTHERS))]
tap.equal("none of them has left", leaked[:5], [])

# gatekeeper dies: the rules stand, and the gate goes on by the same policy.
before = seen(6, PEER, DENIED)
os.kill(gatekeeper.process.pid, signal.SIGKILL)
gatekeeper.process.wait()
tap.equal("without gatekeeper: refused", as_user(PUPPY, tcp, PEER, DENIED)[0],
          "ECONNREFUSED")
tap.equal("without gatekeeper: allowed", as_user(PUPPY, tcp, PEER, ALLOWED)[0],
          "woof")
sh("pkill -KILL leash-nfqueue")
time.sleep(0.2)
tap.equal("without either: nothing new", as_user(PUPPY, tcp, PEER, ALLOWED)[0],
          "timeout")
tap.equal("without either: nothing denied",
          as_user(PUPPY, tcp, PEER, DENIED)[0], "timeout")
tap.equal("of all which nothing left", seen(6, PEER, DENIED) - before, 0)
gatekeeper = Gatekeeper(CONFIG_TEXT)
tap.equal("the next gatekeeper takes over: allowed",
          as_user(PUPPY, tcp, PEER, ALLOWED)[0], "woof")
tap.equal("the next gatekeeper takes over: refused",
          as_user(PUPPY, tcp, PEER, DENIED)[0], "ECONNREFUSED")
os.kill(gatekeeper.process.pid, signal.SIGKILL)
gatekeeper.process.wait()
gatekeeper = Gatekeeper(CONFIG_TEXT)
answer, ms = as_user(PUPPY, tcp, PEER, DENIED)
tap.check("and again, from one whose gate still ran",
          answer == "ECONNREFUSED" and ms < 50, f"{answer} {ms}")
tap.equal("stops cleanly", gatekeeper.stop(), 0)
tap.equal("the rules are gone", sh("iptables-legacy-save; ip6tables-legacy-save; iptables-save").count(
    "LEASH"), 0)
tap.finish()
