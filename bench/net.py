"""The network rows of bench/run, inside tests/arena."""

import json
import os
import shutil
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.environ["ARENA_SOURCE"], "tests/system"))
from net_bed import *  # noqa: E402

TOOLS = "/usr/libexec/leash-tests"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))
peer = sys.argv[1]
PORT = 1000

wire()
sh(f"mkdir -p {BOX} && mount -t tmpfs -o mode=755 t {BOX}")
server = subprocess.Popen(["ip", "netns", "exec", "peer",
                           f"{TOOLS}/connections", "serve", str(PORT)],
                          stdout=subprocess.PIPE, text=True)
server.stdout.readline()
iperf = subprocess.Popen(["ip", "netns", "exec", "peer", "iperf3", "-s"],
                         stdout=subprocess.DEVNULL)


def hold_answers():
    """A resolver that answers all of a thousand questions at once, late."""
    enter_peer()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    server.bind((OTHER, 53))
    while True:
        asked = [server.recvfrom(512) for _ in range(HELD)]
        time.sleep(0.5)
        for data, client in asked:
            server.sendto(data[:2] + b"\x81\x83" + data[4:], client)


HELD = 1000
if os.fork() == 0:
    hold_answers()
    os._exit(0)


def policy(rules=10):
    """Allows the peer last; before it, networks that match nothing asked."""
    nets = "".join(f'{{ net = "10.{100 + i // 65536}.{i // 256 % 256}.'
                   f'{i % 256}"; }},\n' for i in range(rules - 1))
    return config(
        files='default = "allow";', programs='mode = "ban"; list = [ ];',
        profiles="", extra=f"""network = {{ allow = ( {nets}
            {{ net = "{PEER}"; ports = [ {PORT}, 5201 ]; }},
            {{ host = "held.example"; }} );
            resolvers = [ "{OTHER}" ]; }};""").replace(
                'watch = [ "/" ];', f'watch = [ "{BOX}" ];')


def connect(uid):
    out = run_as(uid, [f"{TOOLS}/connections", "connect", PEER, str(PORT),
                       str(SECONDS)])
    return tuple(map(float, out.split()))


def throughput(uid):
    """Each end on a processor of its own: else chance decides by half."""
    out = run_as(uid, ["iperf3", "-c", PEER, "-t", str(max(1, int(SECONDS))),
                       "-A", "0,1", "-J"])
    return json.loads(out)["end"]["sum_received"]["bits_per_second"] / 1e9


def nobody(measure):
    return measure(KITTEN)


def empty(measure, uid=KITTEN):
    queue = subprocess.Popen([f"{TOOLS}/empty_queue", "99"],
                             stdout=subprocess.PIPE, text=True)
    queue.stdout.readline()
    rule = (f"OUTPUT -m owner --uid-owner {uid} -m conntrack --ctstate NEW "
            "-j NFQUEUE --queue-num 99")
    sh(f"iptables -t mangle -A {rule}")
    try:
        return measure(uid)
    finally:
        sh(f"iptables -t mangle -D {rule}")
        queue.kill()
        queue.wait()


def tracked(measure):
    """What the kernel takes to know flows by, with one rule that asks."""
    rule = "OUTPUT -m conntrack --ctstate INVALID -j ACCEPT"
    sh(f"iptables -t mangle -A {rule}")
    try:
        return measure(KITTEN)
    finally:
        sh(f"iptables -t mangle -D {rule}")


def leash(measure, uid, rules=10):
    gatekeeper = Gatekeeper(policy(rules))
    time.sleep(0.2)
    try:
        return measure(uid)
    finally:
        gatekeeper.stop()


def ask_many(seconds):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for i in range(HELD):
            client.sendto(i.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\0"
                          b"\4held\7example\0\0\1\0\1", (OTHER, 53))
            if i % 50 == 0:
                time.sleep(0.002)
        time.sleep(seconds)


