"""coverage - which lines of the product the tests run

    coverage.py BUILD [SYSTEM-TEST...]

Runs the unit, golden and fuzz suites of BUILD and, each in tests/arena, system
tests (older:TEST: as on an older kernel); then says of each room and of each
module on the hot path how many of its lines have been run.  Less than 90 % of
the hot path is an error.

BUILD is by clang (see FLAGS), not by gcc with gcov: gcov writes its counts
when a process ends, and most of ours are killed, or sit in a /proc of their
own, as nobody, and can open nothing.  clang's counters can lie in a file that
is mapped before main() (%c in its name), so that they are there whatever the
process does afterwards, and of a fork those of both.  The filter of system
calls is left out in such a build, as it is with sanitizers.

What is written inside an arena is gone with it; so it comes out as an archive,
on standard output.
"""

import collections
import glob
import json
import os
import shutil
import subprocess
import sys
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FLAGS = ("-fprofile-instr-generate -fcoverage-mapping "
         "-mllvm -runtime-counter-relocation=true -DLEASH_NO_SECCOMP")
ROOMS = ("gatekeeper", "fanotify", "nfqueue", "dns", "store", "toolcall",
         "tools")
HOT_PATH = (
    "fanotify/gate.c", "fanotify/judge.c", "fanotify/target.c",
    "fanotify/opener.c", "fanotify/ignore_marks.c", "fanotify/syscall_access.c",
    "fanotify/written.c",
    "nfqueue/judge_flow.c", "nfqueue/names/judge_name.c", "nfqueue/net_gate.c",
    "nfqueue/socket_owner.c", "nfqueue/packets/packet.c",
    "nfqueue/names/pins.c", "nfqueue/names/questions.c",
    "gatekeeper/policy/decide.c", "gatekeeper/policy/decide_flow.c",
    "gatekeeper/policy/decide_host.c", "gatekeeper/policy/decide_tool.c",
    "toolcall/server.c", "toolcall/judge.c",
)
HOT_AT_LEAST = 90
SECONDS = 400  # of a system test
OLDER = {"LEASH_PREFIX": "/usr/libexec/leash-tests/old_kernel"}
SOAKS = {"LEASH_FAULT_SECONDS": "20", "LEASH_NET_FAULT_SECONDS": "10"}

# Whoever is counted may be anybody, also who may not write elsewhere.
IN_ARENA = """
mkdir -m 1777 /coverage
LLVM_PROFILE_FILE=/coverage/%c%p.profraw "$@" >&2
exec tar -C /coverage -cf - .
"""


def run_suites(build, raw):
    subprocess.run(
        ["meson", "test", "-C", build, "--no-rebuild", "--suite", "unit",
         "--suite", "golden", "--suite", "fuzz"],
        env={**os.environ, "LLVM_PROFILE_FILE": f"{raw}/suite-%c%p.profraw"},
        check=True)


def run_in_arena(build, raw, name):
    """Its failure is said, and not ours to judge: ./check does that.  What
    an account's own programs open to write down what they have run is an open
    more than a test may expect."""
    test = name.removeprefix("older:")
    archive = os.path.join(raw, f"{name}.tar")
    with open(archive, "wb") as out:
        done = subprocess.run(
            [os.path.join(ROOT, "tests/arena"), build, str(SECONDS),
             "/bin/sh", "-c", IN_ARENA, "sh", "/usr/bin/python3", "-u",
             os.path.join(ROOT, "tests/system", f"test_{test}.py")],
            env={**os.environ, **SOAKS, **(OLDER if test != name else {}),
                 "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
    said = done.stderr.decode(errors="replace").splitlines()
    print(f"{name}: {sum(line.startswith('ok') for line in said)} passed, "
          f"{sum(line.startswith('not ok') for line in said)} failed",
          flush=True)
    with open(os.path.join(raw, f"{name}.tap"), "w") as out:
        out.write("\n".join(said))
    try:
        with tarfile.open(archive) as file:
            for member in file:
                if member.isfile() and member.size:
                    member.name = f"{name}-{os.path.basename(member.name)}"
                    file.extract(member, raw)
    except tarfile.ReadError:
        print(f"# {name} was broken off: nothing of it is counted")


def programs(build):
    """All that has coverage in it, as llvm-cov wants to be told of them."""
    for path in sorted(glob.glob(f"{build}/*") + glob.glob(f"{build}/tests/*")):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            with open(path, "rb") as file:
                if b"__llvm_covmap" in file.read():
                    yield path


def lines_of(build, raw):
    """{path: (lines that are code, lines that were run)}"""
    merged = os.path.join(raw, "all.profdata")
    listed = os.path.join(raw, "list")
    with open(listed, "w") as out:
        out.write("\n".join(glob.glob(f"{raw}/*.profraw")))
    # One that was being made as its process was killed is none.
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-failure-mode=all",
                    f"-input-files={listed}", "-o", merged], check=True,
                   stderr=subprocess.DEVNULL)
    first, *others = programs(build)
    done = subprocess.run(
        ["llvm-cov", "export", "-summary-only", f"-instr-profile={merged}",
         first, *(word for path in others for word in ("-object", path))],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = {}
    for file in json.loads(done.stdout)["data"][0]["files"]:
        path = os.path.relpath(file["filename"], ROOT)
        lines = file["summary"]["lines"]
        found[path] = (lines["count"], lines["covered"])
    return found


def say(name, count, covered):
    print(f"{name:34} {covered:6} of {count:6} lines, "
          f"{100 * covered / count:5.1f} %")


def total(counts):
    return tuple(map(sum, zip(*counts)))


def report(found):
    rooms = collections.defaultdict(list)
    for path, lines in found.items():
        if path.startswith(tuple(f"{room}/" for room in ROOMS)) and \
                path.endswith(".c"):
            rooms[os.path.dirname(path)].append(lines)
    for room in sorted(rooms):
        say(room, *total(rooms[room]))
    say("the product", *total(total(lines) for lines in rooms.values()))
    print("\nThe hot path:")
    for path in HOT_PATH:
        say(path, *found[path])
    count, covered = total(found[path] for path in HOT_PATH)
    say("the hot path", count, covered)
    return 100 * covered >= HOT_AT_LEAST * count


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    if arguments == ["--flags"]:
        print(FLAGS)
        return 0
    build, tests = os.path.abspath(arguments[0]), arguments[1:]
    raw = os.path.join(build, "raw")
    shutil.rmtree(raw, ignore_errors=True)
    os.makedirs(raw)
    run_suites(build, raw)
    for test in tests:
        run_in_arena(build, raw, test)
    return 0 if report(lines_of(build, raw)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
