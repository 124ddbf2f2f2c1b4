"""small - does a test notice when one operator of the product is another?

For each comparison, `&&`, `||`, `!`, `+ 1`, `- 1`, true, false and return of
FILES, a copy of the file is made in which just that is wrong (one with `<` for
`<=`, one that returns 0, ...).  Such a mutant is compiled, the test programs
that have the file in them are linked with it, and run one after the other
until one fails: then the mutant is found.  Tests are those of the suites unit,
golden and fuzz, the quickest first; none of them marks a filesystem.

What the compiler makes the very same of, as of the file or another mutant of
it, is no mutant.  A mutant that no test finds has survived, unless the file
`argued` says why nothing could find it, one line each:

    FILE FUNCTION: LINE AS IT IS THEN -- because

A line there that argues for what is no survivor is an error as well.

What came of each mutant is kept, by what was compiled and what was linked: a
run that was broken off goes on where it was, and a change of a file or a test
has only that tried again which it concerns.
"""

import hashlib
import json
import os
import re
import resource
import subprocess
import sys

from building import HERE, digest, output, source

FILES = (
    "gatekeeper/policy/decide.c",
    "gatekeeper/policy/decide_flow.c",
    "gatekeeper/policy/decide_host.c",
    "gatekeeper/policy/decide_tool.c",
    "gatekeeper/policy/reaches.c",
    "nfqueue/names/pins.c",
    "fanotify/target.c",
)
FOUND_AT_LEAST = 0.95
CPU_S = 20  # of a test; a mutant may never end
WALL_S = 300
MEMORY = 4 << 30

SKIPPED = re.compile(
    r'/\*[\s\S]*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|'
    r'^#(?:.*\\\n)*.*', re.M)
OPERATOR = re.compile(
    r"->|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|\+=|-=|"
    r"[+-] 1\b|[<>!]|\btrue\b|\bfalse\b|\breturn\b[^;]*;")
OTHERS = {"<": ("<=",), "<=": ("<",), ">": (">=",), ">=": (">",),
          "==": ("!=",), "!=": ("==",), "&&": ("||",), "||": ("&&",),
          "!": ("",), "+ 1": ("- 1",), "- 1": ("+ 1",),
          "true": ("false",), "false": ("true",)}
FUNCTION = re.compile(
    r"^((?:\w[\w *]*\n)?(?:\w[\w *]*[ *])?)(\w+)\([^;{}]*\)\n\{\n", re.M)


def blanked(text):
    """With comments, strings and directives blank, and no byte elsewhere."""
    return SKIPPED.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def functions(text):
    """(name, type, first byte, last byte) of each function's body."""
    for found in FUNCTION.finditer(text):
        end = text.index("\n}\n", found.end() - 2)
        yield found.group(2), found.group(1), found.end(), end


def returns(kind, what):
    """What else a function could return there."""
    if "void" in kind and "*" not in kind:
        return
    if "struct" in kind and "*" not in kind:
        return
    if "*" in kind:
        if what != "NULL":
            yield "NULL"
        return
    if what not in ("0", "false"):
        yield "0"
    yield f"!({what})"


def mutants(path):
    """(function, line as it is then, the file's text then) of each."""
    text = source(path)
    blank = blanked(text)
    for name, kind, begin, end in functions(blank):
        for found in operators(blank, begin, end):
            at, stop, word = found
            if word.startswith("return"):
                what = text[at + len("return"):stop - 1].strip()
                others = [f"return {other};" for other in
                          returns(kind, what)] if what else []
            else:
                others = OTHERS.get(word, ())
            for other in others:
                then = text[:at] + other + text[stop:]
                line = then[then.rfind("\n", 0, at) + 1:
                            then.find("\n", at + len(other))]
                yield name, " ".join(line.split()), then


def operators(blank, begin, end):
    """Where each operator begins and ends; those within a return, too."""
    at = begin
    while True:
        found = OPERATOR.search(blank, at, end)
        if not found:
            return
        yield found.start(), found.end(), found.group()
        at = found.start() + len("return") if \
            found.group().startswith("return") else found.end()


class Test:
    def __init__(self, described, links):
        self.name = described["name"]
        self.command = described["cmd"]
        self.environment = {**os.environ, **described["env"]}
        self.program = next((part for part in self.command if part in links),
                            None)
        self.link = links.get(self.program)
        self.seconds = 0

    def run(self, program):
        command = [program if part == self.program else part
                   for part in self.command]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(
                command, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=WALL_S, preexec_fn=self.bound)
            passed = done.returncode == 0
        except subprocess.TimeoutExpired:
            passed = False
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds = after.ru_utime - before.ru_utime
        return passed

    @staticmethod
    def bound():
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Tests:
    """Those of the build that need no arena, and what came of each mutant."""

    def __init__(self, build):
        self.build = build
        self.all = self.read()
        self.kept_path = os.path.join(build.work, "small.json")
        self.kept = json.load(open(self.kept_path)) \
            if os.path.exists(self.kept_path) else {}

    def read(self):
        described = [test for test in json.loads(
            output("meson", "introspect", "--tests", self.build.folder))
            if {part.split(":")[-1] for part in test["suite"]} &
            {"unit", "golden", "fuzz"}]
        programs = {part for test in described for part in test["cmd"]
                    if os.path.normpath(part).startswith(self.build.folder)}
        links = {program: self.build.link_command(program)
                 for program in programs}
        return [test for test in (Test(one, links) for one in described)
                if test.program]

    def keep(self, key, came):
        self.kept[key] = came
        with open(self.kept_path + ".new", "w") as out:
            json.dump(self.kept, out, indent=0)
        os.rename(self.kept_path + ".new", self.kept_path)


