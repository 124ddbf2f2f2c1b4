"""The rows of bench/run, inside tests/arena."""

import os
import shutil
import socket
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.environ["ARENA_SOURCE"], "tests/system"))
from harness import *  # noqa: E402

TOOLS = "/usr/libexec/leash-tests"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "0.4"))
FILE, PROGRAM = f"{BOX}/file", f"{BOX}/nothing"
peer = sys.argv[1]

os.makedirs(BOX)
subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "t", BOX],
               check=True)
write_file(FILE, mode=0o644)
shutil.copy(f"{TOOLS}/nothing", PROGRAM)
POLICY = f"""
watch = [ "{BOX}" ];
accounts = ( {{ account = "puppy"; profiles = [ "base" ];
    files = {{ read = [ "{BOX}", "{TOOLS}" ]; }};
    programs = {{ list = [ "{TOOLS}/measure", "{PROGRAM}" ]; }}; }} );
"""
# As /usr is in the profile base: its execs are logged, its opens are not.
UNLOGGED = POLICY.replace(f'[ "{BOX}", "{TOOLS}" ]', f"""(
    {{ path = "{BOX}"; log = false; }}, "{TOOLS}" )""")


# An open takes 20 or 40 microseconds as the scheduler places the two ends, so
# many short rounds say more than a few long ones.
#
# Each is measured on a gate of its own: what the log still has to write of a
# million opens is no part of an exec.
WHAT = (("open", FILE), ("exec", PROGRAM))


def measure(uid, what):
    out = run_as(uid, [f"{TOOLS}/measure", *what, str(SECONDS)])
    return tuple(map(float, out.split()))


def nobody(what):
    return measure(KITTEN, what)


def empty(what):
    gate = subprocess.Popen([f"{TOOLS}/empty_gate", BOX],
                            stdout=subprocess.PIPE, text=True)
    gate.stdout.readline()
    try:
        return measure(KITTEN, what)
    finally:
        gate.kill()
        gate.wait()


def leash(uid, what, measured=None, policy=POLICY):
    write_config(policy)
    log = open("/mnt/bench.log", "w+")
    process = subprocess.Popen(["gatekeeper", "--foreground", "--config",
                                CONFIG], stdout=log, stderr=log)
    while "covered: " not in open("/mnt/bench.log").read():
        time.sleep(0.01)
    try:
        return measured() if measured else measure(uid, what)
    finally:
        process.terminate()
        process.wait()


def ask_all_the_time(end):
    """Questions and nonsense to the tool gate, as fast as it takes them."""
    texts = (b'{"ask":"explain","kind":"open","path":"/etc/shadow"}\n',
             b'{"ask":"explain","kind":"open","path":"x"}\n', b"do\n")
    answered = 0
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("/run/leash/toolcall.sock")
        with client.makefile("rb") as answers:
            while not os.path.exists(end):
                client.sendall(b"".join(texts) * 10)
                answered += sum(bool(answers.readline()) for _ in range(30))
    return answered


def leash_asked(what):
    def measure_meanwhile():
        end = f"/home/puppy/enough{time.monotonic_ns()}"
        asking = meanwhile(PUPPY, ask_all_the_time, end)
        time.sleep(0.2)
        found = measure(PUPPY, what)
        write_file(end)
        if not asking():
            raise SystemExit("no question was taken")
        return found

    return leash(PUPPY, what, measure_meanwhile)


def fapolicyd(what):
    process = subprocess.Popen([f"{peer}/usr/sbin/fapolicyd", "--debug-deny",
                                "--permissive"], stdout=subprocess.DEVNULL,
                               stderr=open("/mnt/fapolicyd.log", "w"))
    try:
        for _ in range(200):
            if "Starting to listen" in open("/mnt/fapolicyd.log").read():
                break
            time.sleep(0.05)
        time.sleep(0.5)
        if process.poll() is not None:
            raise SystemExit(open("/mnt/fapolicyd.log").read())
        return measure(KITTEN, what)
    finally:
        process.kill()
        process.wait()