def leash_with_held(measure):
    """While leash-dns stands still, and a thousand answers wait for it."""
    gatekeeper = Gatekeeper(policy())
    time.sleep(0.2)
    try:
        asking = meanwhile(PUPPY, ask_many, 2.5)
        time.sleep(0.35)
        reader = gatekeeper.pids("leash-dns")[0]
        os.kill(reader, signal.SIGSTOP)
        time.sleep(0.5)
        with open(QUEUES) as lines:
            waiting = sum(int(line.split()[2]) for line in lines)
        if waiting < HELD * 0.9:
            raise SystemExit(f"only {waiting} answers wait")
        found = measure(PUPPY)
        os.kill(reader, signal.SIGCONT)
        asking()
        return found
    finally:
        gatekeeper.stop()


def opensnitch(measure):
    os.makedirs("/etc/opensnitchd/rules", exist_ok=True)
    process = subprocess.Popen(
        [f"{peer}/usr/bin/opensnitchd", "-process-monitor-method", "proc",
         "-rules-path", "/etc/opensnitchd/rules", "-log-file",
         "/mnt/opensnitch.log"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if "NFQUEUE" in sh("iptables-save -t mangle"):
                break
            time.sleep(0.1)
        time.sleep(1)
        if process.poll() is not None or \
                "NFQUEUE" not in sh("iptables-save -t mangle"):
            raise SystemExit("opensnitchd does not work here:\n" +
                             open("/mnt/opensnitch.log").read()[-2000:])
        return measure(KITTEN)
    finally:
        process.terminate()
        process.wait()
        sh("iptables -t mangle -F; iptables -F; iptables -t nat -F", False)


def set_up_opensnitch():
    shutil.copytree(f"{peer}/etc/opensnitchd", "/etc/opensnitchd",
                    dirs_exist_ok=True)


VARIANTS = [
    ("no gate", nobody),
    ("empty loop", empty),
    ("Leash, another user", lambda measure: leash(measure, KITTEN)),
    ("Leash, the account", lambda measure: leash(measure, PUPPY)),
    ("  with 100,000 rules", lambda measure: leash(measure, PUPPY, 100000)),
    ("  1,000 answers wait", leash_with_held),
]
if os.path.exists(f"{peer}/usr/bin/opensnitchd"):
    set_up_opensnitch()
    VARIANTS.append(("OpenSnitch", opensnitch))

# One run of iperf3 says little: many, each variant taking its turn.
FLOWS = VARIANTS[:1] + [("connection tracking", tracked)] + VARIANTS[2:4]

results = {name: [] for name, _ in VARIANTS}
for turn in range(ROUNDS):
    for name, variant in VARIANTS:
        results[name].append(variant(connect))
speeds = {name: [] for name, _ in FLOWS}
for turn in range(4 * ROUNDS):
    for name, variant in FLOWS[turn % 4:] + FLOWS[:turn % 4]:
        speeds[name].append(variant(throughput))


def median(name, which):
    return statistics.median(row[which] for row in results[name])


print(f"\n{os.uname().release}, {ROUNDS} rounds of {SECONDS:g} s, medians, "
      "microseconds\n"
      f"{'one connect()':22} {'p50':>8} {'p99':>8} {'/ empty':>8} "
      f"{'a second':>9}")
for name, _ in VARIANTS:
    print(f"{name:22} {median(name, 0):8.1f} {median(name, 1):8.1f} "
          f"{median(name, 0) / median('empty loop', 0):8.2f} "
          f"{median(name, 2):9.0f}")
if "OpenSnitch" in results:
    print("OpenSnitch's p50 is "
          f"{median('OpenSnitch', 0) / median('Leash, the account', 0):.1f} "
          "times the account's")
free = statistics.median(speeds["no gate"])
print(f"\n{'an allowed flow':22} {'Gbit/s':>8} {'/ no gate':>10}")
for name, values in speeds.items():
    print(f"{name:22} {statistics.median(values):8.1f} "
          f"{statistics.median(values) / free:10.2f}")
iperf.kill()
server.kill()
