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


SOURCES = files("gatekeeper/**/*.[ch]", "fanotify/**/*.[ch]",
                "nfqueue/**/*.[ch]", "dns/**/*.[ch]", "store/**/*.[ch]",
                "toolcall/**/*.[ch]", "tools/**/*.[ch]",
                "tests/**/*.[ch]", "bench/*.[ch]")


def includes(path):
    for number, line in enumerate(open(path), 1):
        found = re.match(r'#include "([^"]+)"', line)
        if found:
            yield number, found.group(1)


# base <- policy <- wire <- programs.  What a room may include beside itself; the
# first that fits a path is its room.
BASE, SYSTEM, POLICY, WIRE = SHARED = (
    "gatekeeper/base/", "gatekeeper/system/", "gatekeeper/policy/",
    "gatekeeper/wire/")
PROGRAMS = ("gatekeeper/", "fanotify/", "nfqueue/", "dns/", "store/",
            "toolcall/")
ROOMS = {
    BASE: (),
    SYSTEM: (BASE,),
    "gatekeeper/policy/build/": (BASE, POLICY),
    POLICY: (BASE,),
    WIRE: (BASE, POLICY),
    "gatekeeper/config/compile/": (*SHARED, "gatekeeper/policy/build/"),
    "gatekeeper/config/rules/": (*SHARED, "gatekeeper/policy/build/",
                                 "gatekeeper/config/compile/"),
    "gatekeeper/config/": (*SHARED, "gatekeeper/config/compile/",
                           "gatekeeper/config/rules/"),
    "toolcall/shell/": (BASE,),
    "toolcall/commands/": (BASE, POLICY, "toolcall/shell/"),
    "toolcall/search/": (BASE, POLICY),
    "toolcall/pins/": SHARED,
    "tools/lib/": SHARED,
    "tools/leash/dialog/": (*SHARED, "tools/lib/"),
    "tools/leash/log/": (*SHARED, "tools/lib/", "tools/leash/dialog/"),
    "tools/leash/": (*SHARED, "tools/lib/", "tools/leash/dialog/",
                     "tools/leash/log/"),
    **{f"tools/{program}/": (*SHARED, "tools/lib/")
       for program in ("query", "hook", "mcp")},
    # Programs with rooms of their own, which know each other.
    **{program: None for program in PROGRAMS},
}


def room_of(path):
    return next((room for room in ROOMS if path.startswith(room)), None)


problems = []
for path in SOURCES:
    if path.startswith(("tests/", "bench/")):
        continue
    room = room_of(path)
    allowed = ROOMS[room]
    for number, include in includes(path):
        other = room_of(include)
        if other == room or (other in allowed if allowed is not None else
                             other in SHARED or include.startswith(room)):
            continue
        problems.append(f"{path}:{number} includes {include}")
check("includes run one way: base, policy, wire, programs", problems)

# No circle.  A module is X.c with X.h; it uses those whose headers it includes,
# and those that alone define a function which it names.  A header that lays
# open to the nearest what a module keeps from all others is a part of it.
PARTS = {"gatekeeper/policy/image_format": "gatekeeper/policy/image"}


def module_of(path):
    module = os.path.splitext(path)[0]
    return PARTS.get(module, module)


def code(path):
    text = re.sub(r"/\*.*?\*/", " ", open(path).read(), flags=re.S)
    return re.sub(r'(?<!#include )"(?:[^"\\\n]|\\.)*"', '""', text)


