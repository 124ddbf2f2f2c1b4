"""lint - what the tree promises about itself

The direction of includes, the size of files, the format, the man pages.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

os.chdir(sys.argv[1])
FORMAT = "clang-format"
results = []


def check(name, problems):
    results.append(not problems)
    print(f"{'not ok' if problems else 'ok'} {len(results)} - {name}")
    for problem in problems:
        print(f"# {problem}")


def skip(name, why):
    results.append(True)
    print(f"ok {len(results)} - {name} # SKIP {why}")


def files(*patterns):
    found = [path for pattern in patterns
             for path in glob.glob(pattern, recursive=True)]
    return sorted(path for path in found if not path.startswith("build"))


SOURCES = files("gatekeeper/**/*.[ch]", "fanotify/*.[ch]", "nfqueue/*.[ch]",
                "dns/*.[ch]", "store/*.[ch]", "toolcall/*.[ch]",
                "tools/*.[ch]", "tests/**/*.[ch]", "bench/*.[ch]")


def includes(path):
    for number, line in enumerate(open(path), 1):
        found = re.match(r'#include "([^"]+)"', line)
        if found:
            yield number, found.group(1)


# base <- policy <- wire <- programs; config belongs to gatekeeper.
LAYERS = [("gatekeeper/base/", []),
          ("gatekeeper/policy/", ["gatekeeper/base/"]),
          ("gatekeeper/wire/", ["gatekeeper/base/", "gatekeeper/policy/"])]
SHARED = [folder for folder, _ in LAYERS]
PROGRAMS = ["gatekeeper/", "fanotify/", "nfqueue/", "dns/", "store/",
            "toolcall/", "tools/"]

problems = []
for path in SOURCES:
    if path.startswith(("tests/", "bench/")):
        continue
    own = next((layer for layer in LAYERS if path.startswith(layer[0])), None)
    if own:
        allowed = [own[0]] + own[1]
    else:
        program = next(name for name in PROGRAMS if path.startswith(name))
        allowed = SHARED + [program]
    for number, include in includes(path):
        if not include.startswith(tuple(allowed)):
            problems.append(f"{path}:{number} includes {include}")
check("includes run one way: base, policy, wire, programs", problems)

problems = []
for path in SOURCES:
    if path.endswith(".c") and os.path.exists(path[:-1] + "h"):
        first = next(includes(path), (0, ""))[1]
        if first != path[:-1] + "h" and not path.startswith("tests/"):
            problems.append(f"{path} includes {first} before its own header")
check("a module includes its own header first", problems)

check("headers begin with #pragma once",
      [path for path in SOURCES if path.endswith(".h")
       and not open(path).read().startswith("#pragma once\n")])

check("no file is over 600 lines",
      [f"{path}: {len(open(path).readlines())}" for path in SOURCES
       if len(open(path).readlines()) > 600])

check("nothing is left to do",
      [f"{path}:{number}" for path in SOURCES
       for number, line in enumerate(open(path), 1)
       if re.search(r"\b(TODO|FIXME|XXX)\b", line)])

problems = []
for path in SOURCES:
    if not path.endswith(".h") or path.startswith("tests/"):
        continue
    noun = os.path.basename(path)[:-2]
    text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
    for match in re.finditer(r"^(?:MUST_CHECK )?(?!static|typedef|#)"
                             r"[a-z][\w ]*[ \*]+\*?([a-z]\w+)\(", text, re.M):
        name = match.group(1)
        if noun in ("compile", "cleanup", "vocabulary", "image", "build",
                    "decide", "decide_flow", "decide_host", "decide_tool",
                    "texts", "build_parts", "shell_parts",
                    "query_filter", "query_output",
                    "supervisor_parts", "leash_parts"):
            continue  # several nouns by design; their headers say which
        if not name.startswith(noun.rstrip("s")) and \
                not name.startswith(noun):
            problems.append(f"{path}: {name}")
check("what a header exports carries its noun", problems)

# An image of another version is refused at once: nothing would be fuzzed.
version = int(re.search(r"POLICY_IMAGE_VERSION (\d+)",
                        open("gatekeeper/policy/image.h").read()).group(1))
check("the fuzzer's images are of the present version",
      [path for path in files("tests/fuzz/corpus/image/*")
       if int.from_bytes(open(path, "rb").read(12)[8:], sys.byteorder)
       != version])

formatter = shutil.which(FORMAT)
if formatter:
    done = subprocess.run([formatter, "--dry-run", "-Werror", *SOURCES],
                          capture_output=True, text=True)
    check("clang-format has nothing to change",
          sorted({line for line in done.stderr.splitlines()
                  if "error:" in line})[:20])
else:
    skip("clang-format has nothing to change", "clang-format is not installed")

mandoc = shutil.which("mandoc")
pages = files("**/*.[1-8]")
if mandoc:
    done = subprocess.run([mandoc, "-Tlint", "-Wwarning", *pages],
                          capture_output=True, text=True)
    check("man pages are right",
          (done.stdout + done.stderr).splitlines()[:20])
else:
    skip("man pages are right", "mandoc is not installed")

scripts = ["run", "check", ".ci/run", "tests/arena", "bench/run"]
check("scripts are there and parse",
      [script for script in scripts if not os.access(script, os.X_OK)
       or subprocess.run(["sh", "-n", script]).returncode])

known = {f"--{name}" for path in files("tools/leash*.c")
         for name in re.findall(r'\{"([\w-]+)", (?:no|required)_argument',
                                open(path).read())
         if "leash_query" not in path and "leash_mcp" not in path} | set(
    re.findall(r'^\t\{"(\w+)", leash_', open("tools/leash.c").read(), re.M))
texts = {path: open(path).read() for path in (
    "packaging/completion/leash.bash", "packaging/completion/_leash",
    "tools/leash.1")}
texts["tools/leash.1"] = texts["tools/leash.1"].replace("Fl -", "--")
check("completions and leash(1) know every command and option",
      [f"{path} lacks {name}" for path, text in texts.items()
       for name in sorted(known) if name not in text])
check("completions parse",
      [f"{shell}: {path}" for shell, path in (
          ("bash", "packaging/completion/leash.bash"),
          ("zsh", "packaging/completion/_leash"))
       if shutil.which(shell) and subprocess.run(
           [shell, "-n", path]).returncode])

print(f"1..{len(results)}")
sys.exit(0 if all(results) else 1)
