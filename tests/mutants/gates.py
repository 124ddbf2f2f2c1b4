"""gates - do the system tests notice a gate that judges nothing?

Of each gate two mutants are made: one that allows everything, one that denies
everything (to leashed accounts: to others no gate says no).  Both write down
what they answer, so that a test which only reads the log sees it, too.  Each
system test about that gate (ABOUT) is run in tests/arena with the mutant in
the gate's place, and must fail.

That all of them pass with the gate as it is, ./check says.

One that still passes with a mutant has survived.  What was found is kept, by
the mutant and the test, so that a run broken off goes on where it was.
"""

import json
import os
import subprocess

from building import ROOT, digest, source

ALLOWS, DENIES = "allows everything", "denies everything"

# What is put in the place of what, in a file: once, and just there.
FILES_VERDICT = """	gate->heavy = target_is_heavy(&gate->judge.target);
	if (r)
		return r;
	denied = judgement.answer.verdict == POLICY_DENY;
"""
FLOW_VERDICT = """	asked->flow.program_known = false;
	asked->flow.program = NULL;
"""
QUESTION_VERDICT = """	if (ret->verdict == POLICY_ALLOW && is_too_much(gate, account, ret)) {
"""
CALL_VERDICT = """	write_reason(&trial);
}
"""
ANSWER = """(struct policy_answer){{.verdict = {0},
			.reason = POLICY_REASON_DEFAULT,
			.rule = POLICY_NONE,
			.log = true}};
"""


class Gate:
    def __init__(self, program, changes):
        self.program, self.changes = program, changes

    def texts(self, verdict):
        """(path, text) of each file of the mutant."""
        answer = ANSWER.format(verdict)
        for path, before, after in self.changes:
            text = source(path)
            if text.count(before) != 1:
                raise SystemExit(f"{path} has changed: see FILES_VERDICT and "
                                 f"the like in {__file__}")
            yield path, text.replace(before, after.replace("ANSWER", answer))


GATES = {
    "files": Gate("leash-fanotify", (
        ("fanotify/gate.c", FILES_VERDICT, FILES_VERDICT.replace(
            "	denied =", "	judgement.answer = ANSWER\n	denied =")),)),
    "net": Gate("leash-nfqueue", (
        ("nfqueue/judge_flow.c", FLOW_VERDICT,
         FLOW_VERDICT + "	*ret = ANSWER	return 0;\n"),
        ("nfqueue/names/judge_name.c", QUESTION_VERDICT,
         "	*ret = ANSWER	return;\n" + QUESTION_VERDICT))),
    "tools": Gate("leash-toolcall", (
        ("toolcall/judge.c", CALL_VERDICT,
         "	ret->answer = ANSWER" + CALL_VERDICT),)),
}

# Which gates each system test is about, and for how long it may run.
ABOUT = {
    "pairs": (("files",), 120),
    "ignore_marks": (("files",), 120),
    "execs": (("files",), 90),
    "waits": (("files",), 90),
    "new_mounts": (("files",), 120),
    "overlays": (("files",), 60),
    "query": (("files",), 60),
    "leash": (("files",), 150),
    "config": (("files",), 150),
    "learn": (("files",), 120),
    "profiles": (("files",), 200),
    "init": (("files",), 90),
    "manual": (("files",), 60),
    "life": (("files",), 180),
    "sleep": (("files",), 120),
    "fault": (("files",), 300),
    "storm": (("files",), 700),
    "deaths": (("files",), 400),
    "builds": (("files",), 400),
    "net": (("net",), 120),
    "net_fault": (("net",), 300),
    "names": (("net",), 150),
    "names_lies": (("net",), 300),
    "names_alike": (("net",), 200),
    "names_services": (("net",), 90),
    "names_clients": (("net",), 120),
    "explain": ((), 90),  # what gates would say: none is asked
    "tools": (("tools",), 200),
    "mcp": (("tools",), 250),
    "mcp_real": (("tools",), 250),
    "hooks": (("tools",), 200),
}
HELPERS = "/usr/libexec/leash"  # in the arena, where BUILD is installed


def make(build, name, verdict):
    """The mutant's program, and a digest of it."""
    gate = GATES[name]
    program = os.path.join(build.work, f"{gate.program}.{verdict}")
    command = build.link_command(os.path.join(build.folder, gate.program))
    changed = []
    for number, (path, text) in enumerate(gate.texts(verdict)):
        made = os.path.join(build.work, f"gate{number}.o")
        if not build.compile(path, text, made):
            raise SystemExit(f"{path} cannot be compiled as a mutant")
        changed.append((path, made))
    build.link(command, changed, program)
    with open(program, "rb") as file:
        return program, digest(file.read())


def passes(build, test, seconds, program):
    """Run the test with the mutant in its gate's place: yes, no or None."""
    script = os.path.join(ROOT, "tests/system", f"test_{test}.py")
    done = subprocess.run(
        [os.path.join(ROOT, "tests/arena"), build.folder, str(seconds),
         "/bin/sh", "-c", 'cp "$1" "$2" && shift 2 && exec "$@"', "sh",
         program, os.path.join(HELPERS,
                               os.path.basename(program).split(".")[0]),
         "/usr/bin/python3", "-u", script],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1",
             "LEASH_SECONDS": "20", "LEASH_FAULT_SECONDS": "20",
             "LEASH_ROUNDS": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    said = done.stdout.decode(errors="replace")
    with open(os.path.join(build.work, f"{os.path.basename(program)}."
                                       f"{test}.tap"), "w") as out:
        out.write(said)
    tried = [line for line in said.splitlines()
             if line.startswith(("ok", "not ok")) and "# SKIP" not in line]
    if done.returncode == 0 and not tried:
        return None  # what it needs is not there
    return done.returncode == 0 and \
        not any(line.startswith("not ok") for line in tried)


def run(build, counts, names=()):
    """Try all, or the tests of those names."""
    kept_path = os.path.join(build.work, "gates.json")
    kept = json.load(open(kept_path)) if os.path.exists(kept_path) else {}
    for name in GATES:
        tests = [(test, seconds) for test, (gates, seconds) in ABOUT.items()
                 if name in gates and (not names or test in names)]
        for verdict, what in (("POLICY_ALLOW", ALLOWS),
                              ("POLICY_DENY", DENIES)):
            if not tests:
                continue
            program, made = make(build, name, verdict)
            for test, seconds in tests:
                with open(os.path.join(ROOT, "tests/system",
                                       f"test_{test}.py"), "rb") as file:
                    key = f"{made} {test} {digest(file.read())}"
                if key not in kept:
                    kept[key] = passes(build, test, seconds, program)
                    with open(kept_path, "w") as out:
                        json.dump(kept, out, indent=0)
                label = f"a gate of {name} that {what}, by {test}"
                if kept[key] is None:
                    print(f"# not tried: {label}", flush=True)
                    continue
                counts["mutants"] += 1
                counts["survived" if kept[key] else "found"] += 1
                print(f"{'survived' if kept[key] else '# found'}: {label}",
                      flush=True)
