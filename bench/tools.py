"""bench/tools - what the tool gate costs: searching, a call, a message."""

import glob
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "tests", "system"))
from harness import Gatekeeper, PUPPY, become, config  # noqa: E402

TOOLS = "/usr/libexec/leash-tests"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MESSAGES = 3000
SERVER = r"""
import sys
for line in sys.stdin.buffer:
    at = line.index(b'"id":') + 5
    id = line[at:line.index(b',', at)]
    sys.stdout.buffer.write(b'{"jsonrpc":"2.0","id":' + id + b',"result":'
        b'{"content":[{"type":"text","text":"fine, and some words more"}]}}\n')
    sys.stdout.buffer.flush()
"""


def corpus(path, pattern, limit=64 << 20):
    size = 0
    with open(path, "wb") as out:
        for name in sorted(glob.glob(pattern, recursive=True)):
            if os.path.isfile(name) and size < limit:
                data = open(name, "rb").read()
                if b"\0" not in data[:8000]:
                    out.write(data)
                    size += len(data)


def messages(command):
    """A call and its answer, in microseconds: p50 and p99."""
    done = subprocess.run(
        [f"{TOOLS}/mcp_client", str(MESSAGES), *command], capture_output=True,
        text=True, cwd="/", preexec_fn=lambda: become(PUPPY), check=True)
    return tuple(map(float, done.stdout.splitlines()[-1].split()))


def alarms():
    """What is found where nothing should be, but for examples."""
    print(f"\n{'found in':22} {'MB':>8} {'secrets':>8} {'/ 10 MB':>8} "
          f"{'card':>6} {'iban':>6} {'id':>6}")
    for name in ("/usr/include", "/usr/share/doc", "/usr/lib/python3",
                 "/usr/lib/node_modules"):
        if not os.path.isdir(name):
            continue
        corpus("/mnt/corpus", f"{name}/**/*", 1 << 30)
        counted = subprocess.run([f"{TOOLS}/match", "/mnt/corpus", "count"],
                                 capture_output=True, text=True,
                                 check=True).stdout.split()
        size = os.path.getsize("/mnt/corpus") / 1e6
        by = dict(zip(counted[::2], map(int, counted[1::2])))
        print(f"{name:22} {size:8.0f} {by['secrets']:8} "
              f"{by['secrets'] / size * 10:8.2f} {by['card']:6} "
              f"{by['iban']:6} {by['national-id']:6}")
    os.unlink("/mnt/corpus")


corpus("/mnt/headers", "/usr/include/**/*")
corpus("/mnt/documents", "/usr/share/doc/**/*")
print(f"\n{'searching, all rules':22} {'MB/s':>8} {'decoded':>8} "
      f"{'PCRE2':>8} {'10 KB p50':>10} {'p99':>8}")
for name in ("headers", "documents"):
    rounds = [tuple(map(float, subprocess.run(
        [f"{TOOLS}/match", f"/mnt/{name}", "2"], capture_output=True,
        text=True, check=True).stdout.split())) for _ in range(ROUNDS)]
    fast, whole, loop, p50, p99, memory, compiled = (
        statistics.median(column) for column in zip(*rounds))
    print(f"{name:22} {fast:8.0f} {whole:8.0f} {loop:8.1f} {p50:10.1f} "
          f"{p99:8.1f}")
print(f"the rules take {memory / 1024:.0f} KiB, and {compiled:.0f} ms to "
      "compile")

alarms()
gatekeeper = Gatekeeper(config(
    files='read = [ "/usr", "/etc" ];', programs=f'list = [ "/usr/bin", "{TOOLS}" ];',
    profiles='"base", "python"',
    extra='tools = { allow = [ "mcp__test__*" ]; '
          'inspect = [ "secrets", "commands", "personal" ]; };'))
gatekeeper.wait_for("tool gate")
pid = gatekeeper.pids("leash-toolcall")[0]
server = ["python3", "-c", SERVER]
plain, judged = [], []
for _ in range(ROUNDS):
    plain.append(messages(server))
    judged.append(messages(["leash-mcp", "--name", "test", "--", *server]))
with open(f"/proc/{pid}/smaps_rollup") as rollup:
    pss = next(int(line.split()[1]) for line in rollup
               if line.startswith("Pss:"))
print(f"\n{'an MCP call, microseconds':26} {'p50':>8} {'p99':>8}")
for name, rows in (("the server alone", plain), ("by leash-mcp", judged)):
    print(f"{name:26} {statistics.median(row[0] for row in rows):8.1f} "
          f"{statistics.median(row[1] for row in rows):8.1f}")
print("a message more:            "
      f"{(statistics.median(row[0] for row in judged) - statistics.median(row[0] for row in plain)) / 2:8.1f}")
print(f"leash-toolcall takes {pss / 1024:.1f} MiB (PSS)")
gatekeeper.stop()