def uses(product):
    texts = {path: code(path) for path in product}
    defined = {}  # function -> the modules that define it
    for path, text in texts.items():
        for name in re.findall(r"^(?!static\b)[A-Za-z_][\w ,*()\n\t]*?\b(\w+)"
                               r"\([^;{}]*\)\n\{", text, re.M):
            defined.setdefault(name, set()).add(module_of(path))
    found = {}  # module -> module it uses -> by what
    for path, text in texts.items():
        module = module_of(path)
        used = found.setdefault(module, {})
        for include in re.findall(r'^#include "([^"]+)"', text, re.M):
            used.setdefault(module_of(include), include)
        own = re.findall(r"^static [^;{}()=]*?\b(\w+)\(", text, re.M)
        for name in (set(re.findall(r"(?<![.>\w])[a-z]\w+", text)) -
                     set(own)) & set(defined):
            if len(defined[name]) == 1 and module not in defined[name]:
                used.setdefault(*defined[name], name)
        used.pop(module, None)
    return found


def circles(found):
    """The strongly connected parts of more than one module (Tarjan's)."""
    low, stack, parts = {}, [], []

    def visit(module):
        low[module] = index = len(low)
        stack.append(module)
        for other in found.get(module, ()):
            if other not in low:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index:
            part = stack[stack.index(module):]
            del stack[-len(part):]
            if len(part) > 1:
                parts.append(sorted(part))

    for module in sorted(found):
        if module not in low:
            visit(module)
    return parts


found = uses([path for path in SOURCES
              if not path.startswith(("tests/", "bench/"))])
check("no circle",
      [f"{module} -> {other}: {by}" for part in circles(found)
       for module in part for other, by in found[module].items()
       if other in part])
# What a struct policy is made of, policy/ alone knows, and who damages one.
check("how an image lies in memory is private to policy/",
      [f"{path}:{number}" for path in SOURCES for number, include in
       includes(path) if include == POLICY + "image_format.h"
       and not path.startswith((POLICY, "tests/unit/"))])

# What fits a screen.
rooms = {}
for path in SOURCES:
    rooms.setdefault(os.path.dirname(path), []).append(path)
check("no room has more than 25 files",
      [f"{room}: {len(inside)}" for room, inside in sorted(rooms.items())
       if len(inside) > 25 and not room.startswith("tests")])

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

# Advice: a second noun may be hiding there.
for path in SOURCES:
    if len(open(path).readlines()) > 700:
        print(f"# {path}: {len(open(path).readlines())} lines")

# clang-format cuts code, and leaves a comment as long as it is.
problems = []
for path in SOURCES:
    text = open(path).read()
    for match in re.finditer(r"/\*.*?\*/", text, re.S):
        first = text.rfind("\n", 0, match.start()) + 1
        number = text.count("\n", 0, first) + 1
        lines = text[first:match.end()].split("\n")
        problems += [f"{path}:{number + i}" for i, line in enumerate(lines)
                     if len(line.expandtabs(8)) > 80 and
                     line.lstrip().startswith(("/*", "*"))]
check("comments keep to 80 columns", problems)

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
        if noun in ("cleanup", "vocabulary", "image", "build",
                    "image_format", "places",
                    "decide", "decide_flow", "decide_host", "decide_tool",
                    "query_filter", "query_output"):
            continue  # several nouns by design; their headers say which
        if not name.startswith(noun.rstrip("s")) and \
                not name.startswith(noun):
            problems.append(f"{path}: {name}")
check("what a header exports carries its noun", problems)

# An image of another version is refused at once: nothing would be fuzzed.
version = int(re.search(r"POLICY_IMAGE_VERSION (\d+)",
                        open("gatekeeper/policy/image_format.h").read()).group(1))
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

# A guide that names what has moved leads astray.
guide = " ".join(open("HACKING.md").read().split())
named = re.findall(r"`([\w./-]+\.c): (\w+)\(\)`", guide)
problems = [] if len(named) > 20 else ["HACKING.md names no functions"]
for path, function in named:
    if not os.path.exists(path):
        problems.append(f"{path} is not there")
    elif not re.search(rf"^\w[\w \*]*\b{function}\([^;{{]*\)\n{{",
                       open(path).read(), re.M):
        problems.append(f"{path} does not define {function}()")
check("each function that HACKING.md names is where it says", problems)

