#!/usr/bin/env python3
"""package: what Debian's own tools say of the package.

package.py TREE: builds it twice into TREE/build/debian and elsewhere.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

tree = os.path.abspath(sys.argv[1])
out = os.path.join(tree, "build/debian")
count = failed = 0

for program in ("dh", "lintian", "blhc"):
    if not shutil.which(program):
        print(f"1..0 # SKIP {program} is not installed")
        sys.exit(0)


def check(name, right, seen=""):
    global count, failed
    count += 1
    failed += not right
    print(f"{'' if right else 'not '}ok {count} - {name}")
    if not right:
        print("".join(f"# {line}\n" for line in str(seen).splitlines()[:60]))
    sys.stdout.flush()


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, **more)
    return done.returncode, done.stdout


def build(folder):
    shutil.rmtree(folder, ignore_errors=True)
    code, said = run(f"{tree}/packaging/build-deb", folder,
                     env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck"})
    check("it builds", code == 0, said)
    return {os.path.basename(path): hashlib.sha256(
        open(path, "rb").read()).hexdigest()
        for path in glob.glob(f"{folder}/*.deb")}


with tempfile.TemporaryDirectory() as other:
    first, second = build(out), build(other)
check("two builds give the same bytes", first and first == second,
      (first, second))
deb, = (path for path in glob.glob(f"{out}/leash_*.deb"))
changes, = glob.glob(f"{out}/*.changes")
code, said = run("lintian", "--pedantic", "--fail-on", "error,warning",
                 "--tag-display-limit", "0", "--allow-root", changes)
check("lintian --pedantic has nothing to say", code == 0 and
      not re.search("^[EWIP]: ", said, re.M), said)
code, said = run("blhc", f"{out}/build.log")
check("blhc: every hardening flag is on", code == 0, said)

# Nothing is linked that has no business there.
LIBRARIES = {
    "usr/sbin/gatekeeper": {"libconfig", "libsodium", "libacl", "libmnl",
                            "libseccomp", "libcap-ng", "libpcre2-8",
                            "libbpf"},
    "usr/libexec/leash/leash-fanotify": {"libseccomp", "libcap-ng"},
    "usr/libexec/leash/leash-nfqueue": {"libnetfilter_queue", "libmnl",
                                        "libseccomp", "libcap-ng"},
    "usr/libexec/leash/leash-dns": {"libcares", "libseccomp", "libcap-ng"},
    "usr/libexec/leash/leash-store": {"libsqlite3", "libseccomp",
                                      "libcap-ng"},
    "usr/libexec/leash/leash-toolcall": {"libhs", "libpcre2-8", "libjansson",
                                         "libsodium", "libseccomp",
                                         "libcap-ng"},
    "usr/bin/leash-hook": {"libjansson"},
    "usr/bin/leash-mcp": {"libjansson"},
    "usr/bin/leash": {"libsqlite3", "libjansson", "libpsl", "libcares"},
    "usr/bin/leash-query": {"libsqlite3", "libjansson"},
}
with tempfile.TemporaryDirectory() as root:
    run("dpkg-deb", "-x", deb, root)
    for program, wanted in LIBRARIES.items():
        said = run("readelf", "-d", f"{root}/{program}")[1]
        linked = set(re.findall(r"Shared library: \[(lib[^.\]]*)", said))
        check(f"{os.path.basename(program)} links what it needs",
              linked - {"libc", "libm"} == wanted, linked)
    programs = [f"{root}/{program}" for program in LIBRARIES]
    for program in programs:
        notes = run("readelf", "-lWd", program)[1]
        check(f"{os.path.basename(program)}: position independent, relro, "
              "bound at the start", all(word in notes for word in
                                        ("GNU_RELRO", "PIE", "NOW")), notes)
size = run("dpkg-deb", "-f", deb, "Installed-Size")[1].strip()
print(f"# {os.path.basename(deb)}: {os.path.getsize(deb) // 1024} KiB, "
      f"{size} KiB installed")
print(f"1..{count}")
sys.exit(1 if failed else 0)