def set_up_fapolicyd():
    for folder in ("/etc/fapolicyd", "/usr/share/fapolicyd"):
        shutil.copytree(peer + folder, folder, dirs_exist_ok=True)
    rules = f"{peer}/usr/share/fapolicyd/sample-rules"
    wanted = ["10-languages", "20-dracut", "21-updaters", "30-patterns",
              "40-bad-elf", "41-shared-obj", "42-trusted-elf",
              "70-trusted-lang", "72-shell", "90-deny-execute",
              "95-allow-open"]
    with open("/etc/fapolicyd/compiled.rules", "w") as out:
        for name in wanted:
            out.write(open(f"{rules}/{name}.rules").read())
    with open("/etc/fapolicyd/fapolicyd.conf", "w") as out:
        out.write("permissive = 1\nnice_val = 14\nq_size = 800\nuid = root\n"
                  "gid = root\ndo_stat_report = 0\ndetailed_report = 0\n"
                  "db_max_size = 50\nsubj_cache_size = 1549\n"
                  "obj_cache_size = 8191\nwatch_fs = tmpfs\ntrust = file\n"
                  "integrity = none\nsyslog_format = rule,dec,perm,auid,pid,"
                  "exe,:,path,ftype,trust\nrpm_sha256_only = 0\n"
                  "allow_filesystem_mark = 0\n")
    os.makedirs("/var/lib/fapolicyd", exist_ok=True)
    os.makedirs("/run/fapolicyd", exist_ok=True)


VARIANTS = [
    ("no gate", nobody),
    ("empty loop", empty),
    ("Leash, another user", lambda what: leash(KITTEN, what)),
    ("Leash, the account", lambda what: leash(PUPPY, what)),
    ("  opens not logged, another", lambda what: leash(
        KITTEN, what, policy=UNLOGGED)),
    ("  opens not logged", lambda what: leash(PUPPY, what, policy=UNLOGGED)),
    ("  it floods explain", leash_asked),
]
if os.path.exists(f"{peer}/usr/sbin/fapolicyd"):
    set_up_fapolicyd()
    VARIANTS.append(("fapolicyd", fapolicyd))

results = {name: [] for name, _ in VARIANTS}
for turn in range(ROUNDS):
    for name, variant in VARIANTS:
        results[name].append([variant(what) for what in WHAT])


def median(name, what, which):
    return statistics.median(row[what][which] for row in results[name])


print(f"{os.uname().release}, {os.cpu_count()} processors, {ROUNDS} rounds of "
      f"{SECONDS:g} s, medians, microseconds")
for what, title in ((0, "one open"), (1, "one exec")):
    base = median("no gate", what, 0)
    account = median("Leash, the account", what, 0)
    empty_p50 = median("empty loop", what, 0)
    peer_adds = median("fapolicyd", what, 0) - base \
        if "fapolicyd" in results else None
    print(f"\n{title:22} {'p50':>8} {'p99':>8} {'adds':>8} "
          f"{'/ empty':>8} {'/ fapolicyd':>12}")
    for name, _ in VARIANTS:
        p50, p99 = median(name, what, 0), median(name, what, 1)
        share = f"{(p50 - base) / peer_adds:12.2f}" if peer_adds else ""
        print(f"{name:22} {p50:8.1f} {p99:8.1f} {p50 - base:8.1f} "
              f"{p50 / empty_p50:8.2f} {share}")
    flooded = median("  it floods explain", what, 0)
    print(f"while it floods explain: {flooded / account:.2f} of the account's")

print(f"\n{'rules':>8} {'ns a decision':>14} {'/ 10 rules':>11} "
      f"{'load, s':>8} {'bytes a rule':>13}")
counts = (10, 1000, 100000)
measured = {count: [] for count in counts}
for turn in range(ROUNDS):
    for count in counts:
        out = subprocess.run([f"{TOOLS}/decide", str(count), str(SECONDS / 2)],
                             capture_output=True, text=True)
        measured[count].append(tuple(map(float, out.stdout.split())))
for count in counts:
    ns, load, size = (statistics.median(column)
                      for column in zip(*measured[count]))
    first = statistics.median(row[0] for row in measured[10])
    print(f"{count:8} {ns:14.0f} {ns / first:11.2f} {load:8.3f} {size:13.0f}")