texts = {path: open(path).read() for path in files("tests/mutants/*")
         if os.path.isfile(path)}
problems = [f"{path}: {named} is not there" for path, text in texts.items()
            for named in re.findall(r'(?:^|")([a-z]\w*/[\w/]+\.c)\b', text, re.M)
            if not os.path.exists(named)]
about = set(re.findall(r'^    "(\w+)": \(\(', texts["tests/mutants/gates.py"],
                       re.M))
there = {os.path.basename(path)[len("test_"):-len(".py")]
         for path in files("tests/system/test_*.py")}
problems += [f"gates.py or tests/system lacks {name}"
             for name in sorted(about ^ there)]
check("tests/mutants knows the files that it makes wrong, and the tests",
      problems)

scripts = ["run", "check", ".ci/run", "tests/arena", "bench/run"]
check("scripts are there and parse",
      [script for script in scripts if not os.access(script, os.X_OK)
       or subprocess.run(["sh", "-n", script]).returncode])

# One table of kinds and reasons; what else lists them says the same.
TEXT = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
vocabulary = {path[-1]: open(path).read() for path in (
    "gatekeeper/policy/vocabulary.c", "gatekeeper/policy/vocabulary.h")}


def joined(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def enumerators(name):
    body = re.search(r"enum " + name + r" \{(.*?)\n\};", vocabulary["h"], re.S)
    return re.findall(r"^\t(\w+)", body.group(1), re.M)


def differ(what, have, want):
    return [f"{what} lacks {word}" for word in want if word not in have] + [
        f"{what} has {word}, which there is not"
        for word in have if word not in want]


kinds = re.findall(r'\{(POLICY_KIND_\w+),\s*POLICY_FAMILY_\w+,\s*"(\w+)"\}',
                   vocabulary["c"])
reasons = re.findall(r"\{(POLICY_REASON_\w+),\s*POLICY_FAMILY_(\w+),\s*" + TEXT +
                     r",\s*(?:" + TEXT + r"|NULL)\}", vocabulary["c"])
check("every kind and reason is in its table",
      differ("policy_kinds", [kind for kind, _ in kinds],
             enumerators("policy_kind")) +
      differ("policy_reasons", [row[0] for row in reasons],
             enumerators("policy_reason")))
words = [word for _, word in kinds]
page = open("tools/query/leash-query.1").read()
check("leash-query(1) and completions list the kinds",
      differ("leash-query(1)", re.findall(r"^\.Cm (\w+)", re.search(
          r"\n\.It Fl -kind Ar kind\n(.*?)\n\.It", page, re.S).group(1),
          re.M), words) +
      differ("leash.bash", re.search(
          r'--kind\)\s+mapfile .*?-W "([^"]*)"',
          open("packaging/completion/leash.bash").read(),
          re.S).group(1).split(), words) +
      differ("_leash", re.search(
          r"--kind=\[[^]]*\]:kind:\(([^)]*)\)",
          open("packaging/completion/_leash").read()).group(1).split(), words))
FAMILIES = {"Of anything:": "ANY", "Of files, folders and programs:": "FILES",
            "Of programs alone:": "PROGRAMS", "Of hosts:": "HOSTS",
            "Of tools:": "TOOLS"}
section = page.split(".Ss Reasons\n")[1].split("\n.S")[0]
have = {(FAMILIES.get(title, title), line.replace("\\(aq", "'"))
        for title, items in re.findall(r"^\.Pp\n(.*)\n\.Bl.*\n((?:.*\n)*?)\.El",
                                       section + "\n", re.M)
        for line in re.findall(r"^\.It\n(.*)$", items, re.M)}
want = {(family, joined(text)) for _, family, *texts in reasons
        for text in texts if text}
check("leash-query(1) lists the reasons",
      differ("leash-query(1)", sorted(have), sorted(want)))

# The tables of options; what people read says the same.
SHARED_ROWS = dict(re.findall(
    r'#define (LEASH_\w+)[\s\\]+"([\w-]+)", ',
    open("tools/leash/dialog/common_options.h").read()))
tables = {}
for path in files("tools/*/*.c", "gatekeeper/main.c"):
    for rows, command in re.findall(
            r'struct options_row rows\[\] = \{(.*?)\n?\t?\};'
            r'.*?\.name = "([\w -]+)"', open(path).read(), re.S):
        tables[command] = {own or SHARED_ROWS[shared] for own, shared in
                           re.findall(r'\{(?:"([\w-]+)"|(LEASH_\w+)),', rows)}
commands = dict(re.findall(r'^\t\{"(\w+)", leash_\w+,\s*"([^"]*)"\}',
                           open("tools/leash/leash.c").read(), re.M))
OWN = {"help", "version"}


def flags(text):
    return set(re.findall(r"(?:Fl|\|) -([a-z][\w-]*)", text))


def unlike(what, have, want):
    return differ(what, sorted(have), sorted(want))


problems = unlike("tables of options", {
    command[6:] for command in tables if command.startswith("leash ")},
    set(commands))
for command, page in (("gatekeeper", "gatekeeper/gatekeeper.8"),
                      ("leash-query", "tools/query/leash-query.1"),
                      ("leash-hook", "tools/hook/leash-hook.1"),
                      ("leash-mcp", "tools/mcp/leash-mcp.1")):
    problems += unlike(page, flags(open(page).read()),
                       tables[command] | OWN)
page = open("tools/leash/leash.1").read()
synopsis = page.split(".Sh SYNOPSIS\n")[1].split("\n.Sh ")[0]
forms = {}
for command, form in re.findall(r"^\.Nm leash Cm (\w+)(.*?)(?=^\.Nm|\Z)",
                                synopsis, re.M | re.S):
    forms.setdefault(command, set()).update(flags(form))
problems += unlike("leash(1)", set(forms), set(commands))
for command in commands:
    problems += unlike(f"leash(1), {command}", forms.get(command, set()),
                       tables[f"leash {command}"])
problems += [f"leash(1) speaks of --{name}" for name in sorted(
    flags(page) - OWN.union(*tables.values()))]
check("manual pages have the options of the tables", problems)

bash = open("packaging/completion/leash.bash").read()
zsh = open("packaging/completion/_leash").read()
problems = unlike("leash.bash", set(re.search(
    r'-W "(init [^"]*)"', bash).group(1).split()),
    set(commands) | {f"--{name}" for name in OWN})
in_bash = dict(re.findall(
    r'^\t(\w+)\)(?: options="|\n[^"]*-W ")([^"]*)"',
    bash.split("case $command in")[1], re.M))
in_zsh = {command: text.replace('"$who"', "'--account=") for names, text in
          re.findall(r"^([a-z |]+)\) _arguments(.*?);;", zsh, re.M | re.S)
          for command in names.split(" | ")}
for command in commands:
    want = tables[f"leash {command}"]
    problems += unlike(f"leash.bash, {command}", set(re.findall(
        r"--([\w-]+)", in_bash.get(command, ""))), want)
    problems += unlike(f"_leash, {command}", set(re.findall(
        r"'--([\w-]+)", in_zsh.get(command, ""))), want)
problems += unlike("_leash", set(re.findall(
    r"^\t'(\w+:[^']*)'$", zsh, re.M)),
    {f"{command}:{text}" for command, text in commands.items()})
check("completions have the commands and options of the tables", problems)
check("completions parse",
      [f"{shell}: {path}" for shell, path in (
          ("bash", "packaging/completion/leash.bash"),
          ("zsh", "packaging/completion/_leash"))
       if shutil.which(shell) and subprocess.run(
           [shell, "-n", path]).returncode])

print(f"1..{len(results)}")
sys.exit(0 if all(results) else 1)
