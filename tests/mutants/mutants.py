"""mutants - do the tests notice when the product is wrong?

    mutants.py BUILD [--gates [TEST...] | --small [--survivors] [FILE...]]

Of what is built in BUILD, wrong variants are made, mutants, and tests are run
against each:

  gates.py  a gate that allows everything, and one that denies everything:
            each system test about that gate must fail, in tests/arena
  small.py  one operator wrong in the files that decide: a unit, golden or
            fuzz test must fail

Without an option, all of it.  --survivors tries only those that no test has
found so far; TESTs and FILEs are those that are to be tried.  What has been
seen is kept in the folder `mutants` beside BUILD, so that a run that was broken
off goes on where it was.

Everything runs as SCHED_IDLE and one program at a time: a mutant takes a
second or two, a system test its usual time.  The last line is

    N mutants, N found, N argued, N survived
"""

import os
import sys

import gates
import small
from building import Build


def main(arguments):
    options = {word for word in arguments if word.startswith("--")}
    names = [word for word in arguments if not word.startswith("--")]
    if not names or options - {"--gates", "--small", "--survivors"}:
        sys.exit(__doc__)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    build = Build(names.pop(0))
    counts = dict.fromkeys(("mutants", "found", "argued", "survived"), 0)
    bad = []
    if "--gates" not in options:
        bad = list(small.run(build, counts, names, "--survivors" in options))
    if not options - {"--gates"}:
        gates.run(build, counts, names)
    for each in bad:
        print(each)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if bad or counts["survived"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