class Module:
    """One file of the product, and the tests that have it in them."""

    def __init__(self, tests, path):
        self.build, self.path = tests.build, path
        self.made = os.path.join(self.build.work, "mutant.o")
        self.program = os.path.join(self.build.work, "mutant")
        self.original = source(path)
        self.seen = {self.compiled(self.original)}
        symbols = {name for name, kind in self.symbols(self.made)
                   if kind == "T"}
        self.tests = [test for test in tests.all if symbols &
                      {name for name, _ in self.symbols(test.program)}]
        # What any of them hangs on, but for the file itself.
        self.inputs = hashlib.sha256()
        for test in sorted(self.tests, key=lambda test: test.name):
            self.inputs.update(open(test.program, "rb").read())
            for part in test.command:
                self.hash_files(part)

    def hash_files(self, part):
        """Golden files and the like, beside a script or below a folder."""
        if part.endswith(".py"):
            part = os.path.dirname(part)
        for folder, _, names in sorted(os.walk(part)):
            for name in sorted(names):
                with open(os.path.join(folder, name), "rb") as file:
                    self.inputs.update(file.read())

    @staticmethod
    def symbols(path):
        for line in output("nm", "--defined-only", path).splitlines():
            parts = line.split()
            if len(parts) == 3:
                yield parts[2], parts[1]

    def compiled(self, text):
        """A digest of what came out, None where nothing could."""
        if not self.build.compile(self.path, text, self.made):
            return None
        return digest(open(self.made, "rb").read())

    def linked(self, test):
        self.build.link(test.link, [(self.path, self.made)],
                        self.program)
        return self.program

    def begin(self):
        """Unchanged, all must pass; and it is seen how long each takes."""
        self.compiled(self.original)
        for test in self.tests:
            if not test.run(self.linked(test)):
                sys.exit(f"{test.name} fails with {self.path} as it is")
        self.tests.sort(key=lambda test: test.seconds)

    def came_of(self, text):
        """A digest of what was compiled, and the name of the test that finds
        it, "", "same" or "stillborn"."""
        made = self.compiled(text)
        if made is None:
            return "", "stillborn"
        if made in self.seen:
            return made, "same"
        return made, next((test.name for test in self.tests
                           if not test.run(self.linked(test))), "")


def read_argued():
    argued = {}
    for line in open(os.path.join(HERE, "argued")):
        line = line.strip()
        if line and not line.startswith("#"):
            what, separator, why = line.partition(" -- ")
            if not separator or not why:
                sys.exit(f"argued: no reason in: {line}")
            argued[" ".join(what.split())] = why
    return argued


def try_module(tests, path, counts, argued, only_survivors):
    module, begun = Module(tests, path), False
    used = set()
    for function, line, text in mutants(path):
        key = digest(text.encode())
        inputs = module.inputs.hexdigest()
        kept = tests.kept.get(key)
        stale = kept is None or kept["inputs"] != inputs
        if stale and not (only_survivors and kept and kept["found"]):
            if not begun:
                module.begin()
                begun = True
            made, found = module.came_of(text)
            kept = {"inputs": inputs, "made": made, "found": found}
            tests.keep(key, kept)
        module.seen.add(kept["made"])
        if kept["found"] in ("same", "stillborn"):
            continue
        what = f"{path} {function}: {line}"
        came = "found" if kept["found"] else \
            "argued" if what in argued else "survived"
        counts["mutants"] += 1
        counts[came] += 1
        if came == "argued":
            used.add(what)
        elif came == "survived":
            print(f"survived: {what}", flush=True)
    return used


def run(build, counts, names=(), only_survivors=False):
    """Try all; yields what is wrong beside what has survived."""
    tests = Tests(build)
    argued, used = read_argued(), set()
    for path in names or FILES:
        before = dict(counts)
        used |= try_module(tests, path, counts, argued, only_survivors)
        print(f"# {path}: " + ", ".join(
            f"{counts[name] - before[name]} {name}" for name in counts),
            flush=True)
    if not names:
        for what in sorted(set(argued) - used):
            yield f"argued, but no survivor: {what}"
    if counts["found"] < FOUND_AT_LEAST * counts["mutants"]:
        yield f"less than {FOUND_AT_LEAST:.0%} were found"
